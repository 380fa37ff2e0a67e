"""Frame rates that training and serving would time differently are refused everywhere."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from noise_inputs import noise_input

from mllm_affect.engine.checkpoint import check_checkpoint
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.frame_rate import check_frame_rate
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import ModelProfile, write_profile


@pytest.mark.parametrize(("fps", "positions"), [(1.0, 13), (2.0, 13), (26.0, 13), (4.0, 8)])
def test_pairs_a_whole_number_of_positions_apart(fps: float, positions: float) -> None:
    check_frame_rate(fps, positions)


@pytest.mark.parametrize(("fps", "positions"), [(4.0, 13), (3.0, 13), (30.0, 13), (2.0, 12.75)])
def test_pairs_between_positions_are_refused(fps: float, positions: float) -> None:
    with pytest.raises(UserError, match="positions apart") as caught:
        check_frame_rate(fps, positions)
    assert caught.value.code == "bad_sampling"


def test_a_checkpoint_fed_at_such_a_rate_is_not_served(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(embedded_checkpoint(), folder)
    config = json.loads((folder / "config.json").read_text())
    config["thinker_config"]["position_id_per_seconds"] = 13
    (folder / "config.json").write_text(json.dumps(config))
    write_profile(folder, ModelProfile(sampling=Sampling(fps=2.0, max_pixels=4096)))
    check_checkpoint(folder)
    write_profile(folder, ModelProfile(sampling=Sampling(fps=4.0, max_pixels=4096)))
    with pytest.raises(UserError, match=r"6\.5 positions apart"):
        check_checkpoint(folder)


def test_the_offline_engine_refuses_such_an_input() -> None:
    engine = TransformersEngine(embedded_checkpoint())
    made = noise_input(0)
    with pytest.raises(UserError, match="positions apart"):
        engine.score([replace(made, fps=7.0)], ("yes", "no"))

"""A merge is written only where it answers as base and adapter do, on more than 50 prompts."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_merge import write_adapter

from finetune.agreement import TIES, AgreementCheck, sample_inputs, usual_tolerance
from finetune.merging import merge
from finetune.routing import ties
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import Sampling

CHECK = AgreementCheck(prompts=52)


@pytest.fixture(scope="module")
def adapter(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    write_adapter(untrained, folder)
    return folder


def test_a_true_merge_agrees_within_a_ten_thousandth(
    adapter: Path, untrained: Path, tmp_path: Path
) -> None:
    folder, agreement = merge(adapter, str(untrained), tmp_path / "merged", CHECK)
    assert agreement is not None
    assert agreement.prompts == 52
    assert 0 <= agreement.largest <= 1e-4
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["merge"] == agreement.as_dict()
    assert manifest["talker"] == "kept"


def test_a_wrong_merge_is_refused_and_kept_under_another_name(
    adapter: Path, untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.merge import Adapter

    right = Adapter.delta

    def wrong(self: Adapter, name: str) -> Any:
        return 1.5 * right(self, name)

    monkeypatch.setattr(Adapter, "delta", wrong)
    with pytest.raises(EngineError) as caught:
        merge(adapter, str(untrained), tmp_path / "merged", AgreementCheck(prompts=4))
    assert caught.value.code == "merge_differs"
    kept = tmp_path / "merged-unchecked"
    assert str(kept) in caught.value.sentence
    assert list(tmp_path.iterdir()) == [kept]
    told = json.loads((kept / "manifest.json").read_text())["merge"]
    assert told["largest"] > told["tolerance"] == 1e-4
    accepted = AgreementCheck(prompts=4, tolerance=told["largest"] * 1.1)
    with pytest.raises(UserError, match="merged-unchecked exists already"):
        merge(adapter, str(untrained), tmp_path / "merged", accepted)
    shutil.rmtree(kept)
    folder, _ = merge(adapter, str(untrained), tmp_path / "merged", accepted)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(("layers", "measured"), [(2, 0.094), (8, 0.188), (24, 0.25), (48, 0.336)])
def test_the_bound_in_bfloat16_grows_with_depth_and_prompts(layers: int, measured: float) -> None:
    bound = usual_tolerance("bfloat16", layers, 6)
    assert 1.7 * measured < bound < 2.4 * measured
    assert bound < usual_tolerance("bfloat16", layers, 64) < 1.2 * bound
    assert usual_tolerance("float32", layers, 64) == 1e-4


def test_experts_that_only_rounding_tells_apart_do_not_part_a_true_merge(
    adapter: Path, untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    shutil.copytree(untrained, base)
    make_experts_equal(base / "model.safetensors")
    monkeypatch.setitem(TIES, "float32", -1.0)  # never
    with pytest.raises(EngineError, match="logits differ"):
        merge(adapter, str(base), tmp_path / "refused", AgreementCheck(prompts=4))
    monkeypatch.undo()
    _, agreement = merge(adapter, str(base), tmp_path / "merged", AgreementCheck(prompts=4))
    assert agreement is not None
    assert agreement.ties > 0


def make_experts_equal(weights: Path) -> None:
    """Give each router the same row for all experts, but for the last bits."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights)
    generator = torch.Generator().manual_seed(0)
    for name in tensors:
        if name.startswith("thinker.") and name.endswith("mlp.gate.weight"):
            rows_ED = tensors[name]
            rows_ED[:] = rows_ED[0]
            rows_ED *= 1 + 1e-6 * torch.randn(rows_ED.shape, generator=generator)
    save_file(tensors, weights, metadata={"format": "pt"})


def test_a_choice_counts_as_tied_only_where_probabilities_are_equal_but_for_rounding() -> None:
    import torch

    probability_TE = torch.tensor([[0.1, 0.35, 0.35 + 1e-6, 0.2]]).repeat(4, 1)
    own_TK = torch.tensor([[2], [2], [2], [2]])
    chosen_TK = torch.tensor([[1], [2], [3], [0]])
    assert ties(probability_TE, own_TK, chosen_TK, 1e-4).tolist() == [True, False, False, False]


def test_the_talker_is_kept_or_dropped_as_asked(
    adapter: Path, untrained: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    base = tmp_path / "base"
    shutil.copytree(untrained, base)
    weights = load_file(base / "model.safetensors")
    spoken = {"talker.codec_head.weight": torch.ones(2, 2), "code2wav.x.weight": torch.ones(1)}
    save_file(weights | spoken, base / "model.safetensors", metadata={"format": "pt"})
    index = {"weight_map": dict.fromkeys([*weights, *spoken], "model.safetensors")}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    kept, _ = merge(adapter, str(base), tmp_path / "kept")
    dropped, _ = merge(adapter, str(base), tmp_path / "dropped", keep_talker=False)
    assert load_file(kept / "model.safetensors").keys() == weights.keys() | spoken.keys()
    assert load_file(dropped / "model.safetensors").keys() == weights.keys()
    described = json.loads((dropped / "model.safetensors.index.json").read_text())
    assert described["weight_map"].keys() == weights.keys()
    assert not json.loads((dropped / "config.json").read_text())["enable_audio_output"]
    assert json.loads((dropped / "manifest.json").read_text())["talker"] == "dropped"


def test_prompts_are_made_clips_that_differ(untrained: Path) -> None:
    inputs = sample_inputs(6, Sampling(4.0, 4096))
    assert len(inputs) == 6
    assert len({made.frames_THWC.tobytes() for made in inputs}) == 6
    assert len({made.text for made in inputs}) > 1


def test_a_training_leaves_proof_manifest_card_events_and_curve(
    adapter: Path, untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.recipe import load_recipe
    from finetune.run import run
    from mllm_affect.data.made.folders import make_folders

    make_folders(tmp_path / "clips", {"train": 4}, seed=5)
    monkeypatch.setattr("finetune.command.SWIFT_MODULE", "stand_in_swift")
    monkeypatch.setenv("STAND_IN", "goes on")
    monkeypatch.setenv("STAND_IN_ADAPTER", str(adapter))
    places = (Path(__file__).parent, Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, places)))
    settings = {"data": tmp_path / "clips", "model": str(untrained), "check_merge": 4}
    outcome = run(load_recipe("miniature", settings), tmp_path / "out")
    assert outcome.adapter is not None
    for folder in (outcome.checkpoint, outcome.adapter):
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["merge"]["prompts"] == 4
        assert manifest["base"]["sha256"]
        assert "split `train`" in (folder / "README.md").read_text()
    stages = [
        json.loads(line)["stage"]
        for line in (tmp_path / "out/events.jsonl").read_text().split("\n")
        if line
    ]
    assert list(dict.fromkeys(stages)) == ["prepare", "check", "start", "train", "merge"]
    assert (tmp_path / "out/loss.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "out/training").exists()

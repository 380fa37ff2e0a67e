"""Where a checkpoint is loaded: a GPU where there is one, and only what memory can hold."""

import json
import shutil
from pathlib import Path

import pytest
from noise_inputs import noise_input
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.engine import placement
from mllm_affect.engine.placement import ON_CPU, Placement, check_memory, weight_count
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.errors import UserError
from mllm_affect.model.miniature import embedded_checkpoint

WEIGHTS = 943_360
"""Of the embedded miniature."""


@pytest.mark.parametrize(
    ("gpus", "asked", "settled"),
    [
        (0, Placement(), ON_CPU),
        (2, Placement(), Placement("cuda", "bfloat16")),
        (2, Placement("cpu"), ON_CPU),
        (2, Placement("cuda:1"), Placement("cuda:1", "bfloat16")),
        (1, Placement("auto", "float32"), Placement("cuda", "float32")),
        (0, Placement("auto", "bfloat16"), Placement("cpu", "bfloat16")),
    ],
)
def test_auto_is_a_gpu_and_bfloat16_where_there_is_one(
    gpus: int, asked: Placement, settled: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "_gpus", lambda: gpus)
    assert asked.settled() == settled


@pytest.mark.parametrize(("gpus", "device"), [(0, "cuda"), (1, "cuda:1")])
def test_a_gpu_that_is_not_there_is_refused(
    gpus: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "_gpus", lambda: gpus)
    with pytest.raises(UserError, match=f"torch sees {gpus} GPUs") as caught:
        Placement(device).settled()
    assert caught.value.code == "no_gpu"


def with_speech_output(folder: Path) -> Path:
    """A copy of the miniature that has weights of speech output, and says so."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(embedded_checkpoint(), folder)
    weights = load_file(folder / "model.safetensors")
    weights["talker.model.norm.weight"] = torch.zeros(1000)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"enable_audio_output": True}))
    return folder


def test_speech_output_is_neither_loaded_nor_counted(tmp_path: Path) -> None:
    speaking = with_speech_output(tmp_path / "model")
    assert weight_count(speaking) == weight_count(embedded_checkpoint()) == WEIGHTS
    engine, plain = TransformersEngine(speaking), TransformersEngine(embedded_checkpoint())
    assert not hasattr(engine._model, "talker")
    asked = ([noise_input(0)], ("yes", "no"))
    assert engine.score(*asked) == plain.score(*asked)


def test_what_memory_cannot_hold_is_refused_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = embedded_checkpoint()
    monkeypatch.setattr(placement, "free_bytes", lambda _device: round(WEIGHTS * 4 * 1.2))
    check_memory(folder, ON_CPU)
    monkeypatch.setattr(placement, "free_bytes", lambda _device: WEIGHTS * 4)
    with pytest.raises(UserError, match=r"0\.0 billion weights, 0 GB in float32") as caught:
        check_memory(folder, ON_CPU)
    assert caught.value.code == "too_little_memory"
    assert "--dtype bfloat16 halves it" in caught.value.sentence
    check_memory(folder, Placement("cpu", "bfloat16"))


@pytest.mark.parametrize(
    "words",
    [
        "evaluate ah --data {0} --out {0}/out",
        "predict --input {0} --task ah --output {0}/out.csv",
        "predict megc --task vqa --questions {0} --clips {0} --out {0}/out",
        "evaluate au --data {0} --model {0} --out {0}/out",
        "finetune merge {0} --base miniature --out {0}/out",
    ],
)
def test_every_verb_that_loads_a_model_takes_a_device(words: str, tmp_path: Path) -> None:
    asked = [*words.format(tmp_path).split(), "--device", "tpu"]
    done = CliRunner().invoke(app, asked, env={"COLUMNS": "200"})
    assert (done.exit_code, "--device is 'tpu'" in done.output) == (2, True), done.output


def test_a_model_that_does_not_fit_ends_before_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(placement, "free_bytes", lambda _device: WEIGHTS)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"x")
    words = ["predict", "--input", f"{tmp_path}/videos", "--output", f"{tmp_path}/out.csv"]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "400"})
    assert done.exit_code == 2, done.output
    assert "float32; cpu has 0 GB free" in done.output
    assert not (tmp_path / "out.csv").exists()

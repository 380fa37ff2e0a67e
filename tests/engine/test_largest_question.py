"""The bounds that a vLLM server is started with: all questions fit, and vLLM reads them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.engine.largest_question import bounded_options, largest_question
from mllm_affect.engine.serving_memory import serving_memory
from mllm_affect.engine.vllm_options import EngineOptions, serve_command
from mllm_affect.media.sampling.picture_size import model_size
from mllm_affect.media.types import Sampling
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.prompts import shipped_family_ids, shipped_task_ids, tasks_named

ASPECTS = [(16, 9), (9, 16), (4, 3), (1, 1), (21, 9)]
TEXT = {
    "num_hidden_layers": 48, "num_key_value_heads": 4, "head_dim": 128,
    "max_position_embeddings": 65536,
}  # fmt: skip


def large(folder: Path) -> Path:
    folder.mkdir()
    config = {"model_type": "qwen3_omni_moe", "thinker_config": {"text_config": TEXT}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    "profile",
    [ModelProfile(), ModelProfile(max_seconds=12), ModelProfile(sampling=Sampling(fps=13.0))],
)
def test_no_task_asks_more(profile: ModelProfile) -> None:
    largest = largest_question(profile)
    video = largest.limits()["video"]
    for name in (*shipped_task_ids(), *shipped_family_ids()):
        for task in map(profile.fit, tasks_named(name)):
            sampling = task.sampling
            frames = sampling.most_frames(profile.segment_seconds())
            assert frames <= video["num_frames"]
            for width, height in ASPECTS:
                wide, high = model_size(width * 100, height * 100, sampling.max_pixels)
                assert wide * high <= video["width"] * video["height"]
                cells = wide * high // 1024
                assert frames // 2 * cells + 13 * profile.segment_seconds() < largest.tokens
    assert largest.model_length >= largest.tokens


def test_the_true_model_is_not_profiled_on_what_nobody_asks(tmp_path: Path) -> None:
    """Left alone, vLLM plans for the longest prompt that the model could take, all of it video."""
    options = bounded_options(EngineOptions(), large(tmp_path / "large"), ModelProfile())
    assert options.max_model_len is not None
    assert 8192 <= options.max_model_len <= 16384
    video = options.media_limits["video"]
    assert video["num_frames"] / 2 * video["width"] * video["height"] / 1024 < 2000
    chosen = EngineOptions(max_model_len=9000)
    assert bounded_options(chosen, tmp_path / "large", ModelProfile()).max_model_len == 9000


def test_no_prompt_is_longer_than_the_checkpoint_has_positions() -> None:
    options = bounded_options(EngineOptions(), embedded_checkpoint(), ModelProfile())
    assert options.max_model_len == 8192


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
@pytest.mark.parametrize("cpu", [True, False])
def test_vllm_reads_the_command(gpus: int, cpu: bool, tmp_path: Path) -> None:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    folder = large(tmp_path / "large")
    options = bounded_options(EngineOptions(tensor_parallel=gpus), folder, ModelProfile())
    words = serve_command(folder, Sampling(), 8001, options, cpu)
    read = make_arg_parser(FlexibleArgumentParser()).parse_args(words[words.index("serve") + 1 :])
    assert read.tensor_parallel_size == gpus
    assert read.max_model_len == options.max_model_len
    assert (
        read.limit_mm_per_prompt["video"]["num_frames"] == largest_question(ModelProfile()).frames
    )
    assert read.dtype == ("float32" if cpu else "bfloat16")


def test_memory_is_told_before_a_server_is_started(tmp_path: Path) -> None:
    memory = serving_memory(large(tmp_path / "large"), 62_720, "bfloat16", 1)
    assert memory.prompt_cache == pytest.approx(6.0e9, rel=0.03), "2 x 48 x 4 x 128 x 2 a token"
    done = CliRunner().invoke(app, ["serve", "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["memory"]["prompt_tokens"] == 8192
    assert told["memory"]["weights"] > 1_000_000
    assert told["command"][told["command"].index("--max-model-len") + 1] == "8192"

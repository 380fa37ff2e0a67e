"""The command that starts vLLM, and what is refused before it."""

import importlib.metadata
import json
import os
import shutil
from pathlib import Path

import pytest

from mllm_affect.engine import vllm_entry
from mllm_affect.engine.checkpoint import check_checkpoint
from mllm_affect.engine.vllm_options import (
    EngineOptions,
    runs_on_cpu,
    serve_command,
    serve_environment,
)
from mllm_affect.engine.vllm_server import VllmServer
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.miniature import embedded_checkpoint

SAMPLING = Sampling(fps=4.0, max_pixels=4096)


def value_of(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_what_matters_to_identical_inputs_is_on_the_command_line() -> None:
    command = serve_command(Path("model"), SAMPLING, 8001, EngineOptions(), cpu=True)
    assert json.loads(value_of(command, "--media-io-kwargs")) == {
        "video": {"num_frames": -1, "fps": 4.0}
    }
    assert json.loads(value_of(command, "--mm-processor-kwargs"))["fps"] == 4.0
    assert value_of(command, "--host") == "127.0.0.1"
    assert value_of(command, "--dtype") == "float32"
    assert "--trust-request-mm-kwargs" not in command


def test_a_cpu_has_no_worker_that_spins_in_a_process_of_its_own() -> None:
    command = serve_command(Path("model"), SAMPLING, 8001, EngineOptions(), cpu=True)
    assert value_of(command, "--distributed-executor-backend") == "uni"
    environment = serve_environment(EngineOptions(), cpu=True, base={})
    assert environment["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0", "or vLLM takes mp all the same"
    several = EngineOptions(tensor_parallel=2)
    split = serve_command(Path("model"), SAMPLING, 8001, several, cpu=True)
    assert "--distributed-executor-backend" not in split


def test_a_gpu_runs_bfloat16_and_takes_our_options() -> None:
    options = EngineOptions(
        memory_share=0.8, max_model_len=9000, tensor_parallel=2, extra=("--max-num-seqs", "3")
    )
    command = serve_command(Path("model"), SAMPLING, 8001, options, cpu=False)
    assert value_of(command, "--dtype") == "bfloat16"
    assert "--enforce-eager" not in command
    assert "--distributed-executor-backend" not in command
    assert value_of(command, "--gpu-memory-utilization") == "0.8"
    assert value_of(command, "--max-model-len") == "9000"
    assert value_of(command, "--tensor-parallel-size") == "2"
    assert command[-2:] == ["--max-num-seqs", "3"]


def test_the_engine_is_offline_and_keeps_the_rest_of_the_environment() -> None:
    environment = serve_environment(EngineOptions(kv_cache_gib=3), cpu=True, base={"HOME": "/h"})
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert environment["HOME"] == "/h"
    assert "VLLM_CPU_KVCACHE_SPACE" not in serve_environment(EngineOptions(), cpu=False, base={})


@pytest.mark.parametrize(
    ("there", "code"), [((), "no_engine"), (("vllm", "vllm-cpu"), "two_engines")]
)
def test_no_engine_or_two(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], code: str
) -> None:
    monkeypatch.setattr("mllm_affect.engine.vllm_options._installed", lambda name: name in there)
    with pytest.raises(UserError) as caught:
        runs_on_cpu()
    assert caught.value.code == code


def test_the_one_look_up_is_answered_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"vllm-cpu": "0.32.0", "torch": "2.13.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    vllm_entry.answer_for_cpu_distribution()
    assert importlib.metadata.version("vllm") == "0.32.0+cpu"
    assert importlib.metadata.version("torch") == "2.13.0"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("nothing")


def test_the_embedded_checkpoint_can_be_served() -> None:
    assert check_checkpoint(embedded_checkpoint()).kind == "miniature"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: shutil.rmtree(f), "config.json"),
        (lambda f: (f / "config.json").write_text("{"), "JSON"),
        (lambda f: (f / "config.json").write_text('{"model_type": "llama"}'), "llama"),
        (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
        (lambda f: os.truncate(f / "model.safetensors", 5000), "damaged"),
        (lambda f: (f / "model.safetensors").write_text("version https://lfs"), "damaged"),
        (lambda f: (f / "tokenizer_config.json").unlink(), "tokenizer"),
        (lambda f: (f / "mllm_affect.json").write_text('{"kind": "x"}'), "mllm_affect.json"),
    ],
)
def test_a_wrong_checkpoint_is_refused_at_once(tmp_path: Path, spoil: object, said: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(embedded_checkpoint(), folder)
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=said) as caught:
        check_checkpoint(folder)
    assert caught.value.code == "bad_checkpoint"


@pytest.mark.engine
@pytest.mark.rebuild
def test_vllm_that_dies_while_starting_says_why(tmp_path: Path) -> None:
    options = EngineOptions(extra=("--no-such-option",))
    with (
        VllmServer(embedded_checkpoint(), SAMPLING, tmp_path / "log", options) as server,
        pytest.raises(EngineError, match="--no-such-option") as caught,
    ):
        server.wait_ready(300)
    assert caught.value.code == "engine_died"
    assert not server.is_running

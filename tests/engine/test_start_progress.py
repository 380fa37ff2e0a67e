"""What a starting model server is said to do, from lines as vLLM writes them."""

from pathlib import Path

import pytest

from mllm_affect.engine import start_progress
from mllm_affect.engine.start_progress import StartProgress, start_limit_s

LINES = {
    "INFO 12-01 10:00:00 [gpu_model_runner.py:5040] Starting to load model /m...\n": "loads the w",
    "Loading safetensors checkpoint shards:   0% Completed | 0/15 [00:00<?]\r": "0 %, file 0/15",
    "Loading safetensors checkpoint shards:  47% Completed | 7/15 [00:30]\r": "47 %, file 7/15",
    "INFO [gpu_model_runner.py:5150] Model loading took 59.1 GiB memory and 70.1 s\n": "are loaded",
    "INFO Encoder cache will be initialized with a budget of 1 tokens\n": "measures",
    "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  50%|### | 2/4\r": "graphs: 50 %",
    "INFO [core.py:386] init engine (profile, create kv cache, warmup model) took 9\n": "about to",
}


def test_each_stage_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_progress, "SAY_EVERY_S", 0.0)
    log = tmp_path / "log"
    progress = StartProgress(log)
    assert progress.news() is None, "there is no log yet"
    with log.open("w") as stream:
        for line, said in LINES.items():
            stream.write(line)
            stream.flush()
            told = progress.news()
            assert told is not None
            assert said in told
            stream.write("something else\n")
            stream.flush()
            assert progress.news() is None


def test_it_is_not_said_too_often(tmp_path: Path) -> None:
    log = tmp_path / "log"
    progress = StartProgress(log)
    log.write_text("Starting to load model\n")
    assert progress.news()
    log.write_text("Starting to load model\nModel loading took 1 GiB\n")
    assert progress.news() is None


def test_a_large_checkpoint_may_take_longer(tmp_path: Path) -> None:
    assert start_limit_s(tmp_path) == 900.0
    with (tmp_path / "model.safetensors").open("wb") as stream:
        stream.truncate(63_000_000_000)  # a hole, not bytes on the disk
    assert start_limit_s(tmp_path) == pytest.approx(900 + 1260)

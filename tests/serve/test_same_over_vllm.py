"""Evaluation over HTTP from a service on vLLM gives what evaluation in this process gives."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from engine_server import RunningEngine
from scoring_entry import entry
from service_in_process import Service
from typer.testing import CliRunner

from eval.predictions import Prediction, read_predictions
from mllm_affect.cli.app import app
from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.model.profile import read_profile
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.scoring.scoring_file import MadeFrom, scoring_of, write_scoring
from mllm_affect.tasks.prompts import load_task

pytestmark = [pytest.mark.engine, pytest.mark.slow]

TASKS = ("ah", "ah_context")


@pytest.fixture(scope="module")
def checkpoint(running_engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The served miniature with a scoring.json for either task."""
    folder = tmp_path_factory.mktemp("scored") / "miniature"
    shutil.copytree(running_engine.checkpoint, folder)
    made = MadeFrom(
        split="val", videos=4, participants=4, positives=2, unusable=0, version="0",
        weights=weights_hash(folder),
    )  # fmt: skip
    for name, pooling in zip(TASKS, ("log_sum_exp:4", "top_k:2"), strict=True):
        scoring = entry(
            task=name, prompt_hash=load_task(name).prompt_hash, pooling=pooling, temperature=2.0,
            sampling=running_engine.sampling, made_from=made,
        )  # fmt: skip
        write_scoring(folder, scoring)
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of noise; the last is silent, about which nobody answers."""
    folder = tmp_path_factory.mktemp("set")
    random = np.random.default_rng(7)
    examples = []
    for number, seconds in enumerate((7, 12, 6)):
        frames = random.integers(0, 256, (seconds * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
        sound = random.normal(0, 3000 * (number < 2), seconds * 16_000).astype(np.int16)
        write_video(frames, sound, folder / f"{number}.mp4")
        words = tuple((2.5 * n, 2.5 * n + 2, f"maybe {number} <{n}>") for n in range(2))
        examples.append(
            Example(
                video=f"{number}.mp4", participant=f"p{number}", split="test",
                labels={"ah": "yes" if number else "no"}, asked="willing", words=words,
            )
        )  # fmt: skip
    write_examples(folder, examples)
    return folder


@contextmanager
def listening(running: RunningEngine, checkpoint: Path) -> Iterator[str]:
    """Yield the address of the service in front of the shared vLLM server."""
    engine = running.client()
    service = Service(
        profile=read_profile(checkpoint), scorings=scoring_of(checkpoint), engine=engine
    )
    web = uvicorn.Server(uvicorn.Config(service.app, port=0, log_level="warning"))
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        assert thread.is_alive()
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    finally:
        web.should_exit = True
        thread.join(30)
        engine.close()


def evaluated(task: str, labelled: Path, out: Path, *how: str) -> list[Prediction]:
    words = ["evaluate", task, "--data", str(labelled), "--no-frames", "--out", str(out), *how]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads((out / "metrics.json").read_text())["videos"] == 3
    return read_predictions(out / "predictions.jsonl")


@pytest.mark.parametrize("task", ["ah", pytest.param("ah_context", marks=pytest.mark.rebuild)])
def test_service_and_evaluation_agree_on_calibrated_answers(
    task: str, running_engine: RunningEngine, checkpoint: Path, labelled: Path, tmp_path: Path
) -> None:
    with listening(running_engine, checkpoint) as url:
        served = evaluated(task, labelled, tmp_path / "http", "--url", url)
    here = evaluated(task, labelled, tmp_path / "here", "--model", str(checkpoint), "--trusted")
    calibration = scoring_of(checkpoint).tasks[task].id
    for over_http, in_process in zip(served, here, strict=True):
        assert over_http.calibration == in_process.calibration == calibration
        for name, values in fields(over_http).items():
            assert values == pytest.approx(fields(in_process)[name], abs=1e-6), name
        assert over_http.probabilities != over_http.uncalibrated
        assert (over_http.answer, over_http.abstained, over_http.threshold) == (
            in_process.answer, in_process.abstained, in_process.threshold,
        )  # fmt: skip
    assert [row.abstained for row in served] == [False, False, True]


def fields(row: Prediction) -> dict[str, Any]:
    """The numbers of a prediction, in order."""
    return {
        "probabilities": list(row.probabilities.values()),
        "uncalibrated": list(row.uncalibrated.values()),
        "segments": [p for part in row.segments for p in part.probabilities.values()],
    }

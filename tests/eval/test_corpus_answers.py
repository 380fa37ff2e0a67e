"""`predict --input`: every video of a folder into one table; stopped and gone on with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from eval.corpus_answers import CorpusPlan, answer_corpus
from mllm_affect.cli.app import app
from mllm_affect.data.corpus import find_videos
from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.errors import EngineError, UserError
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext

TASK = load_task("ah")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of noise and a file that only looks like one."""
    folder = tmp_path_factory.mktemp("corpus")
    for seed in range(3):
        random = np.random.default_rng(seed)
        frames = random.integers(0, 256, (6 * FRAME_RATE, 64, 64, 3), dtype=np.uint8)
        write_video(frames, np.zeros(6 * 16_000, dtype=np.int16), folder / f"{seed}.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def ask(video: Path, task: Task, context: VideoContext = UNKNOWN) -> VideoAnswer:
    return answer_video(video, task, EchoEngine(), context=context, trusted=True)


def plan_of(corpus: Path, output: Path, **given: Any) -> CorpusPlan:
    found = find_videos(corpus, except_below=output.parent)
    return CorpusPlan(found, (TASK,), output, {"engine": "echo"}, **given)


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


def test_a_folder_becomes_a_table(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.parquet"
    words = ["predict", "--input", str(corpus), "--output", str(output), "--model", "echo"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["refused"] == {"broken.mp4": "unsupported_container"}
    rows = rows_of(output)
    assert [(row["video"], row["segment"]) for row in rows] == [
        (f"{n}.mp4", segment) for n in range(3) for segment in (0, 1)
    ]
    offline = ask(corpus / "0.mp4", TASK)
    assert rows[0]["p_yes"] == offline.segments[0].probabilities["yes"]


def test_a_stopped_run_goes_on_and_gives_the_same(corpus: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def failing(video: Path, task: Task, _context: VideoContext) -> VideoAnswer:
        if len(asked) == 2:
            raise EngineError("engine_away", "Away.")
        asked.append(video.name)
        return ask(video, task)

    def nothing(done: int, total: int) -> None:
        """Show nothing."""

    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    answer_corpus(plan_of(corpus, whole, videos_at_once=3), ask, nothing)
    with pytest.raises(EngineError):
        answer_corpus(plan_of(corpus, broken), failing, nothing)
    assert not broken.exists()
    journal = tmp_path / "broken.parquet.journal.jsonl"
    journal.write_text(journal.read_text()[:-40])  # as a crash would leave it
    again: list[str] = []

    def counting(video: Path, task: Task, _context: VideoContext) -> VideoAnswer:
        again.append(video.name)
        return ask(video, task)

    run = answer_corpus(plan_of(corpus, broken), counting, nothing)
    assert 0 < run.answered_before < 4
    assert len(again) == 4 - run.answered_before
    assert rows_of(broken) == rows_of(whole)
    other = CorpusPlan(plan_of(corpus, broken).corpus, (TASK,), broken, {"engine": "other"})
    with pytest.raises(UserError) as caught:
        answer_corpus(other, ask, nothing)
    assert caught.value.code == "bad_output"

"""Following ms-swift's log: steps as they come, the reason of a failure, the rows it read."""

import json
from pathlib import Path

from finetune.progress import SCORE, Progress, StepLog, last_words, rows_read


def line(step: int, loss: float) -> str:
    return json.dumps(
        {"loss": loss, "global_step/max_steps": f"{step}/4", "train_speed(s/it)": 0.5}
    )


def test_steps_are_reported_once_and_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "logging.jsonl"
    log = StepLog(path)
    assert list(log.new_steps()) == []
    whole, half = line(1, 2.5) + "\n", line(2, 2.0)
    path.write_text(whole + half[:10])
    assert list(log.new_steps()) == [Progress("train", 1, 4, loss=2.5, remaining_s=1.5)]
    assert list(log.new_steps()) == []
    path.write_text(whole + half + "\n")
    assert [step.done for step in log.new_steps()] == [2]


def test_an_evaluation_is_told_apart_from_steps(tmp_path: Path) -> None:
    path = tmp_path / "logging.jsonl"
    record = {SCORE: 0.75, "global_step/max_steps": "2/4"}
    path.write_text(json.dumps(record) + "\n" + line(2, 1.0) + "\n")
    told = list(StepLog(path).new_steps())
    assert [(step.stage, step.done, step.score) for step in told] == [
        ("evaluate", 2, 0.75),
        ("train", 2, None),
    ]


def test_lines_that_are_no_steps_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "logging.jsonl"
    path.write_text('{"train_runtime": 3}\nnot json\n[1]\n' + line(4, 1.0) + "\n")
    assert [step.done for step in StepLog(path).new_steps()] == [4]


def test_the_last_exception_explains_a_failure() -> None:
    log = (
        "[INFO:swift] Start\nTraceback (most recent call last):\n  File 'x'\n"
        "ValueError: first\n\rTrain: 10%|\r"
        "[rank1]: torch.OutOfMemoryError: CUDA out of memory.\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
        "subprocess.CalledProcessError: Command failed\n"
    )
    assert last_words(log) == "[rank1]: torch.OutOfMemoryError: CUDA out of memory."


def test_without_an_exception_the_last_line_stands() -> None:
    assert last_words("one\ntwo\n\n") == "two"
    assert last_words("") == "it wrote nothing"


def test_rows_are_those_of_the_training_set() -> None:
    log = "train_dataset: Dataset({\n    features: ['a'],\n    num_rows: 31\n})\n"
    assert rows_read(log) == 31
    assert rows_read("val_dataset: None") is None

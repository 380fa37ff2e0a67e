"""Question files and training files of the challenge.

Does: read both, know each file's task, dataset and version by its name, write a question file back
byte for byte but for the answers, group rows by clip.  Does not: check the answers (see answers).

In the organisers' files `video_id` is unique per row and `video` names the clip.  The key of a row
is (dataset, `video_id`, question), that of a clip (dataset, `video`), so files in which all rows of
a clip share one `video_id` work too.

Names: `me_vqa_SET_test_to_answer.jsonl`, `me_vqa_SET_v2_test_to_answer.jsonl` and
`me_lvqa_SET_test_to_answer.jsonl`, SET being `casme3` or `samm`; in a submission each ends in
`_test_pred.jsonl` instead.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mllm_affect.data.megc.json_lines import Line, read_lines
from mllm_affect.data.megc.questions import Asked, recognise
from mllm_affect.errors import UserError

Task = Literal["vqa", "lvqa"]
Answer = str | int
"""An answer as JSON holds it: a text, or a number for a count."""

RowKey = tuple[str, str, str]
"""Dataset, video_id and question: what tells two rows apart."""

ClipKey = tuple[str, str]
"""Dataset and video: what tells two clips, or two long videos, apart."""

TO_ANSWER, PREDICTED = "_test_to_answer.jsonl", "_test_pred.jsonl"

QUESTION_KEYS = ("video_id", "video", "question", "answer")
TRAIN_KEYS = ("id", "dataset", "image_id", "subject", "filename", "question", "answer")

_NAME = re.compile(r"me_(?P<task>vqa|lvqa)_(?P<dataset>[a-z0-9]+?)(?P<version>_v2)?")


@dataclass(frozen=True)
class Question:
    """One row to answer.  `asked` is None for a wording that the challenge's rules do not name."""

    line: Line
    dataset: str
    video_id: str
    video: str
    text: str
    asked: Asked | None

    @property
    def key(self) -> RowKey:
        """What tells this row from all others."""
        return self.dataset, self.video_id, self.text

    @property
    def clip(self) -> ClipKey:
        """The clip, or long video, that the row asks about."""
        return self.dataset, self.video

    @property
    def answer(self) -> Any:
        """What the file holds as answer; None where it has no such key."""
        return self.line.values.get("answer")

    @property
    def subject(self) -> str | None:
        """Who is filmed, where the file says so; the organisers' test files do not."""
        subject = self.line.values.get("subject")
        return None if subject is None else str(subject)


@dataclass(frozen=True)
class QuestionFile:
    """A whole question file; `version` is 1 or 2."""

    path: Path
    task: Task
    dataset: str
    version: int
    rows: tuple[Question, ...]

    @property
    def submission_name(self) -> str:
        """The name that its answered form has in a submission."""
        return self.path.name.removesuffix(TO_ANSWER) + PREDICTED

    def answered(self, answers: Sequence[Answer]) -> bytes:
        """Return the file's bytes with these answers, one a row, and nothing else changed."""
        lines = [
            row.line.replaced("answer", answer)
            for row, answer in zip(self.rows, answers, strict=True)
        ]
        return "".join(lines).encode("utf-8")


@dataclass(frozen=True)
class Trained:
    """One row of a training file: a question with its true answer.

    `subject` is as written: `sub01` in CASME II, unpadded `6` in SAMM, `s08` in SMIC.
    """

    number: int
    id: str
    dataset: str
    image_id: str
    subject: str
    filename: str
    text: str
    asked: Asked | None
    answer: Any


def read_question_file(path: Path, task: Task | None = None) -> QuestionFile:
    """Read a question file, answered or not.

    Raises UserError `bad_question_file` (unreadable, a key missing, no row) and `bad_file_name`
    (a name from which task and dataset cannot be told, or of another task than `task`).
    """
    found_task, dataset, version = _told_by_name(path)
    if task is not None and found_task != task:
        raise UserError(
            "bad_file_name", f"{path.name} belongs to ME-{found_task.upper()}; give --task too."
        )
    rows = []
    for line in read_lines(path, "bad_question_file"):
        _require(line, QUESTION_KEYS[:-1], path, "bad_question_file")
        text = _text(line, "question", path, "bad_question_file")
        rows.append(
            Question(
                line=line,
                dataset=dataset,
                video_id=str(line.values["video_id"]),
                video=str(line.values["video"]),
                text=text,
                asked=recognise(text),
            )
        )
    if not rows:
        raise UserError("bad_question_file", f"{path} holds no question.")
    return QuestionFile(path, found_task, dataset, version, tuple(rows))


def read_train_file(path: Path) -> list[Trained]:
    """Read a training file.  Raises UserError `bad_train_file`."""
    rows = []
    for line in read_lines(path, "bad_train_file"):
        _require(line, TRAIN_KEYS, path, "bad_train_file")
        text = _text(line, "question", path, "bad_train_file")
        named = {key: str(line.values[key]) for key in TRAIN_KEYS[:-2]}
        rows.append(
            Trained(
                number=line.number,
                **named,
                text=text,
                asked=recognise(text),
                answer=line.values["answer"],
            )
        )
    if not rows:
        raise UserError("bad_train_file", f"{path} holds no row.")
    return rows


def by_clip(rows: Iterable[Question]) -> dict[ClipKey, list[Question]]:
    """Return the rows of each clip, clips and rows in the order in which they first come."""
    groups: dict[ClipKey, list[Question]] = {}
    for row in rows:
        groups.setdefault(row.clip, []).append(row)
    return groups


def unknown_questions(rows: Sequence[Question] | Sequence[Trained]) -> dict[str, int]:
    """Return the wordings that are none of the challenge's, with how often each comes."""
    counts: dict[str, int] = {}
    for row in rows:
        if row.asked is None:
            counts[row.text] = counts.get(row.text, 0) + 1
    return counts


def _told_by_name(path: Path) -> tuple[Task, str, int]:
    for suffix in (TO_ANSWER, PREDICTED):
        found = _NAME.fullmatch(path.name.removesuffix(suffix))
        if path.name.endswith(suffix) and found:
            task: Task = "vqa" if found["task"] == "vqa" else "lvqa"
            return task, found["dataset"], 2 if found["version"] else 1
    raise UserError(
        "bad_file_name",
        f"{path.name} is not named like the organisers' files "
        f"(me_vqa_samm{TO_ANSWER}, me_vqa_samm_v2{TO_ANSWER}, me_lvqa_samm{TO_ANSWER}); "
        "keep their name.",
    )


def _require(line: Line, keys: Sequence[str], path: Path, code: str) -> None:
    missing = [key for key in keys if key not in line.values]
    if missing:
        raise UserError(code, f"{path}, line {line.number} lacks {', '.join(missing)}.")


def _text(line: Line, key: str, path: Path, code: str) -> str:
    value = line.values[key]
    if not isinstance(value, str):
        raise UserError(code, f"{path}, line {line.number}: {key} is not a text.")
    return value

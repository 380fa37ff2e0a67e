"""The predictions file of the micro-expression tasks: one JSON line a question.

Does: describe, read and write rows, and look an answer up by its question.  Does not: check
answers (see eval.exports.megc) or compare them (see pairs).

A row has `dataset`, `video_id`, `question` and `answer`; `video` names the clip, `clip` says what
files it has (mllm_affect.data.megc.clip_folders) and `fallback` that the answer was given without
pictures.  Other keys are ignored.  An organisers' file with answers is read as predictions too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mllm_affect.data.megc.json_lines import read_lines
from mllm_affect.data.megc.question_files import (
    PREDICTED,
    TO_ANSWER,
    Answer,
    QuestionFile,
    RowKey,
    read_question_file,
)
from mllm_affect.errors import UserError
from mllm_affect.files import write_jsonl


@dataclass(frozen=True)
class Predicted:
    """One answered question; `answer` None means that there is none."""

    dataset: str
    video_id: str
    question: str
    answer: Answer | None
    clip: str = ""
    fallback: bool = False
    video: str = ""

    @property
    def key(self) -> RowKey:
        """What tells this row from all others."""
        return self.dataset, self.video_id, self.question


def write_predicted(path: Path, rows: Iterable[Predicted]) -> int:
    """Write predictions, whole or not at all; return how many."""
    return write_jsonl(path, (asdict(row) for row in rows))


def read_predicted(paths: Sequence[Path]) -> dict[RowKey, Predicted]:
    """Read predictions from one or more files.

    Raises UserError `bad_predictions` (unreadable, a key missing, a question answered twice).
    """
    rows: dict[RowKey, Predicted] = {}
    for path in paths:
        for row in _rows(path):
            if row.key in rows:
                raise UserError(
                    "bad_predictions",
                    f"{path} answers {row.question!r} about {row.video_id} of {row.dataset} twice.",
                )
            rows[row.key] = row
    return rows


def of_file(questions: QuestionFile) -> list[Predicted]:
    """Return the rows of a question file that holds answers."""
    return [
        Predicted(row.dataset, row.video_id, row.text, _answer(row.answer), video=row.video)
        for row in questions.rows
    ]


def _rows(path: Path) -> list[Predicted]:
    if path.name.endswith((PREDICTED, TO_ANSWER)):
        return of_file(read_question_file(path))
    rows = []
    for line in read_lines(path, "bad_predictions"):
        values: Mapping[str, object] = line.values
        missing = [
            key for key in ("dataset", "video_id", "question", "answer") if key not in values
        ]
        if missing:
            raise UserError(
                "bad_predictions", f"{path}, line {line.number} lacks {', '.join(missing)}."
            )
        rows.append(
            Predicted(
                dataset=str(values["dataset"]),
                video_id=str(values["video_id"]),
                question=str(values["question"]),
                answer=_answer(values["answer"]),
                clip=str(values.get("clip", "")),
                fallback=bool(values.get("fallback", False)),
                video=str(values.get("video", "")),
            )
        )
    return rows


def _answer(value: object) -> Answer | None:
    """Return an answer as it is; anything that can be none becomes its text."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str | int) and not isinstance(value, bool) else str(value)

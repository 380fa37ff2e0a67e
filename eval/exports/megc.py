"""The submission of the micro-expression tasks: both answered question files in one zip.

Does: check every answer, refuse with a list of all that is wrong, write the files byte for byte as
they came but for the answers.  Does not: mend answers or ask a model.

The zip holds the two `*_test_pred.jsonl` at its root and nothing else; it is stored, not
compressed, and carries no clock, so the same answers give the same bytes.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.megc.predictions import Predicted
from mllm_affect.data.megc.answers import contradictions, read_answer
from mllm_affect.data.megc.question_files import (
    Answer,
    ClipKey,
    Question,
    QuestionFile,
    RowKey,
    Task,
    read_question_file,
)
from mllm_affect.data.megc.questions import COUNTS, LVQA
from mllm_affect.errors import UserError
from mllm_affect.files import write_bytes
from mllm_affect.scoring.event_answers import CountForm, in_form

SETS = frozenset({"casme3", "samm"})
"""The test sets; a submission holds an answered file of each."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can state; every entry bears it."""


@dataclass(frozen=True)
class Problem:
    """One reason to refuse: where, and what is wrong there."""

    code: str
    file: str
    where: str
    sentence: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.file}, {self.where}: {self.sentence}"


@dataclass(frozen=True)
class Submission:
    """What would be written, and what stands against it; `warnings` do not."""

    files: Mapping[str, bytes]
    rows: int
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def prepare(
    questions: Sequence[Path],
    predicted: Mapping[RowKey, Predicted],
    task: Task,
    counts: CountForm | None = None,
) -> Submission:
    """Answer the question files and check everything.

    `counts` is how counts are to be written; None keeps the predictions' way, which must be one.
    Raises UserError for files that are none, `missing_set` and `mixed_versions` for another choice
    of files than one of each test set.
    """
    files = [read_question_file(path, task) for path in questions]
    _refuse_other_files(files)
    problems: list[Problem] = []
    written: dict[str, bytes] = {}
    for file in files:
        answers = [_answer_of(row, predicted, counts) for row in file.rows]
        problems += _problems(file, answers)
        if not any(answer is None for answer in answers):
            told = [answer for answer in answers if answer is not None]
            written[file.submission_name] = file.answered(told)
    problems += _mixed_forms(files, predicted, counts)
    return Submission(
        files=dict(sorted(written.items())),
        rows=sum(len(file.rows) for file in files),
        problems=tuple(problems),
        warnings=tuple(_warnings(files, predicted)),
    )


def write_submission(submission: Submission, out: Path) -> None:
    """Write the zip, whole or not at all.  Raises UserError `invalid_submission`."""
    if submission.problems:
        raise UserError(
            "invalid_submission",
            f"{len(submission.problems)} problems stand against the submission, the first being: "
            f"{submission.problems[0]}; nothing was written.",
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, data in submission.files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, whatever wrote it
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    write_bytes(out, content.getvalue())


def _refuse_other_files(files: Sequence[QuestionFile]) -> None:
    sets = [file.dataset for file in files]
    if sorted(sets) != sorted(SETS):
        raise UserError(
            "missing_set",
            f"A submission holds one file of each of {' and '.join(sorted(SETS))}; "
            f"the question files given are of {', '.join(sets) or 'none'}.",
        )
    if len({file.version for file in files}) > 1:
        raise UserError("mixed_versions", "Give both question files of one version, 1 or 2.")


def _answer_of(
    row: Question, predicted: Mapping[RowKey, Predicted], counts: CountForm | None
) -> Answer | None:
    found = predicted.get(row.key)
    if found is None or row.asked is None or row.asked.kind not in COUNTS or counts is None:
        return _given(row, found)
    try:
        count = read_answer(row.asked, found.answer).count
    except ValueError:
        return found.answer
    return in_form(count, counts) if count is not None else found.answer


def _given(row: Question, found: Predicted | None) -> Answer | None:
    """Return the answer as predicted; a list of no action units is an answer too."""
    if found is None or found.answer is not None:
        return found.answer if found else None
    lists = row.asked is not None and row.asked.kind in LVQA and row.asked.kind not in COUNTS
    return "" if lists and row.asked and row.asked.number is None else None


def _problems(file: QuestionFile, answers: Sequence[Answer | None]) -> list[Problem]:
    found = []
    places_of: dict[ClipKey, list[int]] = {}
    seen: dict[RowKey, int] = {}
    for place, (row, answer) in enumerate(zip(file.rows, answers, strict=True)):
        where = f"line {row.line.number} ({row.video_id}: {row.text})"
        places_of.setdefault(row.clip, []).append(place)
        if seen.setdefault(row.key, place) != place:
            found.append(Problem("asked_twice", file.path.name, where, "is asked a second time"))
        if answer is None:
            found.append(Problem("missing_row", file.path.name, where, "has no prediction"))
        elif row.asked is not None:
            try:
                read_answer(row.asked, answer)
            except ValueError as error:
                code = "wrong_count" if row.asked.kind in COUNTS else "off_vocabulary"
                found.append(Problem(code, file.path.name, where, str(error)))
    for (_, video), places in places_of.items():
        answered = [
            (asked, answers[place])
            for place in places
            if (asked := file.rows[place].asked) is not None
        ]
        found += [
            Problem("contradiction", file.path.name, video, sentence)
            for sentence in contradictions(answered)
        ]
    return found


def _mixed_forms(
    files: Sequence[QuestionFile], predicted: Mapping[RowKey, Predicted], counts: CountForm | None
) -> list[Problem]:
    """Refuse counts that are numbers here and texts there, unless told how to write them."""
    if counts is not None:
        return []
    forms: dict[bool, str] = {}
    for file in files:
        for row in file.rows:
            found = predicted.get(row.key)
            if row.asked is None or row.asked.kind not in COUNTS or found is None:
                continue
            forms.setdefault(isinstance(found.answer, str), f"line {row.line.number}")
    if len(forms) < 2:
        return []
    return [
        Problem(
            "mixed_counts", files[0].path.name, forms[True],
            "counts are numbers in some rows and texts in others; give the training file",
        )
    ]  # fmt: skip


def _warnings(files: Sequence[QuestionFile], predicted: Mapping[RowKey, Predicted]) -> list[str]:
    rows = [row for file in files for row in file.rows]
    blind_rows = [row for row in rows if row.key in predicted and predicted[row.key].fallback]
    blind = {row.clip for row in blind_rows}
    unknown = sum(row.asked is None for row in rows)
    asked = {row.key for row in rows}
    strange = sum(key not in asked for key in predicted)
    said = []
    if blind:
        said.append(
            f"{len(blind)} clips ({len(blind_rows)} rows) were answered without pictures: "
            "their folder is missing or cannot be used."
        )
    if unknown:
        said.append(f"{unknown} rows ask what the rules do not name; their answers are unchecked.")
    if strange:
        said.append(f"{strange} predictions answer no question of these files.")
    return said

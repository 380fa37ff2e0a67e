"""Checks of one question file: its questions, and its answers where it has any.

Does: report rows that cannot be told apart, questions that contradict each other, answers off the
vocabulary, and answers about one clip that contradict each other.  Does not: look at clips.
"""

from collections.abc import Sequence

from mllm_affect.data.megc.answers import contradictions, read_answer
from mllm_affect.data.megc.findings import Finding
from mllm_affect.data.megc.question_files import (
    ClipKey,
    Question,
    QuestionFile,
    RowKey,
    by_clip,
    unknown_questions,
)
from mllm_affect.data.megc.questions import ONE_UNIT, SEVERAL_UNITS


def check_question_file(file: QuestionFile) -> list[Finding]:
    """Return everything that is wrong with a question file.

    A file in which any row is answered is taken for answered: its blank answers are reported too.
    """
    name = file.path.name
    clips = by_clip(file.rows)
    findings = unknown_wordings(name, unknown_questions(file.rows))
    findings += _repeated(name, file.rows)
    for (_, video), rows in clips.items():
        kinds = {row.asked.kind for row in rows if row.asked is not None}
        if kinds & ONE_UNIT and kinds & SEVERAL_UNITS:
            said = "one and several action units asked"
            findings.append(Finding("contradicting_questions", name, video, said, True))
    if any(row.answer not in (None, "") for row in file.rows):
        for (_, video), rows in clips.items():
            findings += _check_answers(name, video, rows)
    return findings


def unknown_wordings(name: str, wordings: dict[str, int]) -> list[Finding]:
    """Return a finding for each wording that is none of the challenge's."""
    return [
        Finding("unknown_question", name, f"{count} rows", f"nobody knows {text!r}", True)
        for text, count in wordings.items()
    ]


def _repeated(name: str, rows: Sequence[Question]) -> list[Finding]:
    """Report repeats: serious where two rows share their key, since predictions are kept by it."""
    findings = []
    seen: set[RowKey] = set()
    asked: set[tuple[ClipKey, str]] = set()
    for row in rows:
        if (row.clip, row.text) in asked:
            where = f"line {row.line.number}"
            said = f"{row.text!r} again"
            findings.append(Finding("asked_twice", name, where, said, row.key in seen))
        seen.add(row.key)
        asked.add((row.clip, row.text))
    return findings


def _check_answers(name: str, video: str, rows: Sequence[Question]) -> list[Finding]:
    findings = []
    for row in rows:
        if row.asked is None:
            continue
        try:
            read_answer(row.asked, row.answer)
        except ValueError as error:
            where = f"line {row.line.number}"
            findings.append(Finding("off_vocabulary", name, where, str(error), True))
    answered = [(row.asked, row.answer) for row in rows if row.asked is not None]
    findings += [
        Finding("contradiction", name, video, sentence, True)
        for sentence in contradictions(answered)
    ]
    return findings

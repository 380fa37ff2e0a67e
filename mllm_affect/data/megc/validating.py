"""Whether the challenge's files, clips and coding sheets fit together.

Does: check what is given and list every finding with counts.  Does not: mend or print.

A finding is serious when training or submitting would go wrong because of it; the rest is to know.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mllm_affect.data.megc.answers import contradictions, read_answer
from mllm_affect.data.megc.clip_folders import ClipFinder, ClipState
from mllm_affect.data.megc.coding_sheets import LAYOUTS, read_sheet
from mllm_affect.data.megc.folds import person
from mllm_affect.data.megc.layout import LONG
from mllm_affect.data.megc.question_files import (
    QuestionFile,
    Trained,
    read_question_file,
    read_train_file,
    unknown_questions,
)
from mllm_affect.data.megc.questions import LVQA, ONE_UNIT, SEVERAL_UNITS, VQA
from mllm_affect.errors import UserError


@dataclass(frozen=True)
class Finding:
    """One thing found: a stable code, the file, the place in it, a sentence."""

    code: str
    file: str
    where: str
    sentence: str
    serious: bool


@dataclass(frozen=True)
class Validation:
    """All findings, and how much was looked at."""

    findings: tuple[Finding, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether nothing serious was found."""
        return not any(finding.serious for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"sound": self.sound, **asdict(self)}


def validate(
    questions: Sequence[Path] = (),
    train: Sequence[Path] = (),
    clips: Path | None = None,
    sheets: Mapping[str, Path] | None = None,
) -> Validation:
    """Check question files, training files, the folder of clips and coding sheets by dataset.

    Raises UserError for a file that cannot be read at all, and `unknown_dataset` for a sheet of
    one that LAYOUTS does not know.  `long_DATASET` is a sheet of long videos.
    """
    finder = ClipFinder(clips) if clips is not None else None
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    for path in questions:
        findings += _check_questions(read_question_file(path), finder, counts)
    rows_of = {path: read_train_file(path) for path in train}
    for path, rows in rows_of.items():
        findings += _check_train(path.name, rows, finder, counts)
    every = [row for rows in rows_of.values() for row in rows]
    findings += _check_subjects(every)
    for dataset, path in (sheets or {}).items():
        findings += _check_sheet(dataset, path, every, counts)
    return Validation(tuple(findings), dict(counts))


def _check_questions(
    file: QuestionFile, finder: ClipFinder | None, counts: Counter[str]
) -> list[Finding]:
    name = file.path.name
    findings = _unknown(name, unknown_questions(file.rows))
    seen: set[tuple[str, str]] = set()
    kinds: dict[str, set[str]] = {}
    for row in file.rows:
        if (row.video_id, row.text) in seen:
            where = f"line {row.line.number}"
            findings.append(Finding("asked_twice", name, where, f"{row.text!r} again", True))
        seen.add((row.video_id, row.text))
        if row.asked is not None:
            kinds.setdefault(row.video_id, set()).add(row.asked.kind)
    findings += [
        Finding("contradicting_questions", name, clip, "one and several action units asked", True)
        for clip, of_clip in kinds.items()
        if of_clip & ONE_UNIT and of_clip & SEVERAL_UNITS
    ]
    counts["questions"] += len(file.rows)
    if finder is not None:
        for video in dict.fromkeys(row.video for row in file.rows):
            findings += _check_clip(name, video, finder, None, counts, serious=False)
    return findings


def _check_train(
    name: str, rows: Sequence[Trained], finder: ClipFinder | None, counts: Counter[str]
) -> list[Finding]:
    findings = _unknown(name, unknown_questions(rows))
    by_clip: dict[tuple[str, str, str], list[Trained]] = {}
    for row in rows:
        by_clip.setdefault((row.dataset, row.subject, row.filename), []).append(row)
        if row.asked is None:
            continue
        try:
            read_answer(row.asked, row.answer)
        except ValueError as error:
            where = f"line {row.number}"
            findings.append(Finding("off_vocabulary", name, where, str(error), True))
    for (dataset, subject, clip), of_clip in by_clip.items():
        answered = [(row.asked, row.answer) for row in of_clip if row.asked is not None]
        where = f"{dataset}/{subject}/{clip}"
        findings += [
            Finding("contradiction", name, where, sentence, False)
            for sentence in contradictions(answered)
        ]
        if finder is not None:
            findings += _check_clip(name, clip, finder, subject, counts, serious=True)
    counts["train_rows"] += len(rows)
    counts["train_clips"] += len(by_clip)
    return findings


def _check_clip(
    name: str,
    clip: str,
    finder: ClipFinder,
    subject: str | None,
    counts: Counter[str],
    serious: bool,
) -> list[Finding]:
    """A test clip may be missing, its rows are answered without pictures; a training clip not."""
    found = finder.find(clip, subject)
    counts[f"clips_{found.state}"] += 1
    if found.state in (ClipState.frames, ClipState.video):
        return []
    said = {
        ClipState.single_image: "is a single image: no movement can be seen",
        ClipState.empty: "is a folder without images",
        ClipState.missing: "has no folder",
        ClipState.ambiguous: "is the name of several folders",
    }[found.state]
    grave = found.state is ClipState.ambiguous or (serious and not found.usable)
    return [Finding(f"clip_{found.state}", name, clip, said, grave)]


def _check_subjects(rows: Sequence[Trained]) -> list[Finding]:
    """Report people written in more than one way: folds take them as one, other code may not."""
    spellings: dict[str, set[str]] = {}
    for row in rows:
        spellings.setdefault(person(row.dataset, row.subject), set()).add(row.subject)
    return [
        Finding("subject_spelt_twice", "train", who, f"is written {', '.join(sorted(ways))}", False)
        for who, ways in spellings.items()
        if len(ways) > 1
    ]


def _check_sheet(
    dataset: str, path: Path, rows: Sequence[Trained], counts: Counter[str]
) -> list[Finding]:
    kinds = LVQA if dataset.startswith(LONG) else VQA
    dataset = dataset.removeprefix(LONG)
    layout = LAYOUTS.get(dataset)
    if layout is None:
        raise UserError(
            "unknown_dataset",
            f"No coding sheet is known of {dataset!r}, only {', '.join(LAYOUTS)}.",
        )
    coded = read_sheet(path, layout)
    counts["coded_clips"] += len(coded)
    name = path.name
    findings = []
    for item in coded:
        where = f"row {item.row}"
        if item.unread:
            said = f"{', '.join(item.unread)} is no action unit of the vocabulary"
            findings.append(Finding("unread_action_unit", name, where, said, False))
        frames = [
            f for f in (item.onset_frame, item.apex_frame, item.offset_frame) if f is not None
        ]
        if frames != sorted(frames):
            findings.append(Finding("times_out_of_order", name, where, f"{frames}", True))
    known = {(person(dataset, item.subject), item.clip) for item in coded}
    asked = {
        (person(row.dataset, row.subject), row.filename)
        for row in rows
        if row.dataset.strip().lower() == dataset
        and row.asked is not None
        and row.asked.kind in kinds
    }
    findings += [
        Finding("not_coded", name, f"{who}/{clip}", "is trained on but not in the sheet", False)
        for who, clip in sorted(asked - known)
    ]
    return findings


def _unknown(name: str, wordings: Mapping[str, int]) -> list[Finding]:
    return [
        Finding("unknown_question", name, f"{count} rows", f"nobody knows {text!r}", True)
        for text, count in wordings.items()
    ]

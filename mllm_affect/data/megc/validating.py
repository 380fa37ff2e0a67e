"""Whether the challenge's files, clips and coding sheets fit together.

Does: check what is given and list every finding with counts.  Does not: mend or print.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm_affect.data.megc.answers import contradictions, read_answer
from mllm_affect.data.megc.clip_folders import ClipFiles, ClipFinder, ClipState, number_gaps
from mllm_affect.data.megc.findings import Finding, Validation
from mllm_affect.data.megc.folds import person
from mllm_affect.data.megc.question_checks import check_question_file, unknown_wordings
from mllm_affect.data.megc.question_files import (
    QuestionFile,
    Trained,
    by_clip,
    read_question_file,
    read_train_file,
    unknown_questions,
)
from mllm_affect.data.megc.questions import Kind
from mllm_affect.data.megc.sheet_checks import check_sheet

GAPS_NAMED = 8
"""So many gaps in the numbers of a folder's images are named."""


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
        findings += check_sheet(dataset, path, every, finder, counts)
    return Validation(tuple(findings), dict(counts))


def _check_questions(
    file: QuestionFile, finder: ClipFinder | None, counts: Counter[str]
) -> list[Finding]:
    findings = check_question_file(file)
    counts["questions"] += len(file.rows)
    if finder is not None:
        for _, video in by_clip(file.rows):
            found = finder.find(video, dataset=file.dataset)
            findings += _check_clip(file.path.name, found, counts, serious=False)
    return findings


def _check_train(
    name: str, rows: Sequence[Trained], finder: ClipFinder | None, counts: Counter[str]
) -> list[Finding]:
    findings = unknown_wordings(name, unknown_questions(rows))
    clips: dict[tuple[str, str, str], list[Trained]] = {}
    for row in rows:
        clips.setdefault((row.dataset, row.subject, row.filename), []).append(row)
        if row.asked is None:
            continue
        try:
            read_answer(row.asked, row.answer)
        except ValueError as error:
            where = f"line {row.number}"
            # Units of long videos are learned from coding sheets, so an unknown name harms nothing.
            serious = row.asked.kind is not Kind.distinct_units
            findings.append(Finding("off_vocabulary", name, where, str(error), serious))
    for (dataset, subject, clip), of_clip in clips.items():
        answered = [(row.asked, row.answer) for row in of_clip if row.asked is not None]
        where = f"{dataset}/{subject}/{clip}"
        findings += [
            Finding("contradiction", name, where, sentence, False)
            for sentence in contradictions(answered)
        ]
        if finder is not None:
            found = finder.find(clip, subject, dataset)
            findings += _check_clip(name, found, counts, serious=True)
    counts["train_rows"] += len(rows)
    counts["train_clips"] += len(clips)
    return findings


def _check_clip(name: str, found: ClipFiles, counts: Counter[str], serious: bool) -> list[Finding]:
    """A test clip may be missing, its rows are answered without pictures; a training clip not."""
    counts[f"clips_{found.state}"] += 1
    if found.state in (ClipState.frames, ClipState.video):
        return _check_gaps(name, found)
    said = {
        ClipState.single_image: "is a single image: no movement can be seen",
        ClipState.empty: "is a folder without images",
        ClipState.missing: "has no folder",
        ClipState.ambiguous: "is the name of several folders",
    }[found.state]
    grave = found.state is ClipState.ambiguous or (serious and not found.usable)
    return [Finding(f"clip_{found.state}", name, found.name, said, grave)]


def _check_gaps(name: str, found: ClipFiles) -> list[Finding]:
    """Report numbers that a folder of numbered images leaves out: the clip is read without them."""
    gaps = number_gaps(found)
    if not gaps:
        return []
    shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in gaps]
    more = f" and {len(shown) - GAPS_NAMED} more" if len(shown) > GAPS_NAMED else ""
    said = f"lacks the images numbered {', '.join(shown[:GAPS_NAMED])}{more}"
    return [Finding("images_missing", name, found.name, said, False)]


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

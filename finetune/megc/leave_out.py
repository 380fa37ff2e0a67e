"""Who is kept for testing when rows are prepared.

Does: part training rows by person or dataset, and write the left-out ones as answered question
files, which `predict megc` and `evaluate megc` take.  Does not: choose whom.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mllm_affect.data.folding import Fold
from mllm_affect.data.megc.clip_folders import ClipFinder
from mllm_affect.data.megc.folds import (
    leave_one_dataset_out,
    leave_one_subject_out,
    person,
)
from mllm_affect.data.megc.question_files import TO_ANSWER, Task, Trained
from mllm_affect.errors import UserError
from mllm_affect.files import write_text

LEFT_OUT = "left_out"


def leave_out(rows: Sequence[Trained], left: str) -> Fold[Trained]:
    """Return the fold of which `left`, a person (`samm/6`) or a dataset (`samm`), is the test.

    Raises UserError `nobody_left_out` where no row is of them, or `too_few_folds`.
    """
    name = left.strip().lower()
    if "/" in name:
        name, folds = person(*name.split("/", 1)), list(leave_one_subject_out(rows))
    else:
        folds = list(leave_one_dataset_out(rows))
    for fold in folds:
        if fold.name == name:
            return fold
    known = ", ".join(fold.name for fold in folds[:8])
    raise UserError(
        "nobody_left_out", f"No training row is of {left!r}, which is to be left out; use {known}."
    )


def write_left_out(rows: Sequence[Trained], task: Task, finder: ClipFinder, out: Path) -> None:
    """Write rows as question files with their answers, one per dataset, into `out`/left_out.

    As in the organisers' files `video_id` is unique per row and `video` per clip.  `subject` says
    who is filmed.
    """
    by_set: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        found = finder.find(row.filename, row.subject, row.dataset).path
        clip = f"{person(row.dataset, row.subject)}/{row.filename}"
        counts[clip] += 1
        line = {
            "video_id": f"{clip}_{counts[clip]}",
            # People may share file names, so a clip without files is named with its subject.
            "video": f"{row.subject}/{row.filename}"
            if found is None
            else str(found.relative_to(finder.root)),
            "subject": row.subject,
            "question": row.text,
            "answer": row.answer,
        }
        text = json.dumps(line, ensure_ascii=False) + "\n"
        by_set.setdefault(row.dataset.strip().lower(), []).append(text)
    for dataset, lines in by_set.items():
        write_text(out / LEFT_OUT / f"me_{task}_{dataset}{TO_ANSWER}", "".join(lines))

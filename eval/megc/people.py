"""Who is filmed in a long video: the unit that is redrawn for the intervals of ME-LVQA.

Does: name a person from the truth file, the training file or the video's name, and say from which.
Does not: identify anybody from pictures.

The organisers' test files do not say who is filmed.  In this order: the key `subject` of the truth
file (files of people left out from training have it); the subject of the training rows about a clip
of that name, where there is exactly one; the three digits in a name of the documented shape
(`1_001_2`, `006_1`), which we take for the subject; else the video counts as a person of its own.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mllm_affect.data.megc.clip_folders import VIDEOS
from mllm_affect.data.megc.folds import person
from mllm_affect.data.megc.question_files import ClipKey, Question, Trained

Source = Literal["subject", "training file", "name", "nothing"]
"""What told who is filmed."""

_NAME = re.compile(r"(?:[0-9]{1,2}_)?(?P<subject>[0-9]{3})_[0-9]{1,2}")


@dataclass(frozen=True)
class Filmed:
    """A person's name, unique over datasets, and what told it."""

    person: str
    source: Source


def training_subjects(rows: Iterable[Trained]) -> dict[ClipKey, str]:
    """Return the subject of every clip name (by dataset) that training rows use for one person."""
    subjects: dict[ClipKey, dict[str, str]] = {}
    for row in rows:
        dataset = row.dataset.strip().lower()
        people = subjects.setdefault((dataset, _last_part(row.filename)), {})
        people.setdefault(person(dataset, row.subject), row.subject)
    return {clip: next(iter(some.values())) for clip, some in subjects.items() if len(some) == 1}


def filmed_in(row: Question, subjects: Mapping[ClipKey, str]) -> Filmed:
    """Return who is filmed in a row's video; `subjects` as `training_subjects` returns them."""
    if row.subject is not None:
        return Filmed(person(row.dataset, row.subject), "subject")
    name = _last_part(row.video)
    learned = subjects.get((row.dataset, name))
    if learned is not None:
        return Filmed(person(row.dataset, learned), "training file")
    shaped = _NAME.fullmatch(name)
    if shaped is not None:
        return Filmed(person(row.dataset, shaped["subject"]), "name")
    return Filmed(f"{row.dataset}/{row.video}", "nothing")


def _last_part(name: str) -> str:
    last = PurePosixPath(name.replace("\\", "/"))
    return last.stem if last.suffix.lower() in VIDEOS else last.name

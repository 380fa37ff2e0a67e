"""What a check of training rows says.

Does: hold limits, verdicts and the report.  Does not: check.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mllm_affect.data.bah.findings import Finding
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.task import Task

Fault = tuple[str, str]
"""Stable code and sentence."""

LONGEST_AUDIO_S = 30.0
"""Several versions of the libraries cut sound here without a word."""


class WrongRowError(Exception):
    """Something in a row that makes looking further pointless; never leaves this package."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault: Fault = (code, sentence)


@dataclass(frozen=True)
class RowLimits:
    """What rows are held to.  `tasks` empty: any question and any answer.

    `repeats_allowed`: the rows were balanced by repeating some.  `max_length` in tokens, answer
    included; None for no limit.
    """

    tasks: tuple[Task, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    max_seconds: float = LONGEST_AUDIO_S
    max_length: int | None = None
    repeats_allowed: bool = False


@dataclass(frozen=True)
class Tokens:
    """Tokens of one row by what they stand for."""

    text: int = 0
    video: int = 0
    audio: int = 0
    answer: int = 0

    @property
    def total(self) -> int:
        """The row's length in the trainer."""
        return self.text + self.video + self.audio + self.answer


@dataclass(frozen=True)
class RowVerdict:
    """One row: the file and line it stands in, what it asks and answers, and what is wrong."""

    file: str
    line: int
    findings: tuple[Finding, ...] = ()
    task: str | None = None
    answer: str | None = None
    tokens: Tokens | None = None

    @property
    def well(self) -> bool:
        """Whether it can be trained on."""
        return not any(finding.fault for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "verdict": "well" if self.well else "wrong"}


@dataclass(frozen=True)
class RowsReport:
    """Every row's verdict, and what concerns a file as a whole."""

    rows: tuple[RowVerdict, ...]
    files: tuple[Finding, ...] = ()
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def wrong(self) -> tuple[RowVerdict, ...]:
        """The rows that cannot be trained on."""
        return tuple(row for row in self.rows if not row.well)

    @property
    def fit(self) -> bool:
        """Whether everything can be trained on."""
        return not self.wrong and not any(finding.fault for finding in self.files)

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Everything that makes the rows unfit, files first."""
        of_rows = (finding for row in self.rows for finding in row.findings)
        return tuple(finding for finding in (*self.files, *of_rows) if finding.fault)

    def tokens(self) -> dict[str, dict[str, float]]:
        """Return mean and most tokens a row, by modality and in total."""
        counted = [row.tokens for row in self.rows if row.tokens is not None]
        kinds = ("text", "video", "audio", "answer", "total")
        columns = {kind: [getattr(tokens, kind) for tokens in counted] for kind in kinds}
        return {
            kind: {"mean": round(sum(found) / len(found), 1), "most": max(found)}
            for kind, found in columns.items()
            if found
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "fit": self.fit,
            "rows": len(self.rows),
            "wrong": len(self.wrong),
            "files": [asdict(finding) for finding in self.files],
            "answers": {task: dict(counts) for task, counts in self.answers.items()},
            "tokens": self.tokens(),
            "verdicts": [row.as_dict() for row in self.rows],
        }

"""What a check of a release says.

Does: hold findings and verdicts.  Does not: check.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing found; `code` is stable, `where` names a line, a video or a participant.

    A `fault` makes the release unfit; otherwise it is only worth knowing.
    """

    code: str
    where: str
    sentence: str
    fault: bool = True


@dataclass(frozen=True)
class Verdict:
    """One check: its name, how many things it looked at and what it found."""

    check: str
    looked_at: int
    findings: tuple[Finding, ...] = ()

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What makes the release unfit."""
        return tuple(finding for finding in self.findings if finding.fault)

    @property
    def notices(self) -> tuple[Finding, ...]:
        """What is only worth knowing."""
        return tuple(finding for finding in self.findings if not finding.fault)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "check": self.check,
            "looked_at": self.looked_at,
            "faults": [asdict(finding) for finding in self.faults],
            "notices": [asdict(finding) for finding in self.notices],
        }


def all_well(verdicts: Sequence[Verdict]) -> bool:
    """Whether no check found a fault."""
    return not any(verdict.faults for verdict in verdicts)

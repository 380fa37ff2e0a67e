"""What checking the challenge's files found.

Does: describe findings and their sum.  Does not: check (see validating) or print.

A finding is serious when training or submitting would go wrong because of it; the rest is to know.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


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

"""What the participants agreed to.

Does: read the two consent fields of `meta_data.yml`.  Does not: keep anything else of that file,
which holds demographics.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mllm_affect.data.bah.layout import PARTICIPANTS, key_of
from mllm_affect.data.bah.safe_yaml import mapping

CHALLENGES = "Use in challenges"
PUBLICATIONS = "Use in publications"


@dataclass(frozen=True)
class Consent:
    """Whether one participant's data may be used for challenges, and shown in publications.

    None: the file does not say.
    """

    challenges: bool | None
    publications: bool | None


def read_consent(folder: Path) -> dict[str, Consent]:
    """Return consent by participant; empty where the release has no such file."""
    path = folder / PARTICIPANTS
    if not path.is_file():
        return {}
    return {
        key_of(name): Consent(_yes(facts, CHALLENGES), _yes(facts, PUBLICATIONS))
        for name, facts in mapping(path).items()
        if isinstance(facts, Mapping)
    }


def _yes(facts: Mapping[str, Any], field: str) -> bool | None:
    value = next((facts[name] for name in facts if name.lower() == field.lower()), None)
    if isinstance(value, bool):
        return value
    return {"yes": True, "no": False}.get(str(value).strip().lower())

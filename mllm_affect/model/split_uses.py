"""Which splits of a labelled set a checkpoint was made with.

Does: read from manifest.json and scoring.json beside the weights which split trained it, which one
chose it among several checkpoints and which one calibrated it, and say so.  Does not: write these
files, or judge sets that the checkpoint was not made with.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST_NAME = "manifest.json"
SCORING_NAME = "scoring.json"

TRAINING, SELECTION, CALIBRATION = "training", "selection", "calibration"


@dataclass(frozen=True)
class SplitUse:
    """One use of a split: what for, its name, and the hash of the labelled set it belongs to."""

    purpose: str
    split: str
    examples_sha256: str


def split_uses(checkpoint: Path) -> tuple[SplitUse, ...]:
    """Return the uses that the checkpoint's own files state; none for one made elsewhere."""
    manifest = _read(checkpoint / MANIFEST_NAME)
    scoring = _read(checkpoint / SCORING_NAME)
    return tuple(dict.fromkeys((*_of_training(manifest), *_of_calibration(scoring))))


def purposes(
    uses: tuple[SplitUse, ...], examples_sha256: str, split: str | None
) -> tuple[str, ...]:
    """Return what `split` of that labelled set was used for; every split where it is None."""
    return tuple(
        dict.fromkeys(
            use.purpose
            for use in uses
            if use.examples_sha256 == examples_sha256 and split in (None, use.split)
        )
    )


def sentence(found: tuple[str, ...], split: str | None) -> str:
    """Say that figures on a used split flatter; empty where it was not used."""
    if not found:
        return ""
    named = "Part of these videos" if split is None else f"Split {split!r}"
    return (
        f"{named} was used for {' and '.join(found)} of this checkpoint, so these figures are "
        "higher than on new people; report those of another split."
    )


def _of_training(manifest: Mapping[str, Any]) -> Iterator[SplitUse]:
    rows, recipe = manifest.get("rows"), manifest.get("recipe")
    if not isinstance(rows, Mapping) or not isinstance(recipe, Mapping):
        return
    known = rows.get("examples_sha256")
    if not isinstance(known, str):
        return
    yield SplitUse(TRAINING, str(recipe.get("split", "train")), known)
    evaluation = recipe.get("evaluation")
    if isinstance(evaluation, Mapping) and manifest.get("evaluations"):
        yield SplitUse(SELECTION, str(evaluation.get("split", "val")), known)


def _of_calibration(scoring: Mapping[str, Any]) -> Iterator[SplitUse]:
    tasks = scoring.get("tasks")
    for entry in tasks.values() if isinstance(tasks, Mapping) else ():
        made = entry.get("made_from") if isinstance(entry, Mapping) else None
        if isinstance(made, Mapping) and made.get("split") and made.get("examples_sha256"):
            yield SplitUse(CALIBRATION, str(made["split"]), str(made["examples_sha256"]))


def _read(path: Path) -> Mapping[str, Any]:
    """Return a JSON object; an empty one where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

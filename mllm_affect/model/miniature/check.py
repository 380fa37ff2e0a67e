"""Holding a miniature's folder to its manifest.

Does: compare files with their hashes, and measure again.  Does not: build.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mllm_affect.model.miniature.manifest import differences, read_manifest

if TYPE_CHECKING:
    from mllm_affect.model.miniature.clip_set import Progress

TOLERANCE = 0.02
"""How far a figure may fall when another machine adds numbers in another order."""


@dataclass(frozen=True)
class Figure:
    """An accuracy now beside the one in the manifest."""

    name: str
    noted: float
    measured: float

    @property
    def holds(self) -> bool:
        """Whether it is no lower than noted; ablations are held to chance elsewhere."""
        return self.name.startswith("ah_without") or self.measured >= self.noted - TOLERANCE


def check_files(folder: Path) -> list[str]:
    """Return what differs from the manifest, a sentence each.  Raises UserError `no_manifest`."""
    return differences(folder)


def check_figures(folder: Path, progress: "Progress | None" = None) -> list[Figure]:
    """Measure the checkpoint on the manifest's held-out clips.  Takes about half a minute."""
    from mllm_affect.model.miniature.build import measure
    from mllm_affect.model.miniature.checkpoint import load_checkpoint

    manifest = read_manifest(folder)
    model, processor = load_checkpoint(folder)
    now = measure(model, processor, manifest["held_out"]["clips"], progress)
    return [Figure(name, manifest["figures"][name], now[name]) for name in manifest["figures"]]

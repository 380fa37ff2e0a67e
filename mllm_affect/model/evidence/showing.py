"""The action-unit graph as a picture: the prior's edges, and how strong training made them.

Does: read learned strengths from a checkpoint and draw.  Does not: run the model.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.model.evidence.prior import EXCLUDES, Prior

PREFIX = "thinker.evidence_projector."


def learned_strengths(checkpoint: Path) -> tuple[tuple[int, ...], NDArray[np.float32]]:
    """Return a checkpoint's units and the learned strength of each edge (A, A), rows listen.

    Mean over rounds and heads; a positive strength draws more attention than the content alone.
    Raises UserError `bad_checkpoint` where there is no graph to read.
    """
    from safetensors import safe_open

    try:
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
        units = tuple(config["thinker_config"]["evidence"]["projector"]["units"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError("bad_checkpoint", f"{checkpoint} has no evidence projector.") from error
    found: list[Any] = []
    for path in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(path, framework="pt") as weights:
            found += [
                weights.get_tensor(name).float().numpy().mean(0)
                for name in weights.keys()  # noqa: SIM118  not a mapping
                if name.startswith(PREFIX) and name.endswith("strength_HAA")
            ]
    if not found:
        raise UserError("bad_checkpoint", f"The graph of {checkpoint} has no messages to show.")
    return units, np.asarray(np.mean(found, axis=0), dtype=np.float32)


def draw_graph(prior: Prior, strengths_AA: NDArray[np.float32] | None, target: Path) -> None:
    """Draw the units on a circle with their edges: dashed ones exclude, width is strength."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    count = len(prior.units)
    angles = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    figure, axes = pyplot.subplots(figsize=(6, 6), dpi=120)
    largest = 1.0 if strengths_AA is None else max(1e-9, float(np.abs(strengths_AA).max()))
    for i in range(count):
        for j in range(count):
            if i == j or not prior.mask_AA[i, j]:
                continue
            share = 0.5 if strengths_AA is None else abs(float(strengths_AA[i, j])) / largest
            excludes = prior.kinds_AA[i, j] == EXCLUDES
            axes.annotate(
                "", xy=0.9 * places[i] + 0.1 * places[j], xytext=0.9 * places[j] + 0.1 * places[i],
                arrowprops={
                    "arrowstyle": "->", "linewidth": 0.5 + 3.0 * share,
                    "linestyle": "--" if excludes else "-",
                    "color": "firebrick" if excludes else "steelblue",
                    "connectionstyle": "arc3,rad=0.08",
                },
            )  # fmt: skip
    for unit, (x, y) in zip(prior.units, places, strict=True):
        axes.text(x, y, f"AU{unit}", ha="center", va="center", fontsize=12,
                  bbox={"boxstyle": "circle", "facecolor": "white"})  # fmt: skip
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    axes.axis("off")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, bbox_inches="tight")
    pyplot.close(figure)

"""Two sets of predictions about the same clips.

Does: the share of questions that each answers right, and the difference with its interval; as for
all figures, the clips of task 1 and the people of task 2 are redrawn.
Does not: score as the challenge does (see summary).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eval.intervals import Interval, by_participant
from eval.megc.pairs import Pair
from mllm_affect.data.megc.questions import Kind
from mllm_affect.errors import UserError


@dataclass(frozen=True)
class Comparison:
    """Shares of questions answered right; `interval`: 95 %, of ours - theirs.

    `redrawn`: how many clips or people (`unit`) were redrawn for it.
    """

    questions: int
    clips: int
    redrawn: int
    ours: float
    theirs: float
    interval: Interval
    unit: str = "clips"

    @property
    def difference(self) -> float:
        """How much larger our share is."""
        return self.ours - self.theirs

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "difference": self.difference}

    def sentence(self) -> str:
        """Return it as one sentence."""
        return (
            f"{self.ours:.3f} of {self.questions} answers are right against {self.theirs:.3f}: "
            f"{self.difference:+.3f}, 95 % interval {self.interval.low:+.3f} to "
            f"{self.interval.high:+.3f} over {self.redrawn} {self.unit}."
        )


def compare(ours: Sequence[Pair], theirs: Sequence[Pair], seed: int = 0) -> Comparison:
    """Compare answers to the same questions in the same order, sentences left out.

    Raises UserError `no_rows` where none is left.
    """
    kept = [
        (one, other)
        for one, other in zip(ours, theirs, strict=True)
        if one.asked is None or one.asked.kind is not Kind.analysis
    ]
    if not kept:
        raise UserError("no_rows", "There is no question to compare answers to.")
    right_N2 = np.array([[is_right(one), is_right(other)] for one, other in kept], dtype=float)
    difference_N = right_N2[:, 0] - right_N2[:, 1]
    redrawn = [one.redrawn for one, _ in kept]
    interval = by_participant(lambda rows: float(difference_N[rows].mean()), redrawn, seed)
    shares = right_N2.mean(axis=0)
    return Comparison(
        questions=len(kept),
        clips=len({one.clip for one, _ in kept}),
        redrawn=len(set(redrawn)),
        ours=float(shares[0]),
        theirs=float(shares[1]),
        interval=interval,
        unit="clips" if kept[0][0].filmed is None else "people",
    )


def is_right(pair: Pair) -> bool:
    """Whether the answer says what the truth says, in whatever order and case."""
    return pair.answered and _words(pair.truth) == _words(pair.said)


def _words(answer: str | int) -> frozenset[str]:
    return frozenset(part.strip() for part in str(answer).casefold().split(","))

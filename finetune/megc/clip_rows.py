"""What is asked of short clips in training, and the right answers.

Does: choose questions by label and draw which action units are asked about.  Does not: read frames.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mllm_affect.data.megc.labels import ClipLabel
from mllm_affect.data.megc.vocabulary import ACTION_UNITS, in_order
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task

COARSE, FINE, UNIT, SHOWN, SIDE = "coarse", "fine", "unit", "unit_shown", "unit_side"

Question = tuple[str, Task, str]
"""Kind, task and the right answer."""


def clip_questions(
    label: ClipLabel,
    family: Family,
    others: Sequence[str],
) -> list[Question]:
    """Return every question about a clip; `others` are the units asked about that it lacks.

    A fine class that the family's answers lack (contempt, repression) is not asked for; the coarse
    class is.
    """
    asked: list[Question] = []
    for kind, answer in ((COARSE, label.coarse), (FINE, label.fine)):
        task = family.task(kind)
        if answer is not None and answer in task.answers:
            asked.append((kind, task, answer))
    if len(label.units) == 1:
        asked.append((UNIT, family.task(UNIT), label.units[0]))
    asked += shown_questions(family, label.units, others)
    for unit, side in label.sides.items():
        asked.append((SIDE, family.task(SIDE, unit=unit), side))
    return asked


def shown_questions(family: Family, units: Sequence[str], others: Sequence[str]) -> list[Question]:
    """Return the questions whether units are shown: yes for `units`, no for `others`."""
    answers = [(unit, "yes") for unit in units] + [(unit, "no") for unit in others]
    return [(SHOWN, family.task(SHOWN, unit=unit), answer) for unit, answer in answers]


class Absent:
    """Draws action units that a clip does not show: of the challenge's 25 and of those in `shown`.

    Half of them are units that other clips show, the more often the more frequent, so that asking
    for a unit says nothing about the answer; half are those that nobody shows.
    """

    def __init__(self, shown: Sequence[Sequence[str]], no_per_yes: float, seed: int) -> None:
        names = in_order([*ACTION_UNITS, *(name for units in shown for name in units)])
        counts = {name: sum(name in units for units in shown) for name in names}
        self._counts: Mapping[str, int] = counts
        self._share, self._random = no_per_yes, np.random.default_rng((seed, 25))

    def draw(self, units: Sequence[str]) -> list[str]:
        """Return units besides `units`, `no_per_yes` for each of these."""
        others = [name for name in self._counts if name not in units]
        wanted = min(len(others), round(self._share * max(1, len(units))))
        counts_N = np.array([self._counts[name] for name in others], dtype=np.float64)
        never_N = (counts_N == 0).astype(np.float64)
        weights_N = counts_N / max(1.0, counts_N.sum()) + never_N / max(1.0, never_N.sum())
        chosen = self._random.choice(
            len(others), wanted, replace=False, p=weights_N / weights_N.sum()
        )
        return [others[place] for place in sorted(chosen)]

"""What the model is asked about a clip, so that all of the challenge's questions can be answered.

Does: list the tasks whose probabilities make one profile of a clip.  Does not: ask.
"""

from collections.abc import Iterable

from mllm_affect.data.megc.questions import ONE_UNIT, Asked, Kind
from mllm_affect.data.megc.vocabulary import ACTION_UNITS
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task


def clip_tasks(questions: Iterable[Asked], family: Family) -> dict[Asked, Task]:
    """Return each thing to ask with its task: both classes and every action unit.

    Where the questions say that there is one action unit, also which one it is; where they ask for
    a side, also the side.
    """
    asked = list(questions)
    wanted = [Asked(Kind.coarse), Asked(Kind.fine)]
    wanted += [Asked(Kind.unit_shown, unit=name) for name in ACTION_UNITS]
    if any(item.kind in ONE_UNIT for item in asked):
        wanted.append(Asked(Kind.unit))
    wanted += [item for item in asked if item.kind is Kind.unit_side]
    return {item: _task(item, family) for item in dict.fromkeys(wanted)}


def _task(asked: Asked, family: Family) -> Task:
    named = {"unit": asked.unit} if asked.unit is not None else {}
    return family.task(asked.kind, **named)

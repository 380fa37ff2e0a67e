"""Scanning a long video: what the model says of every window of it.

Does: ask of every window whether the face shows an expression, and where it may, which type and
which action units.  Does not: cut windows (see windows) or make events of them
(scoring.video_events).
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice

from mllm_affect.data.megc.vocabulary import ACTION_UNITS
from mllm_affect.engine.types import Engine
from mllm_affect.expressions.asking import ask_clips
from mllm_affect.media.types import Clip
from mllm_affect.scoring.video_events import DEFAULT_RULE, MICRO, EventRule, Window
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task

WINDOWS_AT_ONCE = 32
"""Windows in memory and with the engine."""

EVENT, TYPE, UNIT = "event_here", "type_here", "unit_shown"
"""Kinds of the family that are asked of a window."""


@dataclass(frozen=True)
class WindowTasks:
    """What is asked of a window: of every one, and of those that may show an expression."""

    event: Task
    closer: dict[str, Task]


def window_tasks(family: Family, other_units: Collection[str] = ()) -> WindowTasks:
    """Return the tasks of a family: the challenge's action units and `other_units` are asked about.

    Raises UserError `unknown_task` where the family lacks a kind.
    """
    units = {name: family.task(UNIT, unit=name) for name in (*ACTION_UNITS, *other_units)}
    return WindowTasks(family.task(EVENT), {TYPE: family.task(TYPE), **units})


def scan(
    windows: Iterable[Clip],
    tasks: WindowTasks,
    engine: Engine,
    rule: EventRule = DEFAULT_RULE,
    report: Callable[[float], None] = lambda _end_s: None,
) -> list[Window]:
    """Return what the model says of each window, in order.

    A window below the rule's `floor` cannot belong to an event by itself, so nothing more is asked
    about it.  `report` is called with how far the scan is, in seconds.  Raises EngineError.
    """
    coming = iter(windows)
    said: list[Window] = []
    while some := list(islice(coming, WINDOWS_AT_ONCE)):
        said += _ask_about(some, tasks, engine, rule)
        report(some[-1].segment.end_s)
    return said


def _ask_about(
    some: list[Clip], tasks: WindowTasks, engine: Engine, rule: EventRule
) -> list[Window]:
    probable = [found[EVENT]["yes"] for found in ask_clips(some, {EVENT: tasks.event}, engine)]
    closer = [clip for clip, value in zip(some, probable, strict=True) if value >= rule.floor]
    told = iter(ask_clips(closer, tasks.closer, engine) if closer else ())
    windows = []
    for clip, value in zip(some, probable, strict=True):
        start_s, end_s = clip.segment.start_s, clip.segment.end_s
        if value < rule.floor:
            windows.append(Window(start_s, end_s, value))
            continue
        found = next(told)
        units = {name: found[name]["yes"] for name in tasks.closer if name != TYPE}
        windows.append(Window(start_s, end_s, value, units, found[TYPE][MICRO]))
    return windows

"""What a claim is: a figure, the goal it must reach, the command that makes it.

Does: judge one figure and write it with its unit.  Does not: measure, hold results.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What a figure must reach: `at_least` or `at_most`, in the figure's unit."""

    at_least: float | None = None
    at_most: float | None = None

    def reached(self, value: float) -> bool:
        """Whether `value` is good enough."""
        enough = self.at_least is None or value >= self.at_least
        return enough and (self.at_most is None or value <= self.at_most)

    def text(self, unit: str) -> str:
        """Say the goal in words."""
        if self.at_least is not None:
            return f"at least {show(self.at_least, unit)}"
        return f"at most {show(self.at_most or 0.0, unit)}"


@dataclass(frozen=True)
class Claim:
    """One claim: its name, its goal, the command that makes the figure, and how to measure it."""

    name: str
    goal: Goal
    unit: str
    command: str
    measure: Callable[[], float]


def show(value: float, unit: str) -> str:
    """Write a figure with its unit; shares as percentages, whole numbers without decimals."""
    if unit == "%":
        return f"{100 * value:.1f} %"
    number = f"{value:.0f}" if value == int(value) else f"{value:.3f}"
    return f"{number} {unit}".strip()

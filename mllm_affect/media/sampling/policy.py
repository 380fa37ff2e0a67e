"""How frames of a segment are chosen: named settings, part of every sampling.

Does: describe the policies, and say how often each looks and how many frames it gives at most.
Does not: see a frame (see model_frames).  See docs/design/0021.
"""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError

SAME_TIME_S = 1e-6
"""Timestamps closer than this are one moment (floats of rational times)."""

GRID = 25.0
"""Times a second at which a fixed count may choose: the segment's end is not known before."""

MOST_FRAMES, FASTEST = 512, 1000.0


def sample_count(duration_s: float, fps: float, phase: float = 0.0) -> int:
    """Return how many of the times (k + phase) / fps lie before a segment's end; at least one."""
    return max(1, math.ceil(duration_s * fps - phase - SAME_TIME_S))


@dataclass(frozen=True)
class Uniform:
    """Frames at the rate at which the model is shown them: the whole segment in its own time."""

    kind: Literal["uniform"] = "uniform"
    phase: ClassVar[float] = 0.0

    def looks_per_second(self, fps: float) -> float:
        """Return how often a frame may be chosen; `fps` is the rate shown to the model."""
        return fps

    def most_frames(self, duration_s: float, fps: float) -> int:
        """Return how many frames a segment of this length gives at most."""
        # One more where the end was not known, and one more to make them even.
        return math.ceil(duration_s * fps) + 2


@dataclass(frozen=True)
class FixedCount:
    """`count` frames over the segment, however long it is: each from the middle of its share.

    Frame k is on show at grid point floor((k + 1/2) n / count) of the n that the segment holds.
    Raises UserError `bad_sampling` for a senseless count.
    """

    count: int = 8
    kind: Literal["fixed_count"] = "fixed_count"
    phase: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_FRAMES:
            raise UserError(
                "bad_sampling", f"count is {self.count}; give 1 to {MOST_FRAMES} frames."
            )

    def looks_per_second(self, _fps: float) -> float:
        """Return how often a frame may be chosen."""
        return GRID

    def most_frames(self, _duration_s: float, _fps: float) -> int:
        """Return how many frames a segment gives at most."""
        return self.count + self.count % 2

    def points(self, duration_s: float) -> NDArray[np.int64]:
        """Return the grid points of a segment."""
        held = sample_count(duration_s, GRID)
        return ((np.arange(self.count) + 0.5) * held / self.count).astype(np.int64)


@dataclass(frozen=True)
class MotionPeak:
    """The `count` frames around the strongest motion, `rate` a second whatever the video's rate.

    Micro-expressions last under half a second: at 30 looks a second 16 frames hold one whole, be
    it filmed at 30, 100 or 200 frames a second.  A segment that holds no more looks than `count`
    gives them all.  `align: face` looks for motion in the face and shows nothing else, cut out so
    that its landmarks come to the same place in every video.  Raises UserError `bad_sampling` for
    senseless settings.
    """

    count: int = 16
    rate: float = 30.0
    align: Literal["face"] | None = None
    kind: Literal["motion_peak"] = "motion_peak"
    phase: ClassVar[float] = 0.3
    """Between the frames of common rates: on them, rounded timestamps decide which is on show."""

    def __post_init__(self) -> None:
        if not 2 <= self.count <= MOST_FRAMES or not 1 <= self.rate <= FASTEST:
            raise UserError(
                "bad_sampling",
                f"count is {self.count} and rate {self.rate:g}; give 2 to {MOST_FRAMES} frames, "
                f"1 to {FASTEST:g} a second.",
            )

    def looks_per_second(self, _fps: float) -> float:
        """Return how often a frame may be chosen."""
        return self.rate

    def most_frames(self, _duration_s: float, _fps: float) -> int:
        """Return how many frames a segment gives at most."""
        return self.count + self.count % 2


class _ByKind:
    """Tells pydantic, where a policy stands in a prompt file, that `kind` says which one it is."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        choices = {
            next(str(field.default) for field in fields(one) if field.name == "kind"): one
            for one in (Uniform, FixedCount, MotionPeak)
        }
        return core_schema.tagged_union_schema(
            {kind: handler.generate_schema(one) for kind, one in choices.items()},
            discriminator="kind",
        )


UNIFORM = Uniform()
SamplingPolicy = Annotated[Uniform | FixedCount | MotionPeak, _ByKind()]
"""In a prompt file: `policy: {kind: motion_peak, count: 16, rate: 30, align: face}`."""

"""What a made face does over time: action units, gaze, head turn and blinks.

Does: give every movement an onset, an apex that holds and an offset.  Does not: draw, or know
the voice: the lips move by a clock of their own, so that pauses cannot be read off them.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Emotion = Literal["positive", "negative", "surprised", "neutral"]
Gaze = Literal["ahead", "left", "right", "up", "down"]

EMOTION_UNITS: dict[str, dict[str, float]] = {
    "positive": {"AU6": 0.8, "AU12": 1.0},
    "negative": {"AU4": 1.0, "AU15": 0.9},
    "surprised": {"AU1": 1.0, "AU2": 1.0, "AU5": 0.7, "AU26": 0.8},
    "neutral": {},
}
"""Action units (Facial Action Coding System) of each coarse emotion, at full strength."""

MOST_UNITS = max(len(units) for units in EMOTION_UNITS.values())

GAZE_DIRECTIONS: dict[str, tuple[float, float]] = {
    "ahead": (0.0, 0.0),
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -0.8),
    "down": (0.0, 0.9),
}
"""Where the irises go in the picture: x to the right, y down, 1 is as far as they can."""

BLINK_S = 0.24


@dataclass(frozen=True)
class Pose:
    """The face at one moment.  Units 0 to 1; `eyelids` 1 is open; `turn`, `tilt` -1 to 1."""

    units: dict[str, float]
    gaze_x: float
    gaze_y: float
    eyelids: float
    turn: float
    tilt: float
    jaw: float


@dataclass(frozen=True)
class Span:
    """A movement: zero until `onset_s`, full from `apex_s` to `offset_s`, zero after `end_s`."""

    onset_s: float
    apex_s: float
    offset_s: float
    end_s: float
    strength: float

    def at(self, time_s: float) -> float:
        """Return the strength at a time, with smooth flanks."""
        rise = (time_s - self.onset_s) / max(self.apex_s - self.onset_s, 1e-6)
        fall = (self.end_s - time_s) / max(self.end_s - self.offset_s, 1e-6)
        level = float(np.clip(min(rise, fall), 0.0, 1.0))
        return self.strength * level * level * (3.0 - 2.0 * level)


@dataclass(frozen=True)
class Performance:
    """All movements of one clip; `pose` reads them at a time."""

    units: dict[str, Span]
    gaze: Gaze
    gaze_span: Span
    gaze_drift_x: float
    gaze_drift_y: float
    blinks_s: tuple[float, ...]
    turn: Span
    tilt: float
    jaw_rates_hz: tuple[float, float]
    jaw_phases: tuple[float, float]

    def pose(self, time_s: float) -> Pose:
        """Return the face at `time_s` seconds from the clip's start."""
        x, y = GAZE_DIRECTIONS[self.gaze]
        share = self.gaze_span.at(time_s)
        closed = max((_closed(time_s - blink) for blink in self.blinks_s), default=0.0)
        waves = [
            np.sin(2.0 * np.pi * (rate * time_s + phase))
            for rate, phase in zip(self.jaw_rates_hz, self.jaw_phases, strict=True)
        ]
        return Pose(
            units={name: span.at(time_s) for name, span in self.units.items()},
            gaze_x=x * share + self.gaze_drift_x,
            gaze_y=y * share + self.gaze_drift_y,
            eyelids=1.0 - closed,
            turn=self.turn.at(time_s),
            tilt=self.tilt,
            jaw=float(np.clip(0.3 + 0.25 * (waves[0] + waves[1]), 0.0, 1.0)),
        )


def perform(
    random: np.random.Generator, duration_s: float, emotion: Emotion, gaze: Gaze
) -> Performance:
    """Draw the movements of one clip of `duration_s` seconds.

    Emotion and gaze change only what they name: everything else is drawn the same from a seed.
    """
    feeling = _span(random, duration_s, strength=float(random.uniform(0.7, 1.0)))
    unevenness = random.uniform(0.85, 1.0, MOST_UNITS)
    turn = _span(random, duration_s, strength=float(random.uniform(-0.8, 0.8)))
    drift = random.uniform(-0.12, 0.12, 2)
    return Performance(
        units={
            name: replace(feeling, strength=feeling.strength * full * float(share))
            for (name, full), share in zip(EMOTION_UNITS[emotion].items(), unevenness, strict=False)
        },
        gaze=gaze,
        gaze_span=_span(random, duration_s, strength=float(random.uniform(0.85, 1.0))),
        gaze_drift_x=float(drift[0]),
        gaze_drift_y=float(drift[1]),
        blinks_s=_blinks(random, duration_s),
        turn=turn,
        tilt=float(random.uniform(-0.6, 0.6)),
        jaw_rates_hz=(float(random.uniform(1.5, 2.5)), float(random.uniform(3.0, 4.5))),
        jaw_phases=(float(random.random()), float(random.random())),
    )


def _span(random: np.random.Generator, duration_s: float, strength: float) -> Span:
    """Draw a movement whose apex holds for at least three fifths of the clip."""
    slack = 0.4 * duration_s
    before = float(random.uniform(0.0, slack))
    after = slack - before
    rise, fall = min(0.3, before), min(0.3, after)
    return Span(before - rise, before, duration_s - after, duration_s - after + fall, strength)


def _blinks(random: np.random.Generator, duration_s: float) -> tuple[float, ...]:
    count = int(random.poisson(0.25 * duration_s))
    return tuple(sorted(float(time) for time in random.uniform(0.0, duration_s, count)))


def _closed(since_s: float) -> float:
    """Return how far a blink that began `since_s` ago has closed the eye."""
    if not 0.0 <= since_s <= BLINK_S:
        return 0.0
    return float(min(1.0, 1.6 * np.sin(np.pi * since_s / BLINK_S)))

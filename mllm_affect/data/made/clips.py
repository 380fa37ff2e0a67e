"""A made clip: its specification, its content and the facts about it.

Does: draw and sound a clip from a specification, the same every time; plan sets of clips in
which neither modality alone tells the label.  Does not: write files (see folders) or train.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.made.acting import Emotion, Gaze, Performance, perform
from mllm_affect.data.made.drawing import Painter, draw_light
from mllm_affect.data.made.people import SPLITS, Split, draw_face, draw_voice
from mllm_affect.data.made.speaking import speak
from mllm_affect.errors import UserError

FRAME_RATE = 12
"""Frames a second of a made video file."""

SHORTEST_FRAMES = 1 * FRAME_RATE
LONGEST_FRAMES = 5 * FRAME_RATE

PEOPLE = {"train": 240, "test": 60}
"""How many faces, and how many voices, each split has."""

PLAN_SIZE = 4
"""A plan has this many clips or a multiple: both voices with each of two faces."""

AVERTED: tuple[Gaze, ...] = ("left", "right", "up", "down")


@dataclass(frozen=True)
class ClipSpec:
    """Everything that a made clip is drawn from.  `frames` counts frames at FRAME_RATE."""

    seed: int
    split: Split
    face: int
    voice: int
    light: int
    frames: int
    emotion: Emotion
    gaze: Gaze
    halting: bool

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / FRAME_RATE

    @property
    def ambivalent(self) -> bool:
        """The label: the voice halts though the face does not fit that, or the reverse.

        Halting speech with averted gaze or a positive or surprised face, or fluent speech with a
        negative face.
        """
        if self.halting:
            return self.gaze != "ahead" or self.emotion in ("positive", "surprised")
        return self.emotion == "negative"

    @property
    def labels(self) -> dict[str, str]:
        """Answers by the name of the question; `ah_demo` is `ah` in another wording."""
        ambivalent = "yes" if self.ambivalent else "no"
        return {
            "ah": ambivalent,
            "ah_demo": ambivalent,
            "emotion": self.emotion,
            "gaze": self.gaze,
            "voice": "halting" if self.halting else "fluent",
        }


@dataclass(frozen=True)
class MadeClip:
    """A clip's content: frames_THWC uint8 RGB at FRAME_RATE, audio_S int16 mono at 16 kHz."""

    spec: ClipSpec
    frames_THWC: NDArray[np.uint8]
    audio_S: NDArray[np.int16]
    performance: Performance


def plan_clips(count: int, split: Split, seed: int) -> list[ClipSpec]:
    """Return `count` specifications in which each modality alone gives exactly half of each label.

    Clips come in fours: a face that goes against halting speech and a face that goes against
    fluent speech, each with both voices.  So every state of the face, and every manner of
    speaking, is as often labelled yes as no.  Raises UserError `bad_count`.
    """
    if count < PLAN_SIZE or count % PLAN_SIZE:
        raise UserError(
            "bad_count",
            f"{count} made clips cannot be balanced; ask for a multiple of {PLAN_SIZE}.",
        )
    random = np.random.default_rng((seed, SPLITS.index(split)))
    specs: list[ClipSpec] = []
    for _ in range(count // PLAN_SIZE):
        states: tuple[tuple[Emotion, Gaze], ...] = (
            draw_event(random),
            ("negative", "ahead"),
        )
        for emotion, gaze in states:
            for halting in (True, False):
                specs.append(
                    ClipSpec(
                        seed=int(random.integers(2**31)),
                        split=split,
                        face=int(random.integers(PEOPLE[split])),
                        voice=int(random.integers(PEOPLE[split])),
                        light=int(random.integers(2**31)),
                        frames=int(random.integers(SHORTEST_FRAMES, LONGEST_FRAMES + 1)),
                        emotion=emotion,
                        gaze=gaze,
                        halting=halting,
                    )
                )
    order = random.permutation(len(specs))
    return [specs[index] for index in order]


def make_clip(spec: ClipSpec) -> MadeClip:
    """Draw and sound the clip at its full frame rate; the same specification gives the same."""
    performance, painter, audio_S = _cast(spec)
    frames = [painter.draw(performance.pose(index / FRAME_RATE)) for index in range(spec.frames)]
    return MadeClip(spec, np.stack(frames), audio_S, performance)


def make_model_clip(
    spec: ClipSpec, fps: float, side: int
) -> tuple[NDArray[np.uint8], NDArray[np.int16], Performance]:
    """Return what reading the clip's file would give the model, short of what codecs lose.

    frames_THWC: the frames shown at 0, 1/fps, 2/fps ... seconds, scaled to `side` pixels, an even
    number of them; audio_S: cut to whole 10 ms.  Draws only these frames.
    """
    performance, painter, audio_S = _cast(spec)
    frames = []
    for index in sampled_frames(spec.frames, fps):
        picture = painter.draw(performance.pose(index / FRAME_RATE))
        frames.append(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
    return np.stack(frames), audio_S[: audio_S.size // 160 * 160], performance


def sampled_frames(frames: int, fps: float) -> list[int]:
    """Return which of a clip's frames are shown at multiples of 1/fps, padded to an even count."""
    times = np.arange(0.0, frames / FRAME_RATE - 1e-9, 1.0 / fps)
    indices = [int(time * FRAME_RATE + 1e-6) for time in times]
    if len(indices) % 2:
        indices.append(indices[-1])
    return indices


def _cast(spec: ClipSpec) -> tuple[Performance, Painter, NDArray[np.int16]]:
    acting, speaking = np.random.default_rng(spec.seed).spawn(2)
    performance = perform(acting, spec.duration_s, spec.emotion, spec.gaze)
    light = draw_light(np.random.default_rng(spec.light))
    painter = Painter(draw_face(spec.split, spec.face), light)
    voice = draw_voice(spec.split, spec.voice)
    return performance, painter, speak(speaking, voice, spec.duration_s, spec.halting)


def draw_event(random: np.random.Generator) -> tuple[Emotion, Gaze]:
    """Draw a face that makes halting speech ambivalent and fluent speech not."""
    averted = AVERTED[int(random.integers(len(AVERTED)))]
    emotion: Emotion = ("positive", "surprised", "neutral")[int(random.integers(3))]
    if emotion == "neutral" or random.random() < 0.5:
        return emotion, averted
    return emotion, "ahead"

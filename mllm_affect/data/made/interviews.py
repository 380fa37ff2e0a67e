"""Made videos longer than one clip: one person, calm stretches and one kind of event.

Does: plan the scenes of a video so that neither modality, nor its length, nor how much happens in
it tells the label; draw and sound it.  Does not: write files, or know any dataset's layout.

The voice is the same from start to end, halting or fluent.  Between events the face is neutral and
looks ahead, which is calm with either voice; in an event it shows what goes against halting speech
or what goes against fluent speech.  So a face and a voice are each as often labelled yes as no,
and only both together decide.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.made.acting import Performance, Span, perform
from mllm_affect.data.made.clips import FRAME_RATE, ClipSpec, draw_event
from mllm_affect.data.made.drawing import Painter, draw_light
from mllm_affect.data.made.folders import ambivalent_spans
from mllm_affect.data.made.people import Split, draw_face, draw_voice
from mllm_affect.data.made.speaking import speak

EVENT_S = (6.0, 9.0)
"""Shortest and longest event: any blind cut into five seconds has a piece mostly inside one."""

CALM_S = (2.5, 6.0)
TWO_EVENTS = 0.25
"""Share of videos with a second event."""

FLANK_S = 0.25
"""How long a face takes into an event and out of it."""


@dataclass(frozen=True)
class Interview:
    """One made video: scenes of one face, voice and light that follow each other."""

    seed: int
    scenes: tuple[ClipSpec, ...]

    @property
    def frames(self) -> int:
        """Number of frames, at FRAME_RATE."""
        return sum(scene.frames for scene in self.scenes)

    @property
    def ambivalent(self) -> bool:
        """Whether any scene is."""
        return any(scene.ambivalent for scene in self.scenes)

    @property
    def spans_s(self) -> tuple[tuple[float, float], ...]:
        """Where it is ambivalent, in seconds."""
        return ambivalent_spans(self.scenes)

    @property
    def frame_spans(self) -> tuple[tuple[int, int], ...]:
        """Where it is ambivalent, in frames: first and last, both included."""
        return tuple(
            (round(start_s * FRAME_RATE), round(end_s * FRAME_RATE) - 1)
            for start_s, end_s in self.spans_s
        )


def plan_interview(
    random: np.random.Generator,
    split: Split,
    face: int,
    voice: int,
    ambivalent: bool,
    halting: bool,
    longer_s: float = 0.0,
) -> Interview:
    """Draw a video of one person; only the face of its events follows from the label.

    `longer_s` is added to its calm parts.
    """
    light = int(random.integers(2**31))
    events = 2 if random.random() < TWO_EVENTS else 1
    emotion, gaze = draw_event(random)
    if halting != ambivalent:
        emotion, gaze = "negative", "ahead"
    calm = ClipSpec(0, split, face, voice, light, 0, "neutral", "ahead", halting)
    event = replace(calm, emotion=emotion, gaze=gaze)
    scenes = [_scene(random, calm, CALM_S, longer_s / (events + 1))]
    for _ in range(events):
        scenes += [_scene(random, event, EVENT_S), _scene(random, calm, CALM_S, longer_s / 2)]
    return Interview(int(random.integers(2**31)), tuple(scenes))


def make_interview(interview: Interview) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Return frames_THWC (uint8 RGB at FRAME_RATE) and audio_S (int16 mono at 16 kHz)."""
    first = interview.scenes[0]
    painter = Painter(
        draw_face(first.split, first.face), draw_light(np.random.default_rng(first.light))
    )
    frames = [
        painter.draw(performance.pose(index / FRAME_RATE))
        for scene in interview.scenes
        for performance in [_acted(scene)]
        for index in range(scene.frames)
    ]
    audio_S = speak(
        np.random.default_rng(interview.seed),
        draw_voice(first.split, first.voice),
        interview.frames / FRAME_RATE,
        first.halting,
    )
    return np.stack(frames), audio_S


def _scene(
    random: np.random.Generator, like: ClipSpec, bounds_s: tuple[float, float], more_s: float = 0.0
) -> ClipSpec:
    seconds = random.uniform(*bounds_s) + more_s
    return replace(like, seed=int(random.integers(2**31)), frames=round(seconds * FRAME_RATE))


def _acted(scene: ClipSpec) -> Performance:
    """Return the scene's performance, its expression held from the beginning to the end."""
    acting, _ = np.random.default_rng(scene.seed).spawn(2)
    seconds = scene.duration_s
    performance = perform(acting, seconds, scene.emotion, scene.gaze)

    def held(span: Span) -> Span:
        return Span(0.0, FLANK_S, seconds - FLANK_S, seconds, span.strength)

    return replace(
        performance,
        units={name: held(span) for name, span in performance.units.items()},
        gaze_span=held(performance.gaze_span),
    )

"""Made faces on which coded action units move a little, shortly, and nothing else tells.

Does: plan clips in which a face at rest already looks as if units were shown, so that only motion
tells which move, under a flickering lamp; write them as a labelled folder.  Does not: encode (see
folders), train, or model real faces.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.made.acting import Pose, Span
from mllm_affect.data.made.drawing import SIDE, Light, Painter, draw_light
from mllm_affect.data.made.folders import Progress, in_processes, write_video
from mllm_affect.data.made.people import Split, draw_face
from mllm_affect.data.unit_labels import MADE_PARTICIPANT, MADE_UNITS, UNITS_LABEL
from mllm_affect.errors import UserError
from mllm_affect.files import refuse_filled

COMBINATIONS: Final[tuple[tuple[int, ...], ...]] = (
    (), (1,), (1, 2), (2,), (4,), (4, 15), (15,), (12,), (6, 12), (5, 26), (26,), (1, 2, 5),
    (6,), (12, 26),
)  # fmt: skip
"""What moves together; as often each."""

RATE_FPS, SECONDS = 30, 0.8
STRENGTH, REST = (0.25, 0.5), 0.5
"""How far units move, and how far at most they are shown at rest already; 1 is full strength."""

FLICKER, FLICKER_SIDEWAYS, FLICKER_HZ = 0.2, 0.15, (2.0, 9.0)
"""Largest share of the light that flickers, in all and from side to side, and how often a second.
"""

NOISE = 8.0
"""Standard deviation of the camera's noise, in grey levels of 255."""

RISE_S, HOLD_S, FALL_S = (0.12, 0.22), (0.05, 0.12), (0.12, 0.22)
SPLITS: Final = ("train", "val", "test")
FACES_OF: Final[dict[str, Split]] = {"train": "train", "val": "train", "test": "test"}
CALM, MOVING = "no", "yes"


@dataclass(frozen=True)
class CodedPlan:
    """How much to make: people of each split, and clips of each person.

    `shifted`: in training and validation the light tells what moves nine times in ten, in the test
    it does not, so that a model that learned appearance fails there.
    """

    people: tuple[int, int, int] = (24, 8, 10)
    clips_each: int = 28
    seed: int = 0
    shifted: bool = False


@dataclass(frozen=True)
class Lamp:
    """How the light flickers, as lamps do before a fast camera: all of it, and from side to side.

    Each a share of the light, cycles a second and a phase.
    """

    whole: tuple[float, float, float]
    sideways: tuple[float, float, float]

    def gain(self, time_s: float) -> NDArray[np.float64]:
        """Return what the light of every pixel is multiplied with (1, SIDE, 1)."""
        (whole, sideways) = (
            share * np.sin(2.0 * np.pi * (rate * time_s + phase))
            for share, rate, phase in (self.whole, self.sideways)
        )
        return np.asarray(1.0 + whole + sideways * np.linspace(-1.0, 1.0, SIDE)[None, :, None])


@dataclass(frozen=True)
class CodedClip:
    """One clip: whose face, at rest how (strength by unit), what moves when, in which light."""

    split: str
    person: int
    rest: dict[str, float]
    units: tuple[int, ...]
    movement: Span
    light: Light
    lamp: Lamp
    sway: tuple[float, float, float]
    seed: int

    def pose(self, time_s: float) -> Pose:
        """Return the face at a time: its rest, what moves, and a little swaying of the head."""
        shown = dict(self.rest)
        for unit in self.units:
            shown[f"AU{unit}"] += self.movement.at(time_s)
        across, tilted, phase = self.sway
        wave = float(np.sin(2.0 * time_s + phase))
        return Pose(shown, 0.0, 0.0, 1.0, turn=across * wave, tilt=tilted * wave, jaw=0.05)

    def frames(self) -> NDArray[np.uint8]:
        """Return the pictures (T, SIDE, SIDE, 3) uint8 RGB at RATE_FPS."""
        painter = Painter(draw_face(FACES_OF[self.split], self.person), self.light)
        random = np.random.default_rng(self.seed)
        pictures = []
        for index in range(round(SECONDS * RATE_FPS)):
            time_s = index / RATE_FPS
            drawn = painter.draw(self.pose(time_s)) * self.lamp.gain(time_s)
            seen = drawn + random.normal(0.0, NOISE, drawn.shape)
            pictures.append(np.clip(seen, 0.0, 255.0).astype(np.uint8))
        return np.stack(pictures)


def plan_coded(plan: CodedPlan) -> Iterator[CodedClip]:
    """Yield the clips of all splits, person by person, combinations in turn.

    Raises UserError `bad_count` for a split without people.
    """
    if min(plan.people) < 1 or plan.clips_each < 1:
        raise UserError("bad_count", "Made action units need people in every split, and clips.")
    first = 0
    for place, (split, people) in enumerate(zip(SPLITS, plan.people, strict=True)):
        random = np.random.default_rng((plan.seed, place))
        for person in range(people):
            for number in range(plan.clips_each):
                turn = (person + number) % len(COMBINATIONS)
                # Validation shows other people than training, of the same kinds.
                yield _clip(random, split, first + person, turn, plan)
        first = people if split == "train" else 0


def make_coded(out: Path, plan: CodedPlan, progress: Progress | None = None) -> list[Example]:
    """Make the clips into `out`: `videos/*.mp4` without sound, and last `examples.jsonl`.

    Raises UserError `not_empty` when `out` holds anything, and `bad_count`.
    """
    refuse_filled(out)
    clips = list(plan_coded(plan))
    (out / "videos").mkdir(parents=True, exist_ok=True)
    names = [f"videos/{clip.split}-{index:05d}.mp4" for index, clip in enumerate(clips)]
    in_processes(_write, clips, [out / name for name in names], progress)
    examples = [_example(clip, name) for clip, name in zip(clips, names, strict=True)]
    write_examples(out, examples)
    return examples


def _write(clip: CodedClip, path: Path) -> None:
    write_video(clip.frames(), None, path, rate=RATE_FPS)


def _example(clip: CodedClip, video: str) -> Example:
    units = ",".join(str(unit) for unit in clip.units)
    return Example(
        video=video,
        participant=f"{MADE_PARTICIPANT}{FACES_OF[clip.split]}/{clip.person:03d}",
        split=clip.split,
        labels={"au": MOVING if clip.units else CALM, UNITS_LABEL: units},
    )


def _clip(
    random: np.random.Generator, split: str, person: int, turn: int, plan: CodedPlan
) -> CodedClip:
    rest = {f"AU{unit}": float(random.uniform(0.0, REST)) for unit in MADE_UNITS}
    rise, hold, fall = (float(random.uniform(*span)) for span in (RISE_S, HOLD_S, FALL_S))
    onset = float(random.uniform(0.1, SECONDS - rise - hold - fall - 0.05))
    movement = Span(
        onset, onset + rise, onset + rise + hold, onset + rise + hold + fall,
        float(random.uniform(*STRENGTH)),
    )  # fmt: skip
    light, lamp = draw_light(random), Lamp(_wave(random, FLICKER), _wave(random, FLICKER_SIDEWAYS))
    tells = plan.shifted and split != "test" and random.random() < 0.9
    told = turn if tells else int(random.integers(len(COMBINATIONS)))
    sway = (
        float(random.uniform(-0.08, 0.08)),
        float(random.uniform(-0.05, 0.05)),
        float(random.uniform(0.0, 6.28)),
    )
    if plan.shifted:
        light = _telling(light, told)
    seed = int(random.integers(2**31))
    return CodedClip(split, person, rest, COMBINATIONS[turn], movement, light, lamp, sway, seed)


def _wave(random: np.random.Generator, most: float) -> tuple[float, float, float]:
    return (
        float(random.uniform(0.0, most)),
        float(random.uniform(*FLICKER_HZ)),
        float(random.random()),
    )


def _telling(light: Light, turn: int) -> Light:
    """Return a light that stands for a combination: its side and the brightness behind the face."""
    share = turn / (len(COMBINATIONS) - 1)
    grey = 40.0 + 170.0 * ((turn * 5) % len(COMBINATIONS)) / (len(COMBINATIONS) - 1)
    return replace(light, side=-0.3 + 0.6 * share, background=(grey, grey, grey))

"""What made data in the challenge's shape holds: subjects, clips, long videos and their movements.

Does: plan them from a seed, all facts known.  Does not: draw or write files.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mllm_affect.data.made.people import Split
from mllm_affect.data.megc.coding_sheets import LAYOUTS
from mllm_affect.data.megc.made_faces import MadeFace, Movement
from mllm_affect.data.megc.vocabulary import COARSE_OF_FINE, in_order

EXPRESSIONS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "happiness": (("cheek raiser", "lip corner puller"), ("lip corner puller",)),
    "surprise": (
        ("inner brow raiser", "outer brow raiser", "jaw drop"),
        ("inner brow raiser", "outer brow raiser"),
    ),
    "anger": (("brow lowerer",), ("brow lowerer", "lip corner depressor")),
    "sadness": (("lip corner depressor",), ("inner brow raiser", "lip corner depressor")),
}
"""Sets of action units that made faces can show, by fine class."""

BEYOND_VOCABULARY: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "anger": (("brow lowerer", "blink"),),
}
"""Sets with a unit outside the challenge's 25 names; only macro-expressions show them."""

SUBJECT_NAMES = {"casme2": "sub{:02d}", "samm": "{}", "smic": "s{:02d}", "casme3": "spNO.{}"}
FOLDER_NAMES = SUBJECT_NAMES | {"samm": "{:03d}"}
"""Training rows of SAMM do not pad the subject, its folders do."""

TRAIN_SETS: Final = ("casme2", "samm", "smic")
TEST_SETS: Final = ("casme3", "samm")


@dataclass(frozen=True)
class MegcPlan:
    """How much to make.  `long_s` bounds the length of a long video, `events` their number."""

    seed: int = 0
    subjects: int = 4
    clips_each: int = 3
    test_clips: int = 6
    long_videos: int = 2
    long_s: tuple[float, float] = (60.0, 180.0)
    events: tuple[int, int] = (0, 6)


@dataclass(frozen=True)
class MadeClip:
    """One clip or long video: whose it is, what it is called, and what is in it."""

    dataset: str
    subject: str
    subject_folder: str
    name: str
    face: MadeFace

    @property
    def movement(self) -> Movement:
        """The movement of a short clip."""
        return self.face.movements[0]

    @property
    def units(self) -> tuple[str, ...]:
        """All action units that move, in the vocabulary's order."""
        return in_order(name for item in self.face.movements for name in item.units)

    @property
    def coarse(self) -> str:
        """The coarse class of a short clip."""
        return COARSE_OF_FINE[self.movement.fine]


def plan_train(plan: MegcPlan) -> list[MadeClip]:
    """Return the training clips of all datasets: fine classes in turn, so that each comes."""
    random = np.random.default_rng((plan.seed, 1))
    clips = []
    for place, dataset in enumerate(TRAIN_SETS):
        for person in range(plan.subjects):
            for number in range(plan.clips_each):
                turn = (person * plan.clips_each + number) % len(EXPRESSIONS)
                clip = _short(
                    random, dataset, "train", place * 40 + person, person + 6, number, turn
                )
                clips.append(clip)
    return clips


def plan_test(plan: MegcPlan) -> list[MadeClip]:
    """Return the test clips of both sets; nobody in them is in training."""
    random = np.random.default_rng((plan.seed, 2))
    return [
        _short(random, dataset, "test", place * 20 + number % 3, 30 + number % 3, number, number)
        for place, dataset in enumerate(TEST_SETS)
        for number in range(plan.test_clips)
    ]


def plan_long(plan: MegcPlan, split: Split) -> list[MadeClip]:
    """Return the long videos of both sets for training or test; events do not touch."""
    random = np.random.default_rng((plan.seed, 3, split == "test"))
    videos = []
    for place, dataset in enumerate(TEST_SETS):
        for number in range(plan.long_videos):
            # In the test sets two videos are of one person.
            someone = number // 2 if split == "test" else number
            seconds = float(random.uniform(*plan.long_s))
            count = int(random.integers(plan.events[0], plan.events[1] + 1))
            face = MadeFace(
                split=split,
                number=40 * (place + 4) + someone % 20,
                light=int(random.integers(2**31)),
                rate_fps=30.0,
                seconds=seconds,
                movements=_spread(random, seconds, count),
                grey=dataset == "samm",
                first_number=1,
            )
            name = f"{dataset}_long{number + 8}_train"
            if split == "test":
                name = f"{place + 1}_{50 + someone:03d}_{number % 2 + 1}"
            videos.append(_named(dataset, 50 + someone, name, face))
    return videos


def _short(
    random: np.random.Generator,
    dataset: str,
    split: Split,
    face_number: int,
    subject: int,
    number: int,
    turn: int,
) -> MadeClip:
    onset_s = float(random.uniform(0.05, 0.15))
    movement = _movement(random, onset_s, micro=True, fine=tuple(EXPRESSIONS)[turn % 4])
    face = MadeFace(
        split=split,
        number=face_number,
        light=int(random.integers(2**31)),
        rate_fps=LAYOUTS[dataset].rate_fps,
        seconds=movement.offset_s + float(random.uniform(0.05, 0.15)),
        movements=(movement,),
        grey=dataset == "samm",
        first_number=int(random.integers(3, 95)),
    )
    return _named(dataset, subject, f"made{number + 8}", face)


def _named(dataset: str, subject: int, name: str, face: MadeFace) -> MadeClip:
    return MadeClip(
        dataset=dataset,
        subject=SUBJECT_NAMES[dataset].format(subject),
        subject_folder=FOLDER_NAMES[dataset].format(subject),
        name=name,
        face=face,
    )


def _movement(
    random: np.random.Generator, onset_s: float, micro: bool, fine: str | None = None
) -> Movement:
    classes = tuple(EXPRESSIONS)
    fine = fine or classes[int(random.integers(len(classes)))]
    sets = EXPRESSIONS[fine] if micro else EXPRESSIONS[fine] + BEYOND_VOCABULARY.get(fine, ())
    lasts_s = float(random.uniform(0.25, 0.45) if micro else random.uniform(0.9, 2.0))
    return Movement(
        units=sets[int(random.integers(len(sets)))],
        fine=fine,
        onset_s=onset_s,
        apex_s=onset_s + lasts_s * float(random.uniform(0.35, 0.5)),
        offset_s=onset_s + lasts_s,
        strength=float(random.uniform(0.55, 0.8) if micro else random.uniform(0.85, 1.0)),
    )


def _spread(random: np.random.Generator, seconds: float, count: int) -> tuple[Movement, ...]:
    """Return movements in separate equal shares of the video, so that none touch."""
    movements = []
    share_s = seconds / max(1, count)
    for place in range(count):
        movement = _movement(random, 0.0, micro=bool(random.random() < 0.5))
        slack_s = max(0.0, share_s - movement.offset_s - 0.5)
        movements.append(_later(movement, place * share_s + float(random.uniform(0.0, slack_s))))
    return tuple(movements)


def _later(movement: Movement, by_s: float) -> Movement:
    return Movement(
        movement.units, movement.fine, movement.onset_s + by_s, movement.apex_s + by_s,
        movement.offset_s + by_s, movement.strength,
    )  # fmt: skip

"""Planning a made release: who is asked what, and where the answer is yes.

Does: spread questions and labels so evenly that neither the question nor a count tells a label;
word transcripts by chance.  Does not: draw, or write files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mllm_affect.data.bah.layout import QUESTIONS
from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.interviews import Interview, plan_interview
from mllm_affect.data.made.people import Split as Region
from mllm_affect.errors import UserError
from mllm_affect.media.speech.transcript import WINDOW_S

SplitName = Literal["train", "val", "test", "private"]
REGIONS: dict[SplitName, Region] = {
    "train": "train", "val": "test", "test": "test", "private": "test",
}  # fmt: skip
"""Where the faces and voices of a split are drawn; all but train take different numbers."""

NEW_PEOPLE = 1000
"""Numbers below are the people of other made clips."""

LONGER_S = 22.0
"""Added to a few videos, so that their transcripts outlast a window of 30 s."""

SAID = (
    "well",
    "the",
    "thing",
    "is",
    "that",
    "every",
    "morning",
    "starts",
    "the",
    "same",
    "way",
    "and",
    "then",
    "work",
    "comes",
    "first",
    "so",
    "little",
    "is",
    "left",
    "of",
    "the",
    "day",
    "but",
    "on",
    "good",
    "days",
    "the",
    "walk",
    "home",
    "helps",
    "and",
    "the",
    "kitchen",
    "smells",
    "of",
    "bread",
    "when",
    "people",
    "ask",
    "about",
    "it",
    "the",
    "answer",
    "changes",
    "with",
    "the",
    "weather",
)
HEDGES = ("maybe", "I guess", "kind of", "I don't know", "perhaps", "sort of")


@dataclass(frozen=True)
class PlannedVideo:
    """One video of a made release."""

    participant: str
    split: SplitName
    question: str
    interview: Interview
    chunks: tuple[tuple[str, float, float], ...]

    @property
    def label(self) -> int:
        """1 where any scene is ambivalent."""
        return int(self.interview.ambivalent)

    @property
    def text(self) -> str:
        """The transcript."""
        return " ".join(chunk[0] for chunk in self.chunks)


@dataclass(frozen=True)
class ReleasePlan:
    """How many participants each split has, and how many videos each participant.

    `private`: participants of a further split, whose labels nobody is told; it may have none.
    """

    participants: tuple[int, int, int] = (28, 14, 14)
    videos_each: int = 3
    seed: int = 0
    private: int = 0


def plan_release(plan: ReleasePlan) -> list[PlannedVideo]:
    """Return all videos, participant by participant; the same plan gives the same.

    Raises UserError `bad_count` for a split without participants and for too many videos each.
    """
    videos: list[PlannedVideo] = []
    person = 0
    for place, (split, region) in enumerate(REGIONS.items()):
        people = (*plan.participants, plan.private)[place]
        if split == "private" and not people:
            continue
        if people < 1 or not 1 <= plan.videos_each <= len(QUESTIONS):
            raise UserError(
                "bad_count",
                f"Every split needs a participant, and each 1 to {len(QUESTIONS)} videos, one a "
                f"question; these are {people} with {plan.videos_each}.",
            )
        random = np.random.default_rng((plan.seed, place, 5))
        asked = _asked(random, people, plan.videos_each)
        voices = {label: _halts(random) for label in (0, 1)}
        for _ in range(people):
            person += 1
            number = NEW_PEOPLE + 500 * plan.seed + person
            talk = float(random.uniform(1.4, 2.6)), float(random.uniform(0.0, 0.16))
            for question, label in (next(asked) for _ in range(plan.videos_each)):
                longer_s = LONGER_S if random.random() < 0.04 else 0.0
                interview = plan_interview(
                    random, region, number, number, bool(label), next(voices[label]), longer_s
                )
                chunks = tuple(_chunks(random, interview, *talk))
                name = f"M{person:03d}"
                videos.append(PlannedVideo(name, split, question, interview, chunks))
    return videos


def _asked(random: np.random.Generator, people: int, each: int) -> Iterator[tuple[str, int]]:
    """Yield question and label of each video: a participant never gets a question twice.

    Every question comes as often as the others and is as often yes as no, up to one.
    """
    times = dict.fromkeys(QUESTIONS, 0)
    last = dict.fromkeys(QUESTIONS, 0)
    more_yes = 0
    for _ in range(people):
        mixed = [str(name) for name in random.permutation(sorted(QUESTIONS))]
        for question in sorted(mixed, key=times.__getitem__)[:each]:
            if times[question] % 2:
                label = 1 - last[question]
            else:
                label = int(more_yes < 0) if more_yes else int(random.integers(2))
            times[question] += 1
            last[question] = label
            more_yes += 2 * label - 1
            yield question, label


def _halts(random: np.random.Generator) -> Iterator[bool]:
    """Yield whether the voice of the next video halts: every second one, in changing order."""
    while True:
        first = bool(random.integers(2))
        yield from (first, not first)


def _chunks(
    random: np.random.Generator, interview: Interview, words_a_second: float, hedging: float
) -> Iterator[tuple[str, float, float]]:
    """Yield text, start and end in seconds; how somebody talks has nothing to do with a label."""
    end_s = interview.frames / FRAME_RATE
    start_s = float(random.uniform(0.0, 0.6))
    while start_s < end_s - 1.0:
        window_ends_s = WINDOW_S * (start_s // WINDOW_S + 1)
        until_s = min(end_s, window_ends_s, start_s + float(random.uniform(2.0, 6.0)))
        words: list[str] = []
        for _ in range(max(1, round((until_s - start_s) * words_a_second))):
            hedged = random.random() < hedging
            pool = HEDGES if hedged else SAID
            words.append(pool[int(random.integers(len(pool)))])
        said = ", ".join(filter(None, (" ".join(words[:4]), " ".join(words[4:])))) + "."
        yield said[0].upper() + said[1:], round(start_s, 2), round(until_s, 2)
        start_s = until_s + float(random.uniform(0.0, 0.8))

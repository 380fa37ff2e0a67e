"""Labelled videos read for action units: what the head says of each, and its optical flow.

Does: read clips by the one path a few at a time, ask the head, with tokens taken away too; pass
over videos that cannot be read, and say why.  Does not: choose thresholds, train, measure or keep
(see kept).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from eval.units.flow import FLOW_SHAPE, Flow, flow_and_strain
from eval.units.kept import KeptReadings, Reading
from mllm_affect.data.examples import Example
from mllm_affect.data.footage import footage
from mllm_affect.data.unit_labels import UNITS_LABEL, unit_labels
from mllm_affect.engine.unit_reader import Head, UnitReader
from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.video import open_video, read_cached
from mllm_affect.model.evidence.config import Token
from mllm_affect.tasks.model_input import ModelInput, model_input
from mllm_affect.tasks.task import Task

VIDEOS_AT_ONCE = 8
WHOLE = "whole"
"""Read with every token that the checkpoint gives."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Seen:
    """What is kept of a split's videos once they were read: no frames, a corpus has too many.

    `examples`: those whose videos could be read; `problems`: by the name of the others, why not.

    `read`: each unit's highest probability over a video's segments (N, A), with all tokens (WHOLE)
    and by the token that was taken away, or the head that was asked.  flow_M3SS: of every segment,
    for the baseline; owner_M: the place of its video.
    """

    examples: tuple[Example, ...]
    problems: Mapping[str, str]
    read: Mapping[str, NDArray[np.float64]]
    flow_M3SS: Flow
    owner_M: NDArray[np.int64]

    def labels(self, units: Sequence[int]) -> NDArray[np.int64]:
        """Return the labels (N, A) of the videos."""
        return np.array(
            [unit_labels(example.labels[UNITS_LABEL], units) for example in self.examples]
        )


class Looking:
    """Reads labelled videos a few at a time, and says how many were read of `total`.

    `max_seconds`: longest segment, in seconds.
    """

    def __init__(
        self,
        data: Path,
        reader: UnitReader,
        task: Task,
        max_seconds: float,
        cache: ClipCache | None,
        total: int,
        advance: Advance,
        kept: KeptReadings,
        *,
        trusted: bool,
    ) -> None:
        self._data, self._reader, self._task, self._cache = data, reader, task, cache
        self._total, self._advance, self._done = total, advance, 0
        self._max_seconds, self._kept, self._trusted = max_seconds, kept, trusted

    def see(self, examples: Sequence[Example], ways: Sequence[str], *, flow: bool) -> Seen:
        """Read some videos in so many ways; and their optical flow.

        A way is WHOLE, the name of a token that is taken away, or that of another head.

        Raises UserError `bad_data` where none can be used.
        """
        seen: list[Example] = []
        problems: dict[str, str] = {}
        readings: list[Reading] = []
        owners: list[NDArray[np.int64]] = []
        for start in range(0, len(examples), VIDEOS_AT_ONCE):
            some = examples[start : start + VIDEOS_AT_ONCE]
            found = self._kept.get(some, ways, flow, partial(self._read, some, ways, flow=flow))
            readings.append(found)
            problems |= found.problems
            owners.append(found.owner_M + len(seen))
            seen += [some[place] for place in found.usable_N]
            self._done += len(some)
            self._advance(self._done, self._total)
        if not seen:
            first, said = next(iter(problems.items()))
            raise UserError(
                "bad_data",
                f"None of {len(problems)} videos can be used; the first, {first}: {said}",
            )
        return Seen(
            tuple(seen),
            problems,
            {way: np.concatenate([one.read[way] for one in readings]) for way in ways},
            np.concatenate([one.flow_M3SS for one in readings]),
            np.concatenate(owners),
        )

    def _read(self, examples: Sequence[Example], ways: Sequence[str], *, flow: bool) -> Reading:
        """Read a few videos together."""
        problems: dict[str, str] = {}
        clips = dict(self._usable(examples, problems))
        inputs = [made for of_video in clips.values() for made in of_video]
        owner_M = np.repeat(np.arange(len(clips)), [len(made) for made in clips.values()])
        read, heads = {}, {}
        for way in ways:
            taken = _taken_away(way)
            if taken not in heads:
                heads[taken] = self._reader.read(inputs, taken)
            read_MA = heads[taken][_asked(way)]
            highest = [read_MA[owner_M == place].max(0) for place in range(len(clips))]
            read[way] = np.array(highest, dtype=np.float64).reshape(-1, len(self._reader.units))
        flows = [flow_and_strain(made.frames_THWC) for made in inputs] if flow else []
        return Reading(
            np.array(list(clips), dtype=np.int64),
            problems,
            read,
            np.array(flows, dtype=np.float32).reshape(-1, *FLOW_SHAPE),
            owner_M if flow else owner_M[:0],
        )

    def _usable(
        self, examples: Sequence[Example], problems: dict[str, str]
    ) -> Iterator[tuple[int, list[ModelInput]]]:
        """Yield place and inputs of each video that can be read; note why others cannot."""
        for place, example in enumerate(examples):
            try:
                yield place, list(self._inputs(example))
            except UserError as error:
                problems[example.video] = f"{error.code}: {error.sentence}"

    def _inputs(self, example: Example) -> Iterator[ModelInput]:
        shown = footage(self._data, example)
        with open_video(shown, trusted=self._trusted) as video:
            for clip in read_cached(video, self._task.sampling, self._max_seconds, self._cache):
                yield model_input(clip, self._task)


def _taken_away(way: str) -> tuple[Token, ...]:
    return tuple(token for token in get_args(Token) if token == way)


def _asked(way: str) -> Head:
    return next((head for head in get_args(Head) if head == way), "answer")

"""Which answer a segment gets when only parts of its video show what the label says.

Does: compare blind segments with annotated spans by one named rule; balance the answers of rows.
Does not: cut (media.cutting), or move a cut to where a span begins.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.data.examples import Example
from mllm_affect.tasks.task import Task

Row = TypeVar("Row")
Balance = Literal["none", "oversample", "undersample"]
Spans = Sequence[tuple[float, float]]


class SegmentRule(BaseModel):
    """How much of a segment must lie inside annotated spans.

    Positive where the overlap reaches `positive_s` seconds or `positive_share` of the segment,
    whichever is less; negative where it is at most `negative_share` of it; between them it is
    unclear, and dropped or taken as negative.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["overlap-1"] = "overlap-1"
    positive_s: float = Field(default=0.5, gt=0, le=60)
    positive_share: float = Field(default=0.2, gt=0, le=1)
    negative_share: float = Field(default=0.0, ge=0, lt=1)
    unclear: Literal["drop", "negative"] = "drop"


def overlap_s(start_s: float, end_s: float, spans: Spans) -> float:
    """Return how many seconds of a segment lie inside spans; what spans share counts once."""
    covered, reached_s = 0.0, start_s
    for first_s, last_s in sorted(spans):
        begin_s, stop_s = max(first_s, reached_s), min(last_s, end_s)
        if stop_s > begin_s:
            covered += stop_s - begin_s
            reached_s = stop_s
    return covered


def is_positive(start_s: float, end_s: float, spans: Spans, rule: SegmentRule) -> bool | None:
    """Return whether a segment is positive by the rule, None where it is unclear and dropped."""
    duration_s = end_s - start_s
    overlap = overlap_s(start_s, end_s, spans)
    if overlap > 0 and overlap >= min(rule.positive_s, rule.positive_share * duration_s):
        return True
    if overlap <= rule.negative_share * duration_s or rule.unclear == "negative":
        return False
    return None


def segment_answer(
    example: Example, task: Task, start_s: float, end_s: float, rule: SegmentRule
) -> str | None:
    """Return the right answer about one segment of a labelled video, None where it is unclear.

    The video's own label, unless that is the task's positive one and its spans are known: then
    calm parts get the other answer.  A task of more than two answers knows no such other.
    """
    label = example.labels[task.label_name]
    spans = example.spans.get(task.label_name)
    if spans is None or label != task.positive or len(task.answers) != 2:
        return label
    positive = is_positive(start_s, end_s, spans, rule)
    if positive is None:
        return None
    (other,) = (answer for answer in task.answers if answer != task.positive)
    return label if positive else other


def balanced(rows: Sequence[Row], answers: Sequence[str], balance: Balance, seed: int) -> list[Row]:
    """Return the rows so that every answer is as frequent: repeated, or left out, by chance.

    `answers`: of each row.  With `oversample` the first copies keep their order and repetitions
    follow, each row of an answer once before any comes twice.  With `undersample` what is kept
    stays in order.  The same seed gives the same rows.
    """
    counts = Counter(answers)
    if balance == "none" or not counts:
        return list(rows)
    random = np.random.default_rng(seed)
    if balance == "undersample":
        kept: set[int] = set()
        for answer in sorted(counts):
            places = [place for place, found in enumerate(answers) if found == answer]
            kept.update(random.permutation(places)[: min(counts.values())].tolist())
        return [rows[place] for place in sorted(kept)]
    most = max(counts.values())
    repeated: list[Row] = []
    for answer in sorted(counts):
        places = [place for place, found in enumerate(answers) if found == answer]
        missing = most - len(places)
        while missing > 0:
            drawn = random.permutation(places)[:missing]
            repeated += [rows[place] for place in drawn]
            missing -= len(drawn)
    return [*rows, *repeated]

"""Several models' predictions about the same videos, made into one.

Does: check that the files belong together and combine them by mean, mean of logits, or vote.
Does not: find weights (eval.ensemble_weights) or read files.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

from eval.exports.matching import differences, some
from eval.predictions import Prediction, SegmentPrediction
from eval.segment_scale import comparable_segments, is_comparable
from mllm_affect.errors import UserError
from mllm_affect.scoring.logits import NEAREST
from mllm_affect.scoring.pooling import decide

Method = Literal["mean", "logit", "vote"]
METHODS: tuple[Method, ...] = get_args(Method)

DEFAULT_THRESHOLD = 0.5

Distribution = Mapping[str, float]


def aligned(members: Sequence[Sequence[Prediction]]) -> list[list[Prediction]]:
    """Return every member's predictions in the order of the first's.

    Raises UserError `too_few_members` (fewer than two), `mismatched_ids`, `unlike_predictions`
    (another task, answer space, label or participant).
    """
    if len(members) < 2:
        raise UserError("too_few_members", "An ensemble takes at least two prediction files.")
    first = members[0]
    found = []
    for number, member in enumerate(members, start=1):
        differences([item.video for item in member], [item.video for item in first]).refuse(
            f"Predictions of file {number}"
        )
        by_video = {item.video: item for item in member}
        ordered = [by_video[item.video] for item in first]
        unlike = [
            one.video for one, other in zip(first, ordered, strict=True) if _unlike(one, other)
        ]
        if unlike:
            raise UserError(
                "unlike_predictions",
                f"File {number} has another task, answer space, label or participant than the "
                f"first for {len(unlike)} videos ({some(unlike)}).",
            )
        found.append(ordered)
    return found


def combine(
    members: Sequence[Sequence[Prediction]],
    method: Method,
    weights: Sequence[float] | None = None,
    threshold: float | None = None,
) -> list[Prediction]:
    """Return one prediction a video from aligned members.

    `weights`: one a member, not negative, None for equal ones; they are scaled to sum to one.
    `threshold` None: the members', where they share one.  A member without a usable answer is left
    out for that video; the video has none where no member has one, and is withheld where all that
    answer withhold.  Raises UserError `bad_weights`, `other_thresholds`, `no_probabilities`.
    """
    shares = _shares(weights, len(members), method)
    common = _threshold(members) if threshold is None else threshold
    return [_combined(rows, method, shares, common) for rows in zip(*members, strict=True)]


def mixed(
    distributions: Sequence[Distribution], shares: Sequence[float], method: Method
) -> dict[str, float]:
    """Return the weighted mean of distributions, or the normalised mean of their logarithms.

    For two answers the latter is the mean of logits.  Shares are positive somewhere.
    """
    total = math.fsum(shares)
    answers = list(distributions[0])
    pairs = list(zip(shares, distributions, strict=True))
    if method != "logit":
        return {a: math.fsum(s * d.get(a, 0.0) for s, d in pairs) / total for a in answers}
    logs = {
        a: math.fsum(s * math.log(max(d.get(a, 0.0), NEAREST)) for s, d in pairs) / total
        for a in answers
    }
    top = max(logs.values())
    masses = {a: math.exp(value - top) for a, value in logs.items()}
    return {a: mass / math.fsum(masses.values()) for a, mass in masses.items()}


def _combined(
    rows: Sequence[Prediction], method: Method, shares: Sequence[float], threshold: float
) -> Prediction:
    usable = [
        (item, share)
        for item, share in zip(rows, shares, strict=True)
        if item.answer is not None and share > 0.0
    ]
    alike = replace(
        rows[0],
        threshold=threshold,
        uncalibrated={},
        calibration=None,
        temperature=None,
        bias=None,
        segments=(),
        abstained=False,
    )
    if not usable:
        problem = "no_answer: no member has a usable answer"
        return replace(alike, answer=None, probabilities={}, problem=problem)
    members = [item for item, _ in usable]
    if method == "vote":
        probabilities = _votes(members)
    else:
        if any(not item.probabilities for item in members):
            raise UserError(
                "no_probabilities",
                f"A file has no probabilities for {rows[0].video}; combine by --method vote.",
            )
        distributions = [item.probabilities for item in members]
        probabilities = mixed(distributions, [share for _, share in usable], method)
    return replace(
        alike,
        answer=decide(probabilities, alike.positive, threshold),
        probabilities=probabilities,
        problem="",
        abstained=all(item.abstained for item in members),
        segments=_segments(members, [share for _, share in usable], method),
    )


def _votes(members: Sequence[Prediction]) -> dict[str, float]:
    """Return the share of votes of each answer, the mean probability counting as one vote more.

    So the majority always wins, a tie goes to the more probable answer, and videos with the same
    votes are still ranked.
    """
    answers = members[0].classes
    votes = {a: float(sum(item.answer == a for item in members)) for a in answers}
    hard = [item.probabilities or {a: float(a == item.answer) for a in answers} for item in members]
    means = mixed([{a: d.get(a, 0.0) for a in answers} for d in hard], [1.0] * len(hard), "mean")
    return {a: (votes[a] + means[a]) / (len(members) + 1) for a in answers}


def _segments(
    members: Sequence[Prediction], shares: Sequence[float], method: Method
) -> tuple[SegmentPrediction, ...]:
    """Combine segments where all members were cut alike and have probabilities; else none.

    Each member's are calibrated as its video was, so that they compare with the common threshold.
    """
    if not all(map(is_comparable, members)):
        return ()
    members = [replace(item, segments=comparable_segments(item)) for item in members]
    spans = {tuple((part.start_s, part.end_s) for part in item.segments) for item in members}
    if len(spans) != 1 or any(not part.probabilities for item in members for part in item.segments):
        return ()
    found = []
    for parts in zip(*(item.segments for item in members), strict=True):
        probabilities = mixed([part.probabilities for part in parts], shares, method)
        said = max(probabilities, key=lambda answer: probabilities[answer])
        found.append(replace(parts[0], answer=said, probabilities=probabilities))
    return tuple(found)


def _shares(weights: Sequence[float] | None, members: int, method: Method) -> list[float]:
    if weights is None:
        return [1.0 / members] * members
    usable = len(weights) == members and all(math.isfinite(w) and w >= 0.0 for w in weights)
    if method == "vote" or not usable or math.fsum(weights) <= 0.0:
        raise UserError(
            "bad_weights",
            "Give one weight a file, none negative and one above zero; votes take no weights.",
        )
    return [weight / math.fsum(weights) for weight in weights]


def _threshold(members: Sequence[Sequence[Prediction]]) -> float:
    found = sorted({i.threshold for rows in members for i in rows if i.threshold is not None})
    if len(found) > 1:
        raise UserError(
            "other_thresholds",
            f"The files were decided by different thresholds ({', '.join(map(str, found))}); "
            "choose one with --threshold.",
        )
    return found[0] if found else DEFAULT_THRESHOLD


def _unlike(one: Prediction, other: Prediction) -> bool:
    return (one.task, one.classes, one.positive, one.label, one.participant) != (
        other.task, other.classes, other.positive, other.label, other.participant,
    )  # fmt: skip

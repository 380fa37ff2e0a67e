"""What one profile a clip gains over answering each question alone, on simulated answers.

Does: draw made truths and noisy probabilities of a model's answers, answer both ways, give the
difference with its interval: `python -m eval.megc.joint_gain`.  Does not: say anything about a
real model, whose errors depend on each other.
"""

from dataclasses import dataclass

import numpy as np

from eval.intervals import Interval, by_participant
from mllm_affect.data.megc.questions import Asked, Kind
from mllm_affect.data.megc.vocabulary import (
    ACTION_UNITS,
    COARSE,
    COARSE_OF_FINE,
    FINE_IN_TEST,
    in_order,
)
from mllm_affect.scoring.clip_answers import answer_clip
from mllm_affect.scoring.clip_profile import ClipEvidence, ClipProfile, LabelPrior, learn_prior

TYPICAL: dict[str, tuple[str, ...]] = {
    "anger": ("brow lowerer", "lid tightener", "lip pressor"),
    "disgust": ("nose wrinkler", "upper lip raiser", "brow lowerer"),
    "fear": ("inner brow raiser", "upper lid raiser", "lip stretcher"),
    "happiness": ("cheek raiser", "lip corner puller"),
    "sadness": ("inner brow raiser", "lip corner depressor"),
    "surprise": ("inner brow raiser", "outer brow raiser", "jaw drop"),
}
"""Action units of each made expression; each comes with probability TYPICAL_SHARE."""

TYPICAL_SHARE, STRAY_SHARE = 0.7, 0.03


@dataclass(frozen=True)
class Gain:
    """Share of right answers joint and alone, and the difference's 95 % interval over clips."""

    clips: int
    joint: float
    alone: float
    interval: Interval


def draw_truth(random: np.random.Generator) -> ClipProfile:
    """Draw a made clip's action units (at least one) and fine class."""
    fine = FINE_IN_TEST[int(random.integers(len(FINE_IN_TEST)))]
    shares = [TYPICAL_SHARE if name in TYPICAL[fine] else STRAY_SHARE for name in ACTION_UNITS]
    shown_U = random.random(len(ACTION_UNITS)) < shares
    units = [name for name, shown in zip(ACTION_UNITS, shown_U, strict=True) if shown]
    return ClipProfile(in_order(units or TYPICAL[fine][:1]), fine, 1.0)


def noisy_evidence(
    random: np.random.Generator, truth: ClipProfile, signal: float = 1.5
) -> ClipEvidence:
    """Return what a calibrated model says of readings that differ by `signal` under unit noise."""

    def classes(names: tuple[str, ...], true: str) -> dict[str, float]:
        logit_C = signal * (signal * (np.array(names) == true) + random.normal(size=len(names)))
        share_C = np.exp(logit_C - logit_C.max())
        return dict(zip(names, (share_C / share_C.sum()).tolist(), strict=True))

    def shown(name: str) -> float:
        centre = signal if name in truth.units else -signal
        logit = 2.0 * signal * (centre + float(random.normal())) - 2.0
        return float(1.0 / (1.0 + np.exp(-logit)))

    return ClipEvidence(
        fine=classes(FINE_IN_TEST, truth.fine),
        coarse=classes(COARSE, COARSE_OF_FINE[truth.fine]),
        shown={name: shown(name) for name in ACTION_UNITS},
        only=classes(tuple(ACTION_UNITS), truth.units[0]) if len(truth.units) == 1 else {},
    )


def questions_about(random: np.random.Generator, truth: ClipProfile) -> list[Asked]:
    """Return the five questions about a clip; the yes/no one is balanced, as in training files."""
    among = truth.units
    if random.random() < 0.5:
        among = tuple(name for name in ACTION_UNITS if name not in truth.units)
    one = len(truth.units) == 1
    return [
        Asked(Kind.coarse),
        Asked(Kind.fine),
        Asked(Kind.unit if one else Kind.units),
        Asked(Kind.unit_shown, unit=among[int(random.integers(len(among)))]),
        Asked(Kind.joint_unit if one else Kind.joint_units),
    ]


def measure(
    clips: int = 600, seed: int = 0, signal: float = 1.5, prior: LabelPrior | None = None
) -> Gain:
    """Answer `clips` made clips both ways and compare the shares of right answers."""
    random = np.random.default_rng(seed)
    right_W: list[tuple[float, float]] = []
    for _ in range(clips):
        truth = draw_truth(random)
        asked = questions_about(random, truth)
        evidence = noisy_evidence(random, truth, signal)
        exact = ClipEvidence(
            fine={truth.fine: 1.0},
            coarse={truth.coarse: 1.0},
            shown={name: float(name in truth.units) for name in ACTION_UNITS},
        )
        wanted = answer_clip(asked, exact).answers
        shares = [
            float(np.mean([a == b for a, b in zip(answers, wanted, strict=True)]))
            for answers in (
                answer_clip(asked, evidence, prior).answers,
                answer_clip(asked, evidence, alone=True).answers,
            )
        ]
        right_W.append((shares[0], shares[1]))
    joint_N, alone_N = np.array(right_W).T
    difference_N = joint_N - alone_N
    interval = by_participant(
        lambda positions: float(difference_N[positions].mean()), [str(n) for n in range(clips)]
    )
    return Gain(clips, float(joint_N.mean()), float(alone_N.mean()), interval)


def made_prior(seed: int = 1, clips: int = 300) -> LabelPrior:
    """Return the prior that other made clips, as a training set, teach."""
    random = np.random.default_rng(seed)
    truths = [draw_truth(random) for _ in range(clips)]
    return learn_prior((truth.units, truth.fine) for truth in truths)


def say(name: str, gain: Gain) -> str:
    """Return one line about a comparison."""
    return (
        f"{name}: {gain.joint:.3f} of answers right from one profile, {gain.alone:.3f} alone; "
        f"difference {gain.joint - gain.alone:+.3f}, 95 % interval {gain.interval.low:+.3f} to "
        f"{gain.interval.high:+.3f} over {gain.clips} simulated clips"
    )


if __name__ == "__main__":
    for signal in (0.75, 1.5, 2.5):
        print(say(f"signal {signal}", measure(signal=signal)))  # noqa: T201
        learned = measure(signal=signal, prior=made_prior())
        print(say(f"signal {signal}, with co-occurrence learned", learned))  # noqa: T201

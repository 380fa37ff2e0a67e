"""One profile a clip (action units, fine and coarse class) from the probabilities of its answers.

Does: find the most probable profile exactly, under what the questions themselves say.
Does not: word answers (see clip_answers) or ask a model.

The model is asked about one truth several times, each time with noise.  The score of a profile is
the sum of the log-probabilities that the separate answers give it; coarse is the fine class's, so
nothing can contradict.  Given the fine class the action units are independent but for how many
there are, so the best set is the units with the largest gains: no search, no approximation.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mllm_affect.data.megc.questions import ONE_UNIT, SEVERAL_UNITS, Asked, Kind
from mllm_affect.data.megc.vocabulary import (
    ACTION_UNITS,
    COARSE_OF_FINE,
    FINE_IN_TEST,
    in_order,
)
from mllm_affect.errors import UserError

UNASKED = 2 / len(ACTION_UNITS)
"""Probability of an action unit about which the model was not asked: a clip shows about two."""

LEAST = 1e-12
"""Probabilities are kept this far from 0 and 1, so that no answer alone rules out a profile."""


@dataclass(frozen=True)
class ClipEvidence:
    """What the model's answers about one clip say, as probabilities.

    `fine`, `coarse`: per class; `shown`: per action unit, that it is shown (not a distribution);
    `only`: per action unit, that it is the one, where the question says there is one; `side`: per
    action unit, of left and right.  What was not asked is left out.
    """

    fine: Mapping[str, float] = field(default_factory=dict)
    coarse: Mapping[str, float] = field(default_factory=dict)
    shown: Mapping[str, float] = field(default_factory=dict)
    only: Mapping[str, float] = field(default_factory=dict)
    side: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def fine_classes(self) -> tuple[str, ...]:
        """The fine classes that can be the answer."""
        return tuple(self.fine) or FINE_IN_TEST


@dataclass(frozen=True)
class Allowed:
    """What the wording of a clip's questions says about its action units."""

    fewest: int = 1
    most: int = len(ACTION_UNITS)
    shown: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ClipProfile:
    """The one truth from which all answers about a clip are written.

    `units` are in the vocabulary's order, `probability` is the profile's share of all profiles'.
    """

    units: tuple[str, ...]
    fine: str
    probability: float

    @property
    def coarse(self) -> str:
        """The coarse class, which the fine one decides."""
        return COARSE_OF_FINE[self.fine]


@dataclass(frozen=True)
class LabelPrior:
    """How often each fine class and action unit comes, and how often they come together."""

    fine: Mapping[str, float]
    unit: Mapping[str, float]
    unit_given_fine: Mapping[str, Mapping[str, float]]


def learn_prior(
    labelled: Iterable[tuple[Collection[str], str]], strength: float = 2.0
) -> LabelPrior:
    """Count action units by fine class in labelled clips: (action units, fine class) each.

    Rates are pulled to the overall ones as if each class had `strength` clips more.
    """
    clips = list(labelled)
    unit = {
        name: (sum(name in units for units, _ in clips) + strength * UNASKED)
        / (len(clips) + strength)
        for name in ACTION_UNITS
    }
    given: dict[str, dict[str, float]] = {}
    for fine in dict.fromkeys(fine for _, fine in clips):
        of_class = [units for units, other in clips if other == fine]
        given[fine] = {
            name: (sum(name in units for units in of_class) + strength * unit[name])
            / (len(of_class) + strength)
            for name in ACTION_UNITS
        }
    classes = [fine for _, fine in clips]
    return LabelPrior({name: classes.count(name) / len(classes) for name in given}, unit, given)


def evidence_of(scored: Mapping[Asked, Mapping[str, float]]) -> ClipEvidence:
    """Gather evidence from the probabilities of each question's answers."""
    shown: dict[str, float] = {}
    side: dict[str, Mapping[str, float]] = {}
    whole: dict[Kind, Mapping[str, float]] = {}
    for asked, probabilities in scored.items():
        if asked.kind is Kind.unit_shown and asked.unit is not None:
            shown[asked.unit] = probabilities["yes"]
        elif asked.kind is Kind.unit_side and asked.unit is not None:
            side[asked.unit] = probabilities
        elif asked.kind in (Kind.fine, Kind.coarse, Kind.unit):
            whole[asked.kind] = probabilities
    return ClipEvidence(
        fine=whole.get(Kind.fine, {}),
        coarse=whole.get(Kind.coarse, {}),
        shown=shown,
        only=whole.get(Kind.unit, {}),
        side=side,
    )


def allowed_by(questions: Iterable[Asked]) -> Allowed:
    """Return what the questions about one clip say: one action unit or several, which one is shown.

    Raises UserError `contradicting_questions` when they ask both for one and for several.
    """
    asked = list(questions)
    one = any(item.kind in ONE_UNIT for item in asked)
    several = any(item.kind in SEVERAL_UNITS for item in asked)
    located = frozenset(
        item.unit for item in asked if item.kind is Kind.unit_side and item.unit is not None
    )
    if (one and several) or (one and len(located) > 1):
        raise UserError(
            "contradicting_questions",
            "The questions about one clip ask both for one action unit and for several.",
        )
    return Allowed(2 if several else 1, 1 if one else len(ACTION_UNITS), located)


def infer_profile(
    evidence: ClipEvidence, allowed: Allowed = Allowed(), prior: LabelPrior | None = None
) -> ClipProfile:
    """Return the most probable profile; the first named fine class and unit win a tie.

    Without any evidence it is the prior's: the stated fallback for a clip that is missing.
    """
    best: tuple[float, str, tuple[str, ...]] | None = None
    total = 0.0
    scores: list[float] = []
    for fine in evidence.fine_classes:
        odds = _unit_log_odds(evidence, fine, allowed, prior)
        base = _class_score(evidence, fine, prior) + math.fsum(off for _, off in odds.values())
        units = _best_units({name: on - off for name, (on, off) in odds.items()}, allowed)
        score = base + math.fsum(odds[name][0] - odds[name][1] for name in units)
        scores.append(base + _log_total(odds, allowed))
        if best is None or score > best[0]:
            best = (score, fine, units)
    assert best is not None
    highest = max(scores)
    total = highest + math.log(math.fsum(math.exp(score - highest) for score in scores))
    return ClipProfile(best[2], best[1], min(1.0, math.exp(best[0] - total)))


def _class_score(evidence: ClipEvidence, fine: str, prior: LabelPrior | None) -> float:
    usual = _log(prior.fine.get(fine, 0.0)) if prior else 0.0
    score = _log(evidence.fine[fine]) if evidence.fine else usual
    coarse = COARSE_OF_FINE[fine]
    return score + (_log(evidence.coarse[coarse]) if evidence.coarse else 0.0)


def _unit_log_odds(
    evidence: ClipEvidence, fine: str, allowed: Allowed, prior: LabelPrior | None
) -> dict[str, tuple[float, float]]:
    """Return per action unit what it adds to the score when it is shown and when it is not."""
    given = prior.unit_given_fine.get(fine) if prior else None
    odds = {}
    for name in ACTION_UNITS:
        overall = prior.unit[name] if prior else UNASKED
        shown = evidence.shown.get(name, overall)
        on, off = _log(shown), _log(1.0 - shown)
        if given is not None:
            on += _log(given[name]) - _log(overall)
            off += _log(1.0 - given[name]) - _log(1.0 - overall)
        if allowed.most == 1 and evidence.only:
            on += _log(evidence.only.get(name, 0.0))
        odds[name] = (on, off)
    return odds


def _best_units(gain: Mapping[str, float], allowed: Allowed) -> tuple[str, ...]:
    """Return the set with the largest sum of gains among those allowed.

    The sum has no interactions, so taking units by falling gain is exact.
    """
    chosen = [name for name in gain if name in allowed.shown]
    others = sorted((name for name in gain if name not in allowed.shown), key=lambda n: -gain[n])
    for name in others:
        if len(chosen) >= allowed.most or (len(chosen) >= allowed.fewest and gain[name] <= 0.0):
            break
        chosen.append(name)
    return in_order(chosen)


def _log_total(odds: Mapping[str, tuple[float, float]], allowed: Allowed) -> float:
    """Return the log of the sum over all allowed sets of exp(their score), less all `off` terms.

    By counting: after each unit, the weight of the sets of every size so far.
    """
    weight_of_size: Sequence[float] = [0.0]
    for name, (on, off) in odds.items():
        gain = on - off
        with_it = [-math.inf, *(weight + gain for weight in weight_of_size)]
        without = [-math.inf if name in allowed.shown else w for w in [*weight_of_size, -math.inf]]
        weight_of_size = [_log_add(a, b) for a, b in zip(with_it, without, strict=True)]
    weights = weight_of_size[allowed.fewest : allowed.most + 1]
    total = -math.inf
    for weight in weights:
        total = _log_add(total, weight)
    return total


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _log(probability: float) -> float:
    return math.log(min(1.0 - LEAST, max(LEAST, probability)))

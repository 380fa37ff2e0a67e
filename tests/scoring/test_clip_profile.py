"""One profile a clip: exact, within what the questions say, and free of contradictions."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.megc.joint_gain import made_prior, measure, say
from mllm_affect.data.megc.answers import contradictions, read_answer
from mllm_affect.data.megc.questions import Asked, Kind
from mllm_affect.data.megc.vocabulary import (
    ACTION_UNITS,
    COARSE,
    COARSE_OF_FINE,
    FINE,
    FINE_IN_TEST,
)
from mllm_affect.errors import UserError
from mllm_affect.scoring.clip_answers import answer_clip
from mllm_affect.scoring.clip_profile import (
    UNASKED,
    Allowed,
    ClipEvidence,
    LabelPrior,
    allowed_by,
    evidence_of,
    infer_profile,
    learn_prior,
)

UNITS = tuple(ACTION_UNITS)


def random_evidence(seed: int) -> ClipEvidence:
    """A random table; some of its parts are missing, some of its numbers are 0 or 1."""
    random = np.random.default_rng(seed)

    def shares(names: tuple[str, ...]) -> dict[str, float]:
        if random.random() < 0.2:
            return {}
        share = random.dirichlet(np.full(len(names), 10.0 ** random.uniform(-2, 1)))
        return dict(zip(names, share.tolist(), strict=True))

    shown = random.beta(*(10.0 ** random.uniform(-2, 1, 2)), len(UNITS)).round(
        int(random.integers(1, 9))
    )
    known = random.random(len(UNITS)) < random.random() * 1.5
    return ClipEvidence(
        fine=shares(FINE if random.random() < 0.5 else FINE[3:]),
        coarse=shares(COARSE),
        shown={u: float(p) for u, p, k in zip(UNITS, shown, known, strict=True) if k},
        only=shares(UNITS),
        side={"dimpler": {"left": 0.3, "right": 0.7}},
    )


units = st.sampled_from(UNITS)
question_sets = st.tuples(
    st.sampled_from(["one", "several", "neither"]),
    st.lists(units, max_size=4),
    st.lists(units, max_size=1),
    st.booleans(),
)


@pytest.mark.no_cover  # which takes four times as long; the tests below run the same lines
@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 2**32), question_sets, st.booleans())
def test_no_clip_ever_contradicts_itself(
    seed: int, chosen: tuple[str, list[str], list[str], bool], with_prior: bool
) -> None:
    number, yes_no, located, all_kinds = chosen
    asked = [Asked(Kind.coarse), Asked(Kind.fine), Asked(Kind.analysis)]
    asked += [Asked(Kind.unit_shown, unit=name) for name in yes_no]
    asked += [Asked(Kind.unit_side, unit=name) for name in located]
    if number != "neither":
        asked.append(Asked(Kind.unit if number == "one" else Kind.units))
        if all_kinds:
            asked.append(Asked(Kind.joint_unit if number == "one" else Kind.joint_units))
    result = answer_clip(asked, random_evidence(seed), PRIOR if with_prior else None)
    answered = list(zip(asked, result.answers, strict=True))
    for question, answer in answered:
        read_answer(question, answer)
    assert contradictions(answered) == []
    assert result.profile is not None
    assert 0.0 < result.profile.probability <= 1.0


PRIOR = learn_prior(
    [({"brow lowerer", "lid tightener"}, "anger")] * 5
    + [({"lip corner puller"}, "happiness")] * 3
    + [({"brow lowerer", "nose wrinkler"}, "disgust")] * 4
)


def test_rates_by_hand() -> None:
    """12 clips, 9 of them with a lowered brow; 2 clips more at the overall rate of 2/25."""
    assert pytest.approx(0.08) == UNASKED
    overall = (9 + 2 * 0.08) / (12 + 2)
    assert PRIOR.unit["brow lowerer"] == pytest.approx(overall)
    assert PRIOR.unit["jaw drop"] == pytest.approx(2 * 0.08 / 14)
    # By class: 2 clips more at the rate over all classes.
    given = PRIOR.unit_given_fine
    assert given["anger"]["brow lowerer"] == pytest.approx((5 + 2 * overall) / (5 + 2))
    assert given["happiness"]["brow lowerer"] == pytest.approx(2 * overall / (3 + 2))
    assert PRIOR.fine == pytest.approx({"anger": 5 / 12, "happiness": 3 / 12, "disgust": 4 / 12})
    stronger = learn_prior([({"brow lowerer"}, "anger")], strength=6.0)
    assert stronger.unit["brow lowerer"] == pytest.approx((1 + 6 * 0.08) / 7)


def test_a_unit_that_was_not_asked_about_is_shown_by_two_clips_of_25() -> None:
    evidence = ClipEvidence(fine={"anger": 1.0}, coarse={}, shown={})
    profile = infer_profile(evidence, Allowed(1, 1))
    # One of 25 equal sets.
    assert profile.probability == pytest.approx(1 / 25)
    both = infer_profile(evidence, Allowed(1, 2))
    pairs = 25 * 24 / 2 * (0.08 / 0.92)
    assert both.probability == pytest.approx(1 / (25 + pairs))


def brute_force(
    evidence: ClipEvidence, allowed: Allowed, prior: LabelPrior | None, among: tuple[str, ...]
) -> tuple[float, dict[tuple[frozenset[str], str], float]]:
    """Every profile over `among` with its score, by the definition."""

    def log(value: float) -> float:
        return math.log(min(1 - 1e-12, max(1e-12, value)))

    scores = {}
    for fine in evidence.fine_classes:
        for size in range(allowed.fewest, min(allowed.most, len(among)) + 1):
            for chosen in combinations(among, size):
                if not allowed.shown <= set(chosen):
                    continue
                score = log(evidence.fine[fine]) + log(evidence.coarse[COARSE_OF_FINE[fine]])
                for name in UNITS:
                    shown = evidence.shown.get(name, prior.unit[name] if prior else UNASKED)
                    score += log(shown if name in chosen else 1 - shown)
                    if prior and fine in prior.unit_given_fine:
                        rate, overall = prior.unit_given_fine[fine][name], prior.unit[name]
                        score += log(rate if name in chosen else 1 - rate)
                        score -= log(overall if name in chosen else 1 - overall)
                    if allowed.most == 1 and name in chosen:
                        score += log(evidence.only[name])
                scores[frozenset(chosen), fine] = score
    return max(scores.values()), scores


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "allowed", [Allowed(), Allowed(1, 1), Allowed(2), Allowed(2, 25, frozenset({UNITS[3]}))]
)
def test_the_profile_is_the_best_of_all(seed: int, allowed: Allowed) -> None:
    random = np.random.default_rng(seed)
    among = UNITS[:7]
    evidence = ClipEvidence(
        fine=dict(zip(FINE, random.dirichlet(np.ones(8)).tolist(), strict=True)),
        coarse=dict(zip(COARSE, random.dirichlet(np.ones(3)).tolist(), strict=True)),
        shown={n: float(random.random()) if n in among else 0.0 for n in UNITS},
        only={n: 1 / 7 if n in among else 0.0 for n in UNITS},
    )
    prior = PRIOR if seed % 2 else None
    best, scores = brute_force(evidence, allowed, prior, among)
    profile = infer_profile(evidence, allowed, prior)
    assert scores[frozenset(profile.units), profile.fine] == pytest.approx(best)
    share = math.exp(best) / sum(map(math.exp, scores.values()))
    assert profile.probability == pytest.approx(share, rel=1e-6)


def test_a_weak_answer_yields_to_the_strong_ones() -> None:
    evidence = ClipEvidence(
        fine={"happiness": 0.36, "anger": 0.34, "fear": 0.30},
        coarse={"negative": 0.9, "positive": 0.05, "surprise": 0.05},
        shown={"dimpler": 0.6, "lips part": 0.4},
    )
    asked = [Asked(Kind.fine), Asked(Kind.coarse), Asked(Kind.units)]
    assert answer_clip(asked, evidence).answers == ("anger", "negative", "dimpler, lips part")
    assert answer_clip(asked, evidence, alone=True).answers == (
        "happiness", "negative", "dimpler, lips part",
    )  # fmt: skip
    assert infer_profile(evidence, Allowed(1, 1)).units == ("dimpler",)


def test_what_usually_comes_together_decides_a_doubt() -> None:
    evidence = ClipEvidence(
        fine={"anger": 0.5, "happiness": 0.5}, coarse={}, shown={"lip corner puller": 0.6}
    )
    assert infer_profile(evidence).fine == "anger"
    assert infer_profile(evidence, prior=PRIOR).fine == "happiness"
    assert PRIOR.unit_given_fine["anger"]["lid tightener"] > 5 * PRIOR.unit["lip corner puller"] / 7


def test_without_evidence_the_usual_is_answered() -> None:
    usual = infer_profile(ClipEvidence(), prior=PRIOR)
    assert (usual.fine, usual.units) == ("anger", ("brow lowerer", "lid tightener"))
    alone = infer_profile(ClipEvidence(), Allowed(1, 1), PRIOR)
    assert (alone.fine, alone.units) == ("happiness", ("lip corner puller",))


def test_rates_are_pulled_to_the_overall_ones_as_if_by_two_clips_more() -> None:
    clips = [({"dimpler"}, "anger"), ({"dimpler", "jaw drop"}, "anger"), ({"jaw drop"}, "fear")]
    prior = learn_prior(clips)
    assert prior.fine == pytest.approx({"anger": 2 / 3, "fear": 1 / 3})
    overall = (2 + 2 * 2 / 25) / (3 + 2)
    assert prior.unit["dimpler"] == prior.unit["jaw drop"] == pytest.approx(overall)
    assert prior.unit["lips part"] == pytest.approx(2 * 2 / 25 / 5)
    assert prior.unit_given_fine["anger"]["dimpler"] == pytest.approx((2 + 2 * overall) / (2 + 2))
    assert prior.unit_given_fine["fear"]["dimpler"] == pytest.approx(2 * overall / (1 + 2))
    assert learn_prior(clips, strength=0.0).unit["dimpler"] == pytest.approx(2 / 3)


def test_a_unit_nobody_asked_about_is_as_probable_as_two_of_all() -> None:
    asked = ClipEvidence(shown={name: 0.5 for name in UNITS if name != "dimpler"})
    assert "dimpler" not in infer_profile(asked).units
    assert pytest.approx(2 / 25) == UNASKED


def test_answers_given_alone_look_at_nothing_else() -> None:
    evidence = ClipEvidence(
        shown={"dimpler": 0.5, "lips part": 0.49, "jaw drop": 0.6},
        only={"lips part": 0.7, "dimpler": 0.3},
        side={"dimpler": {"left": 0.4, "right": 0.6}},
    )

    def alone(asked: Asked, told: ClipEvidence = evidence) -> str:
        (found,) = answer_clip([asked], told, alone=True).answers
        return found

    assert alone(Asked(Kind.unit_shown, unit="dimpler")) == "yes"
    assert alone(Asked(Kind.unit_shown, unit="lips part")) == "no"
    assert alone(Asked(Kind.unit_shown, unit="brow lowerer")) == "no", "nobody asked: two of 25"
    assert alone(Asked(Kind.unit)) == "lips part"
    assert alone(Asked(Kind.units)) == "dimpler, jaw drop"
    assert alone(Asked(Kind.unit_side, unit="dimpler")) == "right"
    assert alone(Asked(Kind.unit_side, unit="jaw drop")) == "left", (
        "the first where nothing is known"
    )
    weak = ClipEvidence(shown={"jaw drop": 0.2, "dimpler": 0.1})
    assert alone(Asked(Kind.unit), weak) == "jaw drop"
    assert alone(Asked(Kind.units), weak).count(",") == 1, (
        "the question says that there are several"
    )
    assert alone(Asked(Kind.fine), weak) == FINE_IN_TEST[0]


def test_evidence_is_gathered_from_the_answers_of_each_question() -> None:
    scored = {
        Asked(Kind.unit_shown, unit="dimpler"): {"yes": 0.7, "no": 0.3},
        Asked(Kind.coarse): {"positive": 1.0, "negative": 0.0, "surprise": 0.0},
        Asked(Kind.unit): {"dimpler": 1.0},
    }
    evidence = evidence_of(scored)
    assert evidence.shown == {"dimpler": 0.7}
    assert evidence.coarse["positive"] == 1.0
    assert evidence.only == {"dimpler": 1.0}
    assert evidence.fine == {}


def test_asking_whether_a_unit_is_shown_does_not_say_that_it_is() -> None:
    assert allowed_by([Asked(Kind.unit_shown, unit="dimpler")]) == Allowed()
    located = allowed_by([Asked(Kind.unit_side, unit="dimpler")])
    assert located.shown == {"dimpler"}
    assert allowed_by([Asked(Kind.unit)]) == Allowed(1, 1)
    assert allowed_by([Asked(Kind.units)]) == Allowed(2, len(UNITS))


def test_questions_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        allowed_by([Asked(Kind.unit), Asked(Kind.joint_units)])
    assert caught.value.code == "contradicting_questions"
    sides = [Asked(Kind.unit_side, unit="dimpler"), Asked(Kind.unit_side, unit="jaw drop")]
    assert allowed_by(sides).shown == {"dimpler", "jaw drop"}
    assert allowed_by([Asked(Kind.unit), sides[0]]) == Allowed(1, 1, frozenset({"dimpler"}))
    with pytest.raises(UserError, match="one action unit and for several"):
        allowed_by([Asked(Kind.unit), *sides])
    with pytest.raises(UserError) as wrong:
        answer_clip([Asked(Kind.count_all)], ClipEvidence())
    assert wrong.value.code == "wrong_task"


@pytest.mark.parametrize("prior", [None, made_prior()], ids=["plain", "with co-occurrence"])
def test_joint_answers_are_not_below_answers_given_alone(prior: LabelPrior | None) -> None:
    gain = measure(clips=200, prior=prior)
    assert gain.interval.low >= 0.0, say("joint against alone", gain)

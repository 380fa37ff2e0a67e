"""Ensembles: files that belong together, combined as worked by hand, weights judged honestly."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_predictions import prediction
from typer.testing import CliRunner

from eval import ensemble_weights
from eval.ensemble_run import EnsemblePlan, make
from eval.ensemble_weights import BEST, EQUAL, FITTED, fit_weights
from eval.ensembling import METHODS, aligned, combine
from eval.exports.abaw_ah import submission_lines
from eval.predictions import Prediction, read_predictions, write_predictions
from eval.summary import summarise
from mllm_affect.cli.app import app
from mllm_affect.errors import UserError


def one(p_yes: float | None, **changed: object) -> list[Prediction]:
    return [replace(prediction("v", "yes", p_yes), **changed)]  # type: ignore[arg-type]


def p_yes(rows: list[Prediction]) -> float:
    return rows[0].probabilities["yes"]


def test_means_worked_by_hand() -> None:
    members = [one(0.9), one(0.2), one(0.4)]
    assert p_yes(combine(members, "mean")) == pytest.approx(0.5)
    assert p_yes(combine(members, "mean", [2, 1, 1])) == pytest.approx(0.6)
    odds = (9 * 0.25 * (2 / 3)) ** (1 / 3)
    assert p_yes(combine(members, "logit")) == pytest.approx(odds / (1 + odds))
    weighted = 9**0.5 * 0.25**0.5
    assert p_yes(combine(members, "logit", [1, 1, 0])) == pytest.approx(weighted / (1 + weighted))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=7))
def test_the_majority_always_wins_and_a_tie_goes_to_the_more_probable(values: list[float]) -> None:
    (row,) = combine([one(value) for value in values], "vote")
    yes = sum(value >= 0.5 for value in values)
    if 2 * yes != len(values):
        assert row.answer == ("yes" if 2 * yes > len(values) else "no")
    elif abs(np.mean(values) - 0.5) > 1e-9:
        assert row.answer == ("yes" if np.mean(values) > 0.5 else "no")
    assert (row.answer == "yes") == (row.probabilities["yes"] >= 0.5)
    assert sum(row.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=6), random=st.randoms())
def test_order_does_not_matter_and_agreement_stays(method, values, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = values.copy()
    random.shuffle(shuffled)
    here = p_yes(combine([one(value) for value in values], method))
    assert here == pytest.approx(p_yes(combine([one(value) for value in shuffled], method)))
    if method != "vote":
        assert min(values) - 1e-9 <= here <= max(values) + 1e-9


def test_members_without_an_answer_are_left_out_and_none_at_all_stays_none() -> None:
    assert p_yes(combine([one(0.9), one(None)], "mean")) == pytest.approx(0.9)
    (row,) = combine([one(None), one(None)], "mean")
    assert row.unparsed
    assert "no member" in row.problem
    held = combine([one(0.9, abstained=True), one(0.8, abstained=True)], "mean")
    assert held[0].abstained
    assert not combine([one(0.9, abstained=True), one(0.8)], "mean")[0].abstained


def test_segments_are_combined_where_all_were_cut_alike() -> None:
    (row,) = combine([one(0.9), one(0.3)], "mean")
    assert [part.probabilities["yes"] for part in row.segments] == pytest.approx([0.6, 0.6])
    shorter = one(0.3, segments=one(0.3)[0].segments[:1])
    assert combine([one(0.9), shorter], "mean")[0].segments == ()


def test_files_that_do_not_belong_together_are_refused() -> None:
    base = [prediction("a", "yes", 0.9), prediction("b", "no", 0.1)]
    for other, code in (
        (base[:1], "mismatched_ids"),
        ([*base, prediction("c", "no", 0.1)], "mismatched_ids"),
        ([base[0], prediction("b", "yes", 0.1)], "unlike_predictions"),
        ([base[0], prediction("b", "no", 0.1, task="gaze")], "unlike_predictions"),
        ([base[0], replace(base[1], classes=("no", "yes"))], "unlike_predictions"),
    ):
        with pytest.raises(UserError) as caught:
            aligned([base, other])
        assert caught.value.code == code
    with pytest.raises(UserError, match="at least two"):
        aligned([base])
    assert [row.video for row in aligned([base, base[::-1]])[1]] == ["a", "b"]


@pytest.mark.parametrize(
    "weights", [[1.0], [1.0, -1.0], [2.0, -1.0], [1.0, -0.01], [0.0, 0.0], [float("nan"), 1.0]]
)
def test_unusable_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(UserError) as caught:
        combine([one(0.9), one(0.2)], "mean", weights)
    assert caught.value.code == "bad_weights"


def test_different_thresholds_need_a_choice() -> None:
    members = [one(0.6, threshold=0.5), one(0.6, threshold=0.7)]
    with pytest.raises(UserError, match="--threshold"):
        combine(members, "mean")
    assert combine(members, "mean", threshold=0.7)[0].answer == "no"
    assert combine([members[0], one(0.3, threshold=0.5)], "mean")[0].threshold == 0.5
    with pytest.raises(UserError, match="--method vote"):
        combine([one(0.9), one(0.8, probabilities={})], "mean")


def models(split: str, people: int, seed: int = 0) -> list[list[Prediction]]:
    """A good model, one that knows half as much, and noise."""
    generator = np.random.default_rng(seed)
    found: list[list[Prediction]] = [[], [], []]
    for person in range(people):
        for video in range(5):
            yes = generator.random() < 0.55
            for member, skill in zip(found, (2.0, 1.0, 0.0), strict=True):
                score = skill * (1 if yes else -1) + generator.normal() * 1.2
                p = float(1 / (1 + np.exp(-score)))
                label = "yes" if yes else "no"
                member.append(prediction(f"{split}{person}-{video}", label, p, f"{split}{person}"))
    return found


@pytest.mark.parametrize("method", ["mean", "logit"])
def test_weights_go_to_who_knows_and_are_judged_out_of_fold(method) -> None:  # type: ignore[no-untyped-def]
    members = models("v", 40)
    fitted, rows = fit_weights(members, method)
    good, half, noise = fitted.weights
    assert good > half > noise - 1e-9
    assert noise < 0.1
    assert sum(fitted.weights) == pytest.approx(1.0)
    assert min(fitted.weights) >= 0.0
    assert (fitted.folds, len(fitted.by_fold)) == (5, 5)
    scores = {item.name: item for item in fitted.scores}
    loss = {name: item.negative_log_likelihood for name, item in scores.items()}
    assert loss[FITTED] < loss[EQUAL]
    assert loss[FITTED] <= loss[BEST] + 0.01
    assert scores[FITTED].macro_f1 == pytest.approx(summarise(rows, resamples=5).macro_f1)


@pytest.mark.parametrize("method", ["mean", "logit"])
def test_no_other_weights_fit_the_labels_better(method) -> None:  # type: ignore[no-untyped-def]
    members = models("v", 8)[:2]

    def loss(weights: Sequence[float]) -> float:
        told = [
            p if row.label == "yes" else 1 - p
            for row in combine(members, method, weights)
            for p in [p_yes([row])]
        ]
        return -float(np.log(told).mean())

    best = loss(fit_weights(members, method)[0].weights)
    assert all(best <= loss([w, 1 - w]) + 1e-6 for w in np.linspace(0, 1, 6).tolist())


def test_no_video_is_answered_by_weights_that_saw_its_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = models("v", 20)
    fold_N = np.array([int(item.participant[1:]) % 4 for item in members[0]])
    monkeypatch.setattr(ensemble_weights, "deal_participants", lambda *_: fold_N)
    turned = [
        [
            replace(item, label="no" if item.label == "yes" else "yes") if fold == 2 else item
            for item, fold in zip(member, fold_N, strict=True)
        ]
        for member in members
    ]
    for method in ("mean", "logit"):
        _, before = fit_weights(members, method)  # type: ignore[arg-type]
        _, after = fit_weights(turned, method)  # type: ignore[arg-type]
        same_N = np.array(
            [one.probabilities == two.probabilities for one, two in zip(before, after, strict=True)]
        )
        assert same_N[fold_N == 2].all()
        assert not same_N[fold_N != 2].all()


def test_weights_fitted_on_noise_do_not_shine() -> None:
    generator = np.random.default_rng(5)
    members = [
        [
            prediction(f"v{i}", "yes" if i % 2 else "no", float(generator.random()), f"p{i // 4}")
            for i in range(120)
        ]
        for _ in range(6)
    ]
    fitted, _ = fit_weights(aligned(members), "mean")
    for scores in fitted.scores:
        assert scores.macro_f1 < 0.65, scores


def test_from_files_to_files_that_evaluate_and_export_take(tmp_path: Path) -> None:
    paths = {}
    for split, people in (("v", 20), ("t", 8)):
        for name, member in zip("abc", models(split, people), strict=True):
            paths[split, name] = tmp_path / f"{split}-{name}.jsonl"
            write_predictions(paths[split, name], member)
    tests = tuple(paths["t", name] for name in "abc")
    fits = tuple(paths["v", name] for name in "abc")
    words = ["ensemble", "--out", str(tmp_path / "out"), "--json"]
    for path in tests:
        words += ["--predictions", str(path)]
    for path in fits:
        words += ["--fit", str(path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert sum(told["weights"]) == pytest.approx(1.0)
    assert [item["name"] for item in told["fitted"]["scores"]] == [EQUAL, BEST, FITTED]
    saved = json.loads((tmp_path / "out" / "ensemble.json").read_text())
    assert saved["weights"] == told["weights"]
    rows = read_predictions(tmp_path / "out" / "predictions.jsonl")
    summary = summarise(rows, resamples=50)
    assert summary.macro_f1 > 0.75
    assert submission_lines(rows, [row.video for row in rows]).count("\n") == 40

    again = make(EnsemblePlan(fits, fit_on=fits))
    assert again.fitted is not None
    assert len(again.predictions) == 100
    for plan, code in (
        (EnsemblePlan(tests, fit_on=fits[:2]), "bad_options"),
        (EnsemblePlan(tests, fit_on=fits, weights=(1.0, 1.0, 1.0)), "bad_options"),
        (EnsemblePlan(fits, fit_on=fits[::-1]), "shared_participants"),
        (EnsemblePlan(fits, fit_on=fits, method="vote"), "bad_weights"),
    ):
        with pytest.raises(UserError) as caught:
            make(plan)
        assert caught.value.code == code

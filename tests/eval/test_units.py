"""Action-unit figures: by hand, against scikit-learn, and thresholds that never see the test."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from eval.units.ablation import interval, table
from eval.units.flow import SIDE, FlowTraining, flow_and_strain, flow_probabilities
from eval.units.predictions import (
    UnitPrediction,
    read_unit_predictions,
    write_unit_predictions,
)
from eval.units.run import pool_units
from eval.units.scores import gain, score_units
from eval.units.summary import summarise_units
from mllm_affect.errors import UserError

UNITS = (1, 4, 12)


def drawn(seed: int, rows: int = 60) -> tuple[np.ndarray, np.ndarray, list[str]]:
    random = np.random.default_rng(seed)
    labels_NA = random.integers(0, 2, (rows, len(UNITS)))
    found_NA = np.where(random.random((rows, len(UNITS))) < 0.8, labels_NA, 1 - labels_NA) == 1
    return labels_NA, found_NA, [f"p{number % 6}" for number in range(rows)]


def test_scores_are_scikit_learns() -> None:
    labels_NA, found_NA, people = drawn(0)
    scores = score_units(UNITS, labels_NA, found_NA, people)
    for place, row in enumerate(scores.units):
        truth, said = labels_NA[:, place], found_NA[:, place]
        assert row.f1 == pytest.approx(f1_score(truth, said))
        assert row.both_f1 == pytest.approx(f1_score(truth, said, average="macro"))
        assert row.always_f1 == pytest.approx(f1_score(truth, np.ones_like(truth)))
        assert row.f1_interval.low <= row.f1 <= row.f1_interval.high
    assert scores.f1 == pytest.approx(np.mean([row.f1 for row in scores.units]))
    assert (scores.videos, scores.people) == (60, 6)


def rare(people: int = 8) -> tuple[np.ndarray, list[str]]:
    """AU1 is shown by one person, AU4 by all but one, AU12 by every second."""
    labels_NA = np.zeros((people, 3), np.int64)
    labels_NA[0, 0], labels_NA[1:, 1], labels_NA[::2, 2] = 1, 1, 1
    return labels_NA, [f"p{number}" for number in range(people)]


def test_faultless_decisions_have_faultless_intervals_though_units_are_rare() -> None:
    labels_NA, people = rare()
    scores = score_units(UNITS, labels_NA, labels_NA == 1, people)
    of_units = [unit.f1_interval for unit in scores.units]
    for between in (scores.f1_interval, scores.both_f1_interval, *of_units):
        assert (between.low, between.high) == (1.0, 1.0)
    wrong_NA = (labels_NA == 1) & (np.arange(3) != 0)
    better, between = gain(labels_NA, labels_NA == 1, wrong_NA, people)
    assert better == pytest.approx(1 / 3)
    assert between.low >= 0.0


def test_a_unit_that_nobody_shows_or_finds_scores_nothing_in_any_redraw() -> None:
    labels_NA, people = rare()
    labels_NA[:, 0] = 0
    scores = score_units(UNITS, labels_NA, labels_NA == 1, people)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.f1_interval.low == pytest.approx(2 / 3)
    assert scores.f1_interval.high == pytest.approx(2 / 3)


def test_a_false_alarm_counts_in_redraws_without_the_unit() -> None:
    labels_NA, people = rare()
    found_NA = labels_NA == 1
    found_NA[3, 0] = True
    scores = score_units(UNITS, labels_NA, found_NA, people)
    assert scores.units[0].f1_interval.low == 0.0


def test_unknown_labels_count_nowhere() -> None:
    labels_NA = np.array([[1], [0], [-1], [-1]])
    found_NA = np.array([[True], [False], [True], [False]])
    (row,) = score_units((1,), labels_NA, found_NA, list("abcd")).units
    assert (row.f1, row.both_f1, row.known, row.found) == (1.0, 1.0, 2, 1)


def test_a_gain_is_paired_so_that_equal_decisions_gain_exactly_nothing() -> None:
    labels_NA, found_NA, people = drawn(1)
    same, between = gain(labels_NA, found_NA, found_NA, people)
    assert (same, between.low, between.high) == (0.0, 0.0, 0.0)
    better, between = gain(labels_NA, labels_NA == 1, found_NA, people)
    assert 0 < between.low <= better <= between.high


def row(video: str, person: str, **given: object) -> UnitPrediction:
    facts = {
        "video": video, "participant": person, "split": "test", "units": (1, 4),
        "labels": (1, 0), "probabilities": (0.6, 0.3), "thresholds": (0.5, 0.5),
    }  # fmt: skip
    return UnitPrediction.model_validate(facts | given)


def test_every_fold_is_decided_by_its_own_thresholds() -> None:
    rows = [
        row("a", "1", fold="1", thresholds=(0.5, 0.5)),
        row("b", "2", fold="2", thresholds=(0.7, 0.2)),
    ]
    summary = summarise_units(rows)
    assert [unit.found for unit in summary.scores.units] == [1, 1]
    assert summary.folds == 2
    assert (summary.flow, summary.leanings) == (None, ())


def test_what_answers_lean_on_is_what_falls_when_it_is_taken_away() -> None:
    rows = [
        row(
            str(number), str(number % 3), without_content=(0.1, 0.3),
            without_instruction=(0.6, 0.3), flow=(0.1, 0.9), flow_thresholds=(0.5, 0.5),
        )
        for number in range(6)
    ]  # fmt: skip
    summary = summarise_units(rows)
    content, instruction = summary.leanings
    assert (content.token, instruction.token) == ("content token", "instruction token")
    assert content.moved_A == pytest.approx((0.5, 0.0))
    assert content.drop.gain == pytest.approx(0.5)  # AU1 is lost, AU4 never was labelled
    assert instruction.drop.gain == 0.0
    assert summary.flow is not None
    assert summary.flow.f1 == 0.0
    assert summary.over_flow is not None
    assert summary.over_flow.gain == pytest.approx(0.5)


def test_no_digit_is_lost_between_a_probability_and_its_threshold(tmp_path: Path) -> None:
    given = row("a", "1", probabilities=(0.12345674, 0.3), thresholds=(0.123456741, 0.3 + 1e-9))
    path = write_unit_predictions(tmp_path, [given])
    (read,) = read_unit_predictions([path])
    assert read == given
    assert [unit.found for unit in summarise_units([read]).scores.units] == [0, 0]


def test_files_of_folds_are_pooled_and_a_video_that_comes_twice_is_refused(tmp_path: Path) -> None:
    one = write_unit_predictions(tmp_path / "1", [row("a", "1", fold="1")])
    two = write_unit_predictions(tmp_path / "2", [row("b", "2", fold="2")])
    assert [item.video for item in read_unit_predictions([one, two])] == ["a", "b"]
    summary = pool_units([one, two], tmp_path / "out")
    assert summary.scores.videos == 2
    html = (tmp_path / "out" / "unit-report.html").read_text()
    assert "AU4" in html
    assert "2 folds" in html
    assert json.loads((tmp_path / "out" / "unit-metrics.json").read_text())["folds"] == 2
    with pytest.raises(UserError, match="was predicted before"):
        read_unit_predictions([one, one])
    other = write_unit_predictions(tmp_path / "3", [row("c", "3", units=(1, 12))])
    with pytest.raises(UserError, match="other action units"):
        read_unit_predictions([one, other])
    bad = tmp_path / "bad.jsonl"
    bad.write_text(
        '{"video":"a","participant":"1","split":"t","units":[1],"labels":[],'
        '"probabilities":[0.5],"thresholds":[0.5]}\n'
    )
    with pytest.raises(UserError, match="one entry a unit"):
        read_unit_predictions([bad])


def moving_square(dx: int, dy: int, gain: float = 1.0) -> np.ndarray:
    """Eight frames in which a textured square has moved by the fifth; later light changes."""
    random = np.random.default_rng(3)
    texture = random.integers(60, 200, (24, 24, 3))
    frames = np.full((8, 64, 64, 3), 120, np.uint8)
    for index in range(8):
        share = min(index, 4) / 4
        top, left = 20 + round(dy * share), 20 + round(dx * share)
        frames[index, top : top + 24, left : left + 24] = texture
        frames[index] = np.clip(frames[index] * (gain if index == 7 else 1.0), 0, 255)
    return frames


def test_flow_follows_the_motion_and_not_the_light() -> None:
    across, down, strain = flow_and_strain(moving_square(3, 0))
    assert across.shape == (SIDE, SIDE)
    middle = (slice(11, 18), slice(11, 18))
    assert across[middle].mean() > 1.5 > abs(down[middle].mean())
    assert strain.max() > 0.05
    _, down, _ = flow_and_strain(moving_square(0, -3))
    assert down[middle].mean() < -1.5
    flickering, _, _ = flow_and_strain(moving_square(3, 0, gain=1.1))
    assert flickering[middle].mean() == pytest.approx(across[middle].mean(), rel=0.25)


def test_the_baseline_learns_which_way_things_move() -> None:
    def some(start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        clips, labels = [], []
        for number in range(start, start + count):
            right = number % 2
            clips.append(flow_and_strain(moving_square(3 if right else -3, number % 3 - 1)))
            labels.append([right, 1 - right])
        return np.stack(clips), np.array(labels)

    tested, labels_NA = some(100, 8)
    (found_NA,) = flow_probabilities(*some(0, 12), [tested], FlowTraining(steps=60))
    assert ((found_NA > 0.5) == (labels_NA == 1)).all()


def test_the_table_says_when_a_part_brings_nothing() -> None:
    text = table(
        {
            "whole": {0: 0.80, 1: 0.82, 2: 0.81},
            "plain": {0: 0.30, 1: 0.33, 2: 0.31},
            "dense": {0: 0.79, 1: 0.83, 2: 0.81},
            "shifted": {0: 0.60, 1: 0.61, 2: 0.63},
            "shifted-no-ccr": {0: 0.70, 1: 0.71, 2: 0.73},
        }
    )
    lines = {line.split("|")[1].strip(): line for line in text.splitlines()}
    assert "| helps |" in lines["plain miniature: neither token"]
    assert "nothing shown" in lines["dense graph"]
    assert "| harms |" in lines["light misleads, no CCR"]
    # Student's t for three seeds is 4.303.
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2.0 - 4.303 / 3**0.5, 2.0 + 4.303 / 3**0.5), rel=1e-3
    )
    assert "one seed says nothing" in table({"whole": {0: 0.8}, "plain": {0: 0.3}})

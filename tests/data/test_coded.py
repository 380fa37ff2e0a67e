"""Made clips with coded action units: what is labelled moves, and nothing else tells it."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from mllm_affect.data.examples import read_examples
from mllm_affect.data.made.coded import (
    COMBINATIONS,
    SECONDS,
    CodedPlan,
    make_coded,
    plan_coded,
)
from mllm_affect.data.unit_labels import MADE_UNITS, UNITS_LABEL, unit_labels
from mllm_affect.errors import UserError

PLAN = CodedPlan((28, 14, 14), 14)


def test_every_combination_comes_as_often_in_every_split() -> None:
    counts: dict[str, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for clip in plan_coded(PLAN):
        counts[clip.split][clip.units] += 1
    for split, times in (("train", 28), ("val", 14), ("test", 14)):
        assert counts[split] == dict.fromkeys(COMBINATIONS, times)
    assert {unit for units in COMBINATIONS for unit in units} == set(MADE_UNITS)


def test_nobody_is_in_two_splits_and_a_seed_decides_all() -> None:
    clips = list(plan_coded(PLAN))
    people = defaultdict(set)
    for clip in clips:
        people[clip.split].add((clip.split == "test", clip.person))
    assert not people["train"] & people["val"]
    assert clips == list(plan_coded(PLAN))
    assert clips != list(plan_coded(CodedPlan(PLAN.people, PLAN.clips_each, seed=1)))


def test_labelled_units_rise_above_their_rest_within_the_clip_and_fall_back() -> None:
    for clip in list(plan_coded(CodedPlan((1, 1, 1), 14))):
        first, last = clip.pose(0.0), clip.pose(SECONDS)
        apex = clip.pose((clip.movement.apex_s + clip.movement.offset_s) / 2)
        for unit in MADE_UNITS:
            name = f"AU{unit}"
            rise = apex.units[name] - first.units[name]
            assert rise > 0.24 if unit in clip.units else rise == 0.0
            assert last.units[name] == pytest.approx(first.units[name])


def test_rest_does_not_tell_what_moves() -> None:
    """The strength at rest of units that move and of those that do not has the same mean."""
    rest: dict[bool, list[float]] = {True: [], False: []}
    for clip in plan_coded(PLAN):
        for unit in MADE_UNITS:
            rest[unit in clip.units].append(clip.rest[f"AU{unit}"])
    assert abs(np.mean(rest[True]) - np.mean(rest[False])) < 0.03


def test_light_tells_what_moves_only_where_it_is_shifted_and_not_in_the_test() -> None:
    def spread_by_combination(split: str, shifted: bool) -> float:
        sides: dict[tuple[int, ...], list[float]] = defaultdict(list)
        for clip in plan_coded(CodedPlan((28, 14, 28), 14, shifted=shifted)):
            if clip.split == split:
                sides[clip.units].append(clip.light.side)
        within = np.mean([np.std(some) for some in sides.values()])
        return float(within / np.std([side for some in sides.values() for side in some]))

    assert spread_by_combination("train", shifted=True) < 0.6
    assert spread_by_combination("test", shifted=True) > 0.9
    assert spread_by_combination("train", shifted=False) > 0.9


def test_a_written_folder_is_a_labelled_set_without_sound(tmp_path: Path) -> None:
    from mllm_affect.media.probe import probe

    made = make_coded(tmp_path / "units", CodedPlan((1, 1, 1), 2))
    read = read_examples(tmp_path / "units")
    assert read == made
    assert len(made) == 6
    source = probe(tmp_path / "units" / made[0].video)
    assert source.duration_s == pytest.approx(SECONDS, abs=0.05)
    assert not source.has_audio
    for example, clip in zip(made, plan_coded(CodedPlan((1, 1, 1), 2)), strict=True):
        shown = unit_labels(example.labels[UNITS_LABEL], MADE_UNITS)
        assert [unit for unit, is_shown in zip(MADE_UNITS, shown, strict=True) if is_shown] == (
            sorted(clip.units)
        )
        assert example.labels["au"] == ("yes" if clip.units else "no")
    with pytest.raises(UserError, match="not an empty folder"):
        make_coded(tmp_path / "units", CodedPlan((1, 1, 1), 2))
    with pytest.raises(UserError, match="people in every split"):
        make_coded(tmp_path / "none", CodedPlan((1, 0, 1), 2))

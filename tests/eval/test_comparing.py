"""Two models on the same videos: what differs, and how sure one may be."""

from dataclasses import replace

import numpy as np
import pytest
from made_predictions import prediction

from eval.comparing import compare
from eval.predictions import Prediction
from eval.summary import summarise
from mllm_affect.errors import UserError


def rows(right: list[bool], person_videos: int = 4) -> list[Prediction]:
    found = []
    for index, good in enumerate(right):
        label = "yes" if index % 2 else "no"
        p_yes = 0.8 if (label == "yes") == good else 0.2
        found.append(prediction(f"v{index}", label, p_yes, f"p{index // person_videos}"))
    return found


GENERATOR = np.random.default_rng(0)
HARD = GENERATOR.random(120) < 0.45
OURS = rows([not hard for hard in HARD])
THEIRS = rows([not hard and index % 12 != 0 for index, hard in enumerate(HARD)])


def test_the_difference_is_that_of_the_figures() -> None:
    found = compare(OURS, THEIRS[::-1])
    one, other = summarise(OURS), summarise(THEIRS)
    assert found.macro_f1 == pytest.approx(one.macro_f1 - other.macro_f1)
    assert found.accuracy == pytest.approx(one.accuracy - other.accuracy)
    assert (found.only_ours, found.only_theirs) == (one.right - other.right, 0)


def test_pairing_is_surer_than_two_intervals_side_by_side() -> None:
    found = compare(OURS, THEIRS)
    one, other = summarise(OURS).accuracy_interval, summarise(THEIRS).accuracy_interval
    assert one.low < other.high, "side by side one could not tell"
    assert found.accuracy_interval.low > 0.0
    assert found.better > 0.95


def test_nothing_differs_from_itself_and_sides_can_be_changed() -> None:
    same = compare(OURS, OURS)
    assert (same.macro_f1, same.macro_f1_interval.low, same.macro_f1_interval.high) == (0, 0, 0)
    assert same.better == 0.0
    there, back = compare(OURS, THEIRS), compare(THEIRS, OURS)
    assert back.macro_f1 == pytest.approx(-there.macro_f1)
    assert back.macro_f1_interval.low == pytest.approx(-there.macro_f1_interval.high)


@pytest.mark.parametrize(
    "theirs",
    [
        OURS[1:],
        [*OURS, prediction("more", "yes", 0.5)],
        [replace(OURS[0], label="yes"), *OURS[1:]],
        [*OURS, replace(OURS[0], task="other")],
    ],
)
def test_other_videos_or_labels_are_refused(theirs: list[Prediction]) -> None:
    with pytest.raises(UserError) as caught:
        compare(OURS, theirs)
    assert caught.value.code in {"unlike_predictions", "mixed_tasks"}

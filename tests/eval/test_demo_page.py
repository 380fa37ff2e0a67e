"""The demonstration's figures say what was measured, and the page shows it."""

import json
from dataclasses import replace

import pytest
from made_predictions import prediction

from eval import demo_page
from eval.measure import Measurement
from eval.provenance import code_hash
from eval.summary import summarise


def measured(right: int, total: int = 40, shift: float = 0.0) -> Measurement:
    """A measurement with `right` right answers; `shift` moves probabilities without flipping."""
    rows = []
    for index in range(total):
        label = "yes" if index % 2 else "no"
        said_yes = (label == "yes") == (index < right)
        rows.append(prediction(f"v{index}", label, (0.9 if said_yes else 0.1) + shift))
    return Measurement(summarise(rows, resamples=50), rows)


STORY = demo_page.Story(
    seed=4,
    before=measured(20),
    after=measured(39),
    without_audio=measured(21),
    without_video=measured(19),
    seconds={"making clips": 10.04, "asking": 71.5},
)


def test_figures_hold_what_make_figures_reads() -> None:
    found = json.loads(json.dumps(demo_page.figures(STORY)))
    assert found["code"] == code_hash()
    assert found["held_out"] == {"clips": 40, "people": 40}
    assert found["before"]["accuracy"] == 0.5
    assert found["after"]["accuracy"] == 39 / 40
    assert found["without_audio"]["accuracy"] == 21 / 40
    assert found["without_video"]["accuracy"] == 19 / 40
    assert found["majority"] == {"answer": "yes", "accuracy": 0.5}
    assert found["seconds_in_all"] == pytest.approx(81.5, abs=0.1)
    assert "served" not in found


def test_agreement_over_http_is_counted_answer_by_answer() -> None:
    served = measured(38, shift=0.01)
    served = Measurement(served.summary, served.predictions[-10:])
    found = demo_page.figures(replace(STORY, served=served))["served"]
    assert found["agreement"] == pytest.approx(9 / 10)
    assert found["largest_probability_gap"] == pytest.approx(0.81)
    same = Measurement(STORY.after.summary, STORY.after.predictions[:10])
    assert demo_page.agreement(same, STORY.after) == 1.0
    assert demo_page.probability_gap(same, STORY.after) == 0.0


def test_the_page_tells_before_after_and_that_clips_are_made() -> None:
    from eval.report import render

    html = render(demo_page.page(replace(STORY, served=STORY.after, answer={"answer": "yes"})))
    assert "50.0 %" in html
    assert "97.5 %" in html
    assert "40 of 40 answers equal those computed offline" in html
    assert "nothing about accuracy on people" in html
    assert "1 min 21 s" in html
    assert "Over HTTP" not in render(demo_page.page(STORY))

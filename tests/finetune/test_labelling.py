"""A segment's answer from annotated spans: the rule at its borders, calm parts, balance."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.labelling import SegmentRule, balanced, is_positive, overlap_s, segment_answer
from finetune.prepare import Preparation, prepare_rows
from finetune.recipe import load_recipe
from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.made.folders import write_video
from mllm_affect.errors import UserError
from mllm_affect.files import read_jsonl
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.prompts import load_task

AH = load_task("ah")


def example(label: str = "yes", **changes: Any) -> Example:
    fields = {"video": "v.mp4", "participant": "p", "split": "train", "labels": {"ah": label}}
    return Example.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0.0),
        ([(0.0, 5.0)], 0.0),
        ([(4.0, 6.5)], 1.5),
        ([(6.0, 7.0), (6.5, 8.0)], 2.0),
        ([(9.0, 99.0), (0.0, 6.0)], 2.0),
        ([(0.0, 99.0)], 5.0),
    ],
)
def test_overlap_counts_every_second_once(spans: list[tuple[float, float]], seconds: float) -> None:
    assert overlap_s(5.0, 10.0, spans) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("covered_s", "duration_s", "changes", "expected"),
    [
        (0.5, 5.0, {}, True),
        (0.49, 5.0, {}, None),
        (0.2, 1.0, {}, True),  # a fifth of a short tail
        (0.0, 5.0, {}, False),
        (0.49, 5.0, {"unclear": "negative"}, False),
        (0.3, 5.0, {"negative_share": 0.1}, False),
        (2.4, 5.0, {"positive_s": 2.5, "positive_share": 0.5}, None),
        (2.5, 5.0, {"positive_s": 2.5, "positive_share": 0.5}, True),
    ],
)
def test_the_rule_at_its_borders(
    covered_s: float, duration_s: float, changes: dict[str, Any], expected: bool | None
) -> None:
    rule = SegmentRule.model_validate(changes)
    assert is_positive(0.0, duration_s, [(0.0, covered_s)], rule) is expected


def test_calm_parts_of_positive_videos_are_negative_and_unknown_spans_are_the_video() -> None:
    rule = SegmentRule()
    known = example(spans={"ah": ((0.0, 5.0),)})
    assert segment_answer(known, AH, 0.0, 5.0, rule) == "yes"
    assert segment_answer(known, AH, 5.0, 10.0, rule) == "no"
    assert segment_answer(known, AH, 4.8, 9.8, rule) is None
    assert segment_answer(example(), AH, 5.0, 10.0, rule) == "yes"
    assert segment_answer(example("no", spans={"ah": ()}), AH, 0.0, 5.0, rule) == "no"


def test_balance_repeats_rare_rows_evenly_and_the_same_for_a_seed() -> None:
    rows = list(range(13))
    answers = ["no"] * 10 + ["yes"] * 3
    assert balanced(rows, answers, "none", 0) == rows
    more = balanced(rows, answers, "oversample", 0)
    assert more[:13] == rows
    times = Counter(more)
    assert sum(times[row] for row in (10, 11, 12)) == 10
    assert max(times.values()) - min(times[row] for row in (10, 11, 12)) <= 1
    assert more == balanced(rows, answers, "oversample", 0)
    assert more != balanced(rows, answers, "oversample", 1)


def test_undersampling_keeps_as_many_of_every_answer_in_their_order() -> None:
    rows = list(range(13))
    answers = ["no"] * 10 + ["yes"] * 3
    fewer = balanced(rows, answers, "undersample", 0)
    assert fewer == sorted(fewer)
    assert fewer[-3:] == [10, 11, 12]
    assert len(fewer) == len(set(fewer)) == 6
    assert fewer == balanced(rows, answers, "undersample", 0)
    assert fewer != balanced(rows, answers, "undersample", 1)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    frames_THWC = random.integers(0, 256, (13 * 12, 64, 64, 3), dtype=np.uint8)
    audio_S = random.normal(0, 2000, 13 * 16_000).astype(np.int16)
    write_video(frames_THWC, audio_S, tmp_path / "v.mp4")
    return tmp_path


def prepared(clips: Path, out: Path, **changes: Any) -> tuple[list[str], dict[str, Any]]:
    preparation = Preparation((AH,), Sampling(4.0, 4096), "train", 5.0, **changes)
    manifest = prepare_rows(clips, preparation, out, trusted=True)
    rows = read_jsonl(out / "rows.jsonl")
    return [row["messages"][-1]["content"] for row in rows], manifest


def test_rows_are_labelled_by_their_own_segment(clips: Path, tmp_path: Path) -> None:
    # Cut at 5 and 10 s, whatever the span: it starts inside the second segment.
    write_examples(clips, [example(spans={"ah": ((6.0, 10.2),)})])
    answers, manifest = prepared(clips, tmp_path / "rows")
    assert answers == ["no", "yes"]
    assert manifest["segments"] == 3
    assert manifest["segments_unclear"] == 1
    assert manifest["answers_before_balance"] == {"no": 1, "yes": 1}
    assert manifest["segment_rule"] == SegmentRule().model_dump()
    assert manifest["participants_by_rows"] == {"no": {1: 1}, "yes": {1: 1}}
    assert "p" not in str(manifest["participants_by_rows"])
    answers, manifest = prepared(
        clips, tmp_path / "rows", rule=SegmentRule(unclear="negative"), balance="oversample", seed=4
    )
    assert answers == ["no", "yes", "no", "yes"]
    assert manifest["answers_before_balance"] == {"no": 2, "yes": 1}
    assert (manifest["balance"], manifest["balance_seed"]) == ("oversample", 4)


def test_a_recipe_states_the_rule() -> None:
    recipe = load_recipe("miniature-ah")
    assert recipe.segment_rule.positive_share == 0.5
    assert recipe.balance == "oversample"
    changed = load_recipe("miniature-ah", {"segment_rule": {"positive_s": 1.0}})
    assert changed.segment_rule == SegmentRule(positive_s=1.0)
    with pytest.raises(UserError) as caught:
        load_recipe("miniature-ah", {"segment_rule": {"positive_share": 0}})
    assert caught.value.code == "bad_recipe"

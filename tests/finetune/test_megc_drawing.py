"""Which questions are asked about labelled clips and windows in training, and how often."""

import json
from collections import Counter
from pathlib import Path

import pytest

from finetune.labelling import Balance
from finetune.megc.clip_rows import Absent, clip_questions
from finetune.megc.gathered import Gathered
from finetune.megc.rule import ExpressionRule, TimedEvent, peaking_in, shown_in
from mllm_affect.data.megc.labels import ClipLabel
from mllm_affect.data.megc.vocabulary import ACTION_UNITS
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.prompts import load_family

VQA, LVQA = load_family("me_vqa"), load_family("me_lvqa")


def event(onset_s: float, apex_s: float, offset_s: float) -> TimedEvent:
    return TimedEvent(onset_s=onset_s, apex_s=apex_s, offset_s=offset_s, units=("dimpler",))


def test_the_bounds_of_what_a_window_shows_belong_to_it() -> None:
    rule = ExpressionRule(positive_share=0.5, negative_share=0.25)
    short, long = event(2.0, 2.25, 2.5), event(2.0, 2.25, 3.0)
    assert shown_in(1.5, 2.25, [short], rule) is True
    assert shown_in(1.0, 2.25, [long], rule) is False
    assert shown_in(1.0, 2.375, [long], rule) is None


def test_a_window_in_which_two_events_peak_is_of_neither() -> None:
    first, second = event(1.0, 1.2, 1.4), event(1.5, 1.6, 1.8)
    assert peaking_in(1.1, 1.5, [first, second]) == first
    assert peaking_in(1.1, 1.6, [first, second]) is None


def asked_about(label: ClipLabel) -> list[tuple[str, str]]:
    return [(kind, answer) for kind, _, answer in clip_questions(label, VQA, ["jaw drop"])]


def test_a_clip_is_asked_what_its_label_answers() -> None:
    one = ClipLabel("samm", "6", "a", ("dimpler",), "fear", "negative", {"dimpler": "left"})
    assert asked_about(one) == [
        ("coarse", "negative"), ("fine", "fear"), ("unit", "dimpler"),
        ("unit_shown", "yes"), ("unit_shown", "no"), ("unit_side", "left"),
    ]  # fmt: skip
    two = ClipLabel("samm", "6", "b", ("dimpler", "lips part"), "contempt", "negative")
    # Tests ask for no contempt; which unit it is cannot be answered with one.
    assert asked_about(two) == [
        ("coarse", "negative"),
        ("unit_shown", "yes"), ("unit_shown", "yes"), ("unit_shown", "no"),
    ]  # fmt: skip
    side = clip_questions(one, VQA, [])[-1][1]
    assert side.question == VQA.task("unit_side", unit="dimpler").question


def test_half_of_the_absent_units_asked_about_are_shown_by_other_clips() -> None:
    """All units but one are shown somewhere, so that one is half of what is drawn."""
    others = [name for name in ACTION_UNITS if name != "jaw drop"]
    absent = Absent([others, others[:3], others[:3]], 1.0, 0)
    drawn = Counter(absent.draw(("dimpler",))[0] for _ in range(3000))
    assert drawn["jaw drop"] / 3000 == pytest.approx(1 / 2, abs=0.04)
    assert "dimpler" not in drawn
    # The others by how often they are shown: the first three in three clips, 20 in one.
    first = sum(drawn[name] for name in others[:3]) / 3000
    assert first == pytest.approx(1 / 2 * 9 / (9 + 20), abs=0.04)
    assert len(Absent([("dimpler",)], 2.0, 0).draw(("dimpler", "lips part"))) == 4


def written(folder: Path, rule: ExpressionRule, balance: Balance) -> Counter[tuple[str, str]]:
    """How often each kind and answer is written: windows yes 1, no 5; micro 1, macro 3."""
    gathered = Gathered()
    for kind, answers in (
        ("event_here", ["yes"] + ["no"] * 5),
        ("type_here", ["micro-expression"] + ["macro-expression"] * 3),
    ):
        for answer in answers:
            row = {"messages": [{"content": kind}, {"content": answer}], "videos": [[]]}
            gathered.add(LVQA, (kind, LVQA.task(kind), answer), row)
    gathered.allowed = dict.fromkeys(("event_here", "type_here"), ())
    gathered.write(folder, (LVQA,), Sampling(), rule, balance, 0)
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [[message["content"] for message in json.loads(line)["messages"]] for line in lines]
    return Counter((kind, answer) for kind, answer in rows)


def test_balance_leaves_alone_what_the_rule_has_weighed_and_repeats_rare_kinds(
    tmp_path: Path,
) -> None:
    micro, macro = "micro-expression", "macro-expression"
    windows = {("event_here", "yes"): 1, ("event_here", "no"): 5}
    plain = written(tmp_path / "plain", ExpressionRule(rarest_kind=1.0), "none")
    assert plain == windows | {("type_here", micro): 1, ("type_here", macro): 3}
    even = written(tmp_path / "even", ExpressionRule(), "oversample")
    assert even == windows | {("type_here", micro): 3, ("type_here", macro): 3}
    # 6 rows of windows, of which a third is wanted of every kind; there are 4 of types.
    rare = written(tmp_path / "rare", ExpressionRule(rarest_kind=1.0, calm_per_event=9), "none")
    assert rare == plain


def test_kinds_with_few_rows_are_repeated_up_to_their_share(tmp_path: Path) -> None:
    gathered = Gathered()
    for kind, answers in (("fine", ["fear"] * 8), ("coarse", ["negative", "positive"])):
        for answer in answers:
            row = {"messages": [{"content": kind}, {"content": answer}], "videos": [[]]}
            gathered.add(VQA, (kind, VQA.task(kind), answer), row)
    gathered.allowed = {"fine": (), "coarse": ()}
    rule = ExpressionRule(rarest_kind=0.5)
    manifest = gathered.write(tmp_path, (VQA,), Sampling(), rule, "oversample", 0)
    assert manifest["answers"] == {"fear": 8, "negative": 2, "positive": 2}

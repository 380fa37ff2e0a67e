"""Events of a long video: cut from windows, typed by duration, answered without contradiction."""

import csv
import io
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mllm_affect.data.megc.answers import contradictions, read_answer
from mllm_affect.data.megc.question_files import Trained
from mllm_affect.data.megc.questions import Asked, Kind
from mllm_affect.data.megc.vocabulary import ACTION_UNITS
from mllm_affect.errors import UserError
from mllm_affect.scoring.event_answers import answer_video, count_form, settle
from mllm_affect.scoring.event_timeline import (
    timeline_csv,
    timeline_json,
    timeline_rows,
    timeline_webvtt,
    webvtt_time,
)
from mllm_affect.scoring.video_events import (
    Event,
    EventRule,
    Window,
    accepted,
    curve,
    event_type,
    find_events,
)

HOP_S = 0.1


def hops(probabilities: list[float], **facts: object) -> list[Window]:
    """Windows of 0.2 s, half overlapping."""
    return [
        Window(round(n * HOP_S, 3), round(n * HOP_S + 2 * HOP_S, 3), p, **facts)  # type: ignore[arg-type]
        for n, p in enumerate(probabilities)
    ]


def test_the_curve_is_the_mean_of_the_windows_that_hold() -> None:
    pieces = curve([Window(0.0, 2.0, 0.2), Window(1.0, 3.0, 0.8), Window(5.0, 6.0, 1.0)])
    assert [(p.start_s, p.end_s) for p in pieces] == [(0, 1), (1, 2), (2, 3), (5, 6)]
    assert [p.probability for p in pieces] == pytest.approx([0.2, 0.5, 0.8, 1.0])


def test_a_short_burst_is_micro_and_a_long_one_macro() -> None:
    short = find_events(hops([0.0, 0.0, 0.9, 0.9, 0.9, 0.0, 0.0]))
    (event,) = short
    assert event.type == "micro-expression"
    assert event.onset_s == pytest.approx(0.2)
    assert event.offset_s == pytest.approx(0.6)
    assert event.onset_s < event.apex_s < event.offset_s
    assert event.probability == pytest.approx(0.9)
    (long,) = find_events(hops([0.0, *[0.9] * 8, 0.0]))
    assert long.type == "macro-expression"
    assert long.duration_s > 0.5


def test_half_a_second_is_still_micro() -> None:
    assert event_type(15 / 30) == event_type(0.1 + 0.4) == "micro-expression"
    assert event_type(16 / 30) == "macro-expression"


def test_the_default_rule_is_the_documented_one() -> None:
    """The service names these numbers in its answers, and docs/megc.md explains them."""
    rule = EventRule()
    assert (rule.threshold, rule.floor, rule.join_gap_s, rule.shortest_s) == (0.5, 0.3, 0.1, 0.0)


def test_every_bound_belongs_to_the_event() -> None:
    rule = EventRule(threshold=0.5, floor=0.5, join_gap_s=1.0, shortest_s=1.0)
    (one,) = find_events([Window(0.0, 1.0, 0.5)], rule)
    assert (one.onset_s, one.apex_s, one.offset_s) == (0.0, 0.5, 1.0)
    assert accepted([one], rule) == [one]
    assert find_events([Window(0.0, 0.99, 0.5)], rule) == []
    assert find_events([Window(0.0, 1.0, 0.499)], rule) == []
    gap = [Window(0.0, 1.0, 0.5), Window(2.0, 3.0, 0.5)]
    assert len(find_events(gap, rule)) == 1
    assert len(find_events([gap[0], Window(2.01, 3.01, 0.5)], rule)) == 2


def test_windows_at_the_apex_that_say_no_do_not_count() -> None:
    """Units and type come from the windows that see the event."""
    windows = [
        Window(0.0, 4.0, 0.9, {"dimpler": 0.8}, micro=0.9),
        Window(0.0, 4.0, 0.3, {"dimpler": 0.2}, micro=0.3),
        Window(0.0, 4.0, 0.29, {"dimpler": 0.0}, micro=0.0),
        Window(9.0, 9.5, 0.9, {"jaw drop": 0.9}),
    ]
    first, last = find_events(windows)
    assert first.units == pytest.approx({"dimpler": 0.5})
    assert first.type == "micro-expression"
    assert last.units == {"jaw drop": 0.9}


def test_a_window_of_half_a_second_is_short_enough_for_time_to_tell() -> None:
    (fine,) = find_events([Window(0.0, 5.0, 0.9, micro=0.9), Window(2.0, 2.5, 0.95)])
    assert fine.type == "macro-expression"
    (coarse,) = find_events([Window(0.0, 5.0, 0.9, micro=0.9), Window(2.0, 2.6, 0.95)])
    assert coarse.type == "micro-expression"
    (even,) = find_events([Window(0.0, 5.0, 0.9, micro=0.5)])
    assert even.type == "micro-expression"
    (less,) = find_events([Window(0.0, 5.0, 0.9, micro=0.49)])
    assert less.type == "macro-expression"


def test_only_windows_too_long_to_tell_are_asked_for_the_type() -> None:
    (coarse,) = find_events([Window(0.0, 5.0, 0.9, micro=0.8)])
    assert coarse.type == "micro-expression"
    (fine,) = find_events([*hops([0.9] * 9, micro=0.8)])
    assert fine.type == "macro-expression"


def test_a_dip_does_not_split_an_event_and_a_gap_does() -> None:
    rule = EventRule(threshold=0.5, floor=0.3, join_gap_s=0.15)
    dip = find_events(hops([0.9, 0.9, 0.4, 0.4, 0.9, 0.9]), rule)
    assert len(dip) == 1
    apart = find_events(hops([0.9, 0.9, 0.0, 0.0, 0.0, 0.0, 0.9, 0.9]), rule)
    assert len(apart) == 2
    assert len(find_events(hops([0.9, 0.9, 0.0, 0.0, 0.0, 0.9, 0.9]), rule)) == 2
    wide = EventRule(threshold=0.5, floor=0.3, join_gap_s=0.5)
    assert len(find_events(hops([0.9, 0.9, 0.0, 0.0, 0.0, 0.0, 0.9, 0.9]), wide)) == 1
    short = EventRule(shortest_s=0.3)
    assert find_events([Window(0.0, 0.2, 0.9)], short) == []


def test_action_units_are_the_mean_over_the_windows_at_the_apex() -> None:
    windows = [
        Window(0.0, 1.0, 0.9, {"dimpler": 0.9, "lips part": 0.1}),
        Window(0.0, 1.0, 0.7, {"dimpler": 0.5}),
        Window(0.0, 1.0, 0.1, {"jaw drop": 1.0}),
    ]
    (event,) = find_events(windows)
    assert event.units == pytest.approx({"dimpler": 0.7, "lips part": 0.1})


windows_lists = st.lists(
    st.builds(
        lambda start, length, p, u: Window(start / 10, (start + length) / 10, p, {"dimpler": u}),
        st.integers(0, 200), st.integers(1, 50), st.floats(0, 1), st.floats(0, 1),
    ),
    max_size=25,
)  # fmt: skip
rules = st.builds(
    lambda a, b, gap: EventRule(max(a, b), min(a, b), gap),
    st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0, 0.5),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(windows_lists, rules, st.randoms())
def test_events_are_sound_for_any_windows(windows: list[Window], rule: EventRule, random) -> None:  # type: ignore[no-untyped-def]
    events = find_events(windows, rule)
    shuffled = [*windows]
    random.shuffle(shuffled)
    again = find_events(shuffled, rule)
    assert [(e.onset_s, e.offset_s, e.type) for e in events] == [
        (e.onset_s, e.offset_s, e.type) for e in again
    ]
    for event in events:
        assert any(abs(event.onset_s - w.start_s) < 1e-5 for w in windows) or any(
            abs(event.onset_s - w.end_s) < 1e-5 for w in windows
        )
        assert event.onset_s <= event.apex_s <= event.offset_s
        assert rule.floor <= event.probability <= 1.0
        assert (event.type == "micro-expression") == (event.duration_s <= 0.5 + 1e-6)
    for before, after in pairwise(events):
        assert after.onset_s - before.offset_s > rule.join_gap_s
    assert all(event.probability >= rule.threshold for event in accepted(events, rule))


@settings(max_examples=60, deadline=None)
@given(windows_lists, st.integers(1, 1000))
def test_a_later_start_only_shifts_the_events(windows: list[Window], shift: int) -> None:
    moved = [Window(w.start_s + shift, w.end_s + shift, w.probability, w.units) for w in windows]
    for before, after in zip(find_events(windows), find_events(moved), strict=True):
        assert after.onset_s - before.onset_s == pytest.approx(shift, abs=1e-6)
        assert after.probability == pytest.approx(before.probability)


def test_a_rule_that_cannot_be_meant() -> None:
    for bad in (
        {"floor": 0.6},
        {"floor": 0.0},
        {"join_gap_s": -1.0},
        {"shortest_s": -0.1},
        {"threshold": 1.1},
    ):
        with pytest.raises(UserError) as caught:
            EventRule(**bad)
        assert caught.value.code == "bad_event_rule"


def event(onset_s: float, probability: float, length_s: float = 0.4, **units: float) -> Event:
    named = {name.replace("_", " "): value for name, value in units.items()}
    end_s = onset_s + length_s
    return Event(onset_s, onset_s + 0.1, end_s, probability, event_type(length_s), named)


LIST = [
    event(9.0, 0.9, 2.0, dimpler=0.9, lips_part=0.2),
    event(1.0, 0.8, 0.3, brow_lowerer=0.6),
    event(5.0, 0.4, 0.4, jaw_drop=0.8),
]
COUNT = [Asked(Kind.count_all), Asked(Kind.count_micro), Asked(Kind.count_macro)]


def test_an_event_that_was_only_assumed_has_the_usual_type_and_unit() -> None:
    asked = [*COUNT, Asked(Kind.distinct_units), Asked(Kind.event_type, number=1)]
    assert answer_video(asked, settle(asked, []), "number", usual_unit="dimpler") == (
        1, 0, 1, "dimpler", "macro-expression",
    )  # fmt: skip
    micro = settle(asked, [], usual_type="micro-expression")
    assert answer_video(asked, micro, "number")[:3] == (1, 1, 0)
    assert answer_video(asked, micro, "number")[-2:] == ("brow lowerer", "micro-expression")


def test_units_of_a_video_are_those_probable_in_some_event_or_else_the_most_probable() -> None:
    faint = [event(1.0, 0.9, dimpler=0.3, jaw_drop=0.4), event(2.0, 0.9, dimpler=0.45)]
    assert settle([], faint).units == ("dimpler",)
    assert settle([], [*faint, event(3.0, 0.9, jaw_drop=0.5)]).units == ("jaw drop",)
    assert settle([], []).units == ()


def test_presupposed_events_are_the_next_most_probable_ones() -> None:
    events = [event(3.0, 0.2), event(1.0, 0.9), event(2.0, 0.4), event(4.0, 0.1)]
    asked = [Asked(Kind.event_type, number=1), Asked(Kind.event_type, number=3)]
    assert [e.onset_s for e in settle(asked, events).events] == [1.0, 2.0, 3.0]
    assert [e.onset_s for e in settle(asked[:1], events).events] == [1.0]


def test_answers_by_hand() -> None:
    asked = [*COUNT, Asked(Kind.distinct_units), Asked(Kind.event_type, number=2)]
    assert answer_video(asked, settle(asked, LIST), "number") == (
        2, 1, 1, "brow lowerer, dimpler", "macro-expression",
    )  # fmt: skip
    third = [*COUNT, Asked(Kind.distinct_units), Asked(Kind.event_type, number=3)]
    assert answer_video(third, settle(third, LIST), "string") == (
        "3", "2", "1", "brow lowerer, dimpler, jaw drop", "macro-expression",
    )  # fmt: skip
    sixth = [*COUNT, Asked(Kind.event_type, number=6)]
    profile = settle(sixth, LIST)
    assert (len(profile.events), profile.assumed) == (3, 3)
    assert answer_video(sixth, profile, "number") == (6, 2, 4, "macro-expression")
    nothing = [*COUNT, Asked(Kind.distinct_units)]
    assert answer_video(nothing, settle(nothing, []), "number") == (0, 0, 0, "")


events_lists = st.lists(
    st.builds(
        lambda onset, length, p, unit, u: Event(
            onset, onset, onset + length, p, event_type(length), {unit: u}
        ),
        st.floats(0, 100), st.floats(0, 3), st.floats(0, 1),
        st.sampled_from(list(ACTION_UNITS)), st.floats(0, 1),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    events_lists, st.lists(st.integers(1, 33), max_size=2), st.sampled_from(["number", "string"])
)
def test_no_long_video_ever_contradicts_itself(
    events: list[Event], numbers: list[int], form: str
) -> None:
    asked = [*COUNT, Asked(Kind.distinct_units)]
    asked += [Asked(Kind.event_type, number=number) for number in numbers]
    answers = answer_video(asked, settle(asked, events), form)  # type: ignore[arg-type]
    answered = list(zip(asked, answers, strict=True))
    for question, answer in answered:
        read_answer(question, answer)
    assert contradictions(answered) == []
    assert {type(answer) for answer in answers[:3]} == {int if form == "number" else str}


def trained(answer: object, kind: Kind = Kind.count_all) -> Trained:
    return Trained(1, "1", "samm", "i", "6", "f", "", Asked(kind), answer)


def test_the_form_of_counts_follows_the_training_file() -> None:
    assert count_form([trained("3"), trained(3, Kind.coarse)]) == "string"
    assert count_form([trained(3), trained(0, Kind.count_macro)]) == "number"
    assert count_form([trained("negative", Kind.coarse)]) is None
    with pytest.raises(UserError) as caught:
        count_form([trained(3), trained("3")])
    assert caught.value.code == "mixed_counts"


def test_a_question_of_the_other_task_or_beyond_the_events() -> None:
    profile = settle([], LIST)
    with pytest.raises(UserError) as other:
        answer_video([Asked(Kind.coarse)], profile, "number")
    assert other.value.code == "wrong_task"
    with pytest.raises(UserError) as beyond:
        answer_video([Asked(Kind.event_type, number=3)], profile, "number")
    assert beyond.value.code == "presupposed_event"


def test_timelines_hold_every_event_in_order() -> None:
    rows = json.loads(timeline_json(LIST, "made.mp4"))["events"]
    assert [row["onset_s"] for row in rows] == [1.0, 5.0, 9.0]
    assert rows[2]["action_units"] == {"dimpler": 0.9, "lips part": 0.2}
    table = list(csv.DictReader(io.StringIO(timeline_csv(LIST).decode("utf-8-sig"))))
    assert [row["action_units"] for row in table] == ["brow lowerer", "jaw drop", "dimpler"]
    captions = timeline_webvtt([*LIST, event(3661.5, 0.5, 0.0)])
    assert captions.startswith("WEBVTT\n\n1\n00:00:01.000 --> 00:00:01.300\nmicro-expression")
    assert "00:00:09.000 --> 00:00:11.000\nmacro-expression, probability 0.90: dimpler" in captions
    assert "01:01:01.500 --> 01:01:01.501" in captions
    assert captions.endswith(
        "\n4\n01:01:01.500 --> 01:01:01.501\nmicro-expression, probability 0.50\n"
    )


def test_times_and_probabilities_of_a_timeline_are_rounded_for_reading() -> None:
    fine = Event(1.23456, 2.34567, 3.45678, 0.123456, "macro-expression", {"dimpler": 0.987654})
    (row,) = timeline_rows([fine])
    assert row == {
        "event": 1, "type": "macro-expression", "onset_s": 1.235, "apex_s": 2.346,
        "offset_s": 3.457, "probability": 0.1235, "action_units": {"dimpler": 0.9877},
    }  # fmt: skip
    even = event(1.0, 0.5, dimpler=0.5, jaw_drop=0.49)
    assert "dimpler" in timeline_webvtt([even])
    assert "jaw drop" not in timeline_webvtt([even])


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0.0, "00:00:00.000"),
        (-0.2, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3599.999, "00:59:59.999"),
        (3600.0, "01:00:00.000"),
        (90_061.5, "25:01:01.500"),
    ],
)
def test_times_of_captions(time_s: float, text: str) -> None:
    assert webvtt_time(time_s) == text

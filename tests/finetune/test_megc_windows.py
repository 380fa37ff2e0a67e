"""Windows of long videos in training: their times, what is left out, and which are kept."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from finetune.megc.clip_rows import Absent
from finetune.megc.rule import ExpressionRule, TimedEvent, shown_in
from finetune.megc.window_rows import (
    FRAME_MISSING,
    LONGEST_S,
    USUAL_CALM,
    Clocked,
    LabelledWindow,
    label_windows,
    most_shown,
    on_the_clock,
    units_of,
    window_questions,
)
from mllm_affect.data.megc.clip_folders import ClipFiles, ClipState
from mllm_affect.data.megc.coding_sheets import Coded
from mllm_affect.data.megc.labels import EventLabel, PartlyCoded, VideoLabel, video_labels
from mllm_affect.data.megc.question_files import Trained
from mllm_affect.data.megc.questions import Asked, Kind, word
from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.tasks.family import Scan
from mllm_affect.tasks.prompts import load_family

RATE = 10.0
SCAN = Scan(rate=10.0, window_s=0.6, hop_s=0.2)
RULE = ExpressionRule()


def folder(numbers: list[int]) -> ClipFiles:
    images = tuple(Path(f"clip/img{number}.jpg") for number in numbers)
    return ClipFiles("clip", ClipState.frames, Path("clip"), images)


def video(*events: EventLabel, partly: tuple[PartlyCoded, ...] = ()) -> VideoLabel:
    return VideoLabel("samm", "6", "clip", events, partly)


def event(onset: int, apex: int | None, offset: int) -> EventLabel:
    return EventLabel(onset, apex, offset, ("dimpler",))


def test_an_event_lasts_from_its_first_frame_to_the_end_of_its_last() -> None:
    files = folder([*range(101, 201)])
    (first,) = on_the_clock(video(event(111, 113, 115)), files, RATE).events
    assert (first.onset_s, first.apex_s, first.offset_s) == pytest.approx((1.0, 1.2, 1.5))
    # Five frames at ten a second last half a second: micro; with a sixth it is macro.
    assert first.type == "micro-expression"
    (longer,) = on_the_clock(video(event(111, 113, 116)), files, RATE).events
    assert longer.type == "macro-expression"
    film = ClipFiles("clip", ClipState.video, Path("clip.mp4"))
    (in_film,) = on_the_clock(video(event(10, 12, 14)), film, RATE).events
    assert (in_film.onset_s, in_film.apex_s, in_film.offset_s) == pytest.approx((1.0, 1.2, 1.5))
    (uncoded,) = on_the_clock(video(event(111, None, 115)), files, RATE).events
    assert uncoded.apex_s == pytest.approx(1.2)


@pytest.mark.parametrize("lost", [111, 113, 115])
def test_an_event_whose_coded_frame_is_missing_is_left_out_and_counted(lost: int) -> None:
    files = folder([number for number in range(101, 201) if number != lost])
    clocked = on_the_clock(video(event(111, 113, 115), event(150, 152, 154)), files, RATE)
    assert clocked.left_out == {FRAME_MISSING: 1}
    (kept,) = clocked.events
    assert kept.onset_s == pytest.approx(4.8), "later frames move up by the missing one"
    ((start_s, end_s),) = clocked.unclear
    assert start_s <= 1.0
    assert 1.4 <= end_s <= 1.6


def test_a_frame_missing_between_the_coded_ones_leaves_the_event_in() -> None:
    files = folder([number for number in range(101, 201) if number != 112])
    clocked = on_the_clock(video(event(111, 113, 115)), files, RATE)
    assert (len(clocked.events), clocked.left_out, clocked.unclear) == (1, {}, ())


def test_around_an_event_coded_in_part_nothing_is_learned() -> None:
    files = folder([*range(1, 201)])
    parts = (PartlyCoded(101, None), PartlyCoded(None, 21), PartlyCoded(None, None))
    clocked = on_the_clock(video(partly=parts), files, RATE)
    assert clocked.events == ()
    assert clocked.unclear == (
        pytest.approx((10.0, 10.1 + LONGEST_S)), pytest.approx((2.0 - LONGEST_S, 2.1)),
    )  # fmt: skip


def coded(onset: int | None, apex: int | None, offset: int | None, *unread: str) -> Coded:
    return Coded(1, "samm", "006", "clip", onset, apex, offset, ("blink",), unread, "", "")


def test_labels_of_a_video_count_what_cannot_be_learned() -> None:
    rows = [
        Trained(1, "1", "samm", "i", "6", "clip", word(Asked(kind)), Asked(kind), answer)
        for kind, answer in [(Kind.count_all, "4"), (Kind.count_all, "n/a"), (Kind.count_micro, 1)]
    ]
    sheet = [
        coded(30, 0, 40), coded(10, 12, 20, "99", "?"), coded(50, 52, None), coded(9, 8, 7),
    ]  # fmt: skip
    (label,), left_out = video_labels(rows, sheet)
    assert label.events == (
        EventLabel(10, 12, 20, ("blink",)), EventLabel(30, None, 40, ("blink",)),
    )  # fmt: skip
    assert label.partly_coded == (PartlyCoded(50, None), PartlyCoded(7, 9))
    assert left_out == {
        "action unit without a known name": 2,
        "event without onset or offset": 1,
        "event with times out of order": 1,
    }


def windows(count: int, start_s: float = 0.0) -> list[Clip]:
    """Windows of 0.6 s every 0.2 s that hold next to nothing."""
    frames = np.zeros((2, 2, 2, 3), np.uint8)
    return [
        Clip(
            Segment("hash", n, start_s + 0.2 * n, start_s + 0.2 * n + 0.6, 0, 6, False),
            Sampling(fps=4.0, max_pixels=1024), frames, np.zeros(2), None,
        )
        for n in range(count)
    ]  # fmt: skip


def timed(onset_s: float, offset_s: float, units: tuple[str, ...] = ("dimpler",)) -> TimedEvent:
    return TimedEvent(
        onset_s=onset_s, apex_s=(onset_s + offset_s) / 2, offset_s=offset_s, units=units
    )


def test_every_calm_window_is_kept_with_the_same_chance_wherever_the_events_are() -> None:
    """Events come late, so many calm windows pass before it is known how many are wanted."""
    events = tuple(timed(40.0 + 2.0 * n, 41.2 + 2.0 * n) for n in range(8))
    clips = windows(300)
    calm = {
        c.segment.index
        for c in clips
        if shown_in(c.segment.start_s, c.segment.end_s, events, RULE) is False
    }
    runs = 300
    kept: Counter[int] = Counter()
    for seed in range(runs):
        chosen = label_windows(
            clips, Clocked(events, (), {}), RULE, SCAN, np.random.default_rng(seed)
        )
        shown = [window for window in chosen if window.shows]
        quiet = [window.clip.segment.index for window in chosen if not window.shows]
        assert len(quiet) == round(1.5 * len(shown)) > USUAL_CALM
        assert len(set(quiet)) == len(quiet)
        assert [w.clip.segment.index for w in chosen] == sorted(
            w.clip.segment.index for w in chosen
        )
        kept.update(quiet)
    assert kept.keys() == calm
    share = sum(kept.values()) / len(calm) / runs
    assert 0.3 < share < 0.6
    in_turn = sorted(calm)
    for third in (in_turn[:60], in_turn[60:120], in_turn[120:180], in_turn[180:]):
        assert sum(kept[n] for n in third) / len(third) / runs == pytest.approx(share, abs=0.025)
    five = 5 * (share * (1 - share) / runs) ** 0.5
    assert all(abs(kept[index] / runs - share) < five for index in calm)


def test_a_video_without_events_gives_some_calm_windows_and_a_short_one_all() -> None:
    nothing = Clocked((), (), {})
    random = np.random.default_rng(0)
    assert len(label_windows(windows(60), nothing, RULE, SCAN, random)) == USUAL_CALM == 20
    assert len(label_windows(windows(7), nothing, RULE, SCAN, random)) == 7
    assert label_windows([], nothing, RULE, SCAN, random) == []
    one = Clocked((timed(2.0, 2.4),), (), {})
    chosen = label_windows(windows(60), one, RULE, SCAN, random)
    assert sum(not window.shows for window in chosen) == USUAL_CALM


def test_no_more_windows_show_the_events_than_were_reckoned_with() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        onset_s, lasts_s = random.uniform(1, 3), random.uniform(0.1, 4)
        found = timed(onset_s, onset_s + lasts_s)
        clips = windows(60, start_s=float(random.uniform(0, 0.2)))
        shown = sum(
            shown_in(c.segment.start_s, c.segment.end_s, [found], RULE) is True for c in clips
        )
        assert shown <= most_shown([found], RULE, SCAN) <= shown + 5


def test_windows_over_a_left_out_event_are_not_learned_from() -> None:
    clips = windows(20)
    clocked = Clocked((timed(0.0, 0.6),), ((1.0, 1.6),), {})
    chosen = label_windows(clips, clocked, RULE, SCAN, np.random.default_rng(0))
    spans = [(w.clip.segment.start_s, w.clip.segment.end_s) for w in chosen]
    assert spans
    assert all(end_s <= 1.0 + 1e-9 or start_s >= 1.6 - 1e-9 for start_s, end_s in spans)


def test_units_outside_the_25_are_asked_about_and_uncoded_ones_not() -> None:
    family = load_family("me_lvqa")
    absent = Absent([("blink", "dimpler"), ("brow lowerer",)], 1.0, 0)
    (clip,) = windows(1)
    shown = LabelledWindow(clip, True, timed(0.1, 0.4, ("blink",)))
    asked = {task.question: answer for _, task, answer in window_questions(shown, family, absent)}
    assert asked[family.task("unit_shown", unit="blink").question] == "yes"
    assert list(asked.values()).count("no") == 1
    assert units_of(shown) == ("blink",)
    drawn = {name for _ in range(200) for name in absent.draw(("dimpler",))}
    assert {"blink", "brow lowerer", "lip pressor"} <= drawn
    assert "lip pucker" not in drawn
    uncoded = LabelledWindow(clip, True, timed(0.1, 0.4, ()))
    kinds = [kind for kind, _, _ in window_questions(uncoded, family, absent)]
    assert kinds == ["event_here", "type_here"], "nobody knows which units it does not show"
    assert units_of(uncoded) is None

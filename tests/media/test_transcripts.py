"""Speech that was written down gets one monotonic timeline, every repair counted."""

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mllm_affect.errors import UserError
from mllm_affect.media.speech.said_in_segments import said_in_segments
from mllm_affect.media.speech.transcript import (
    CHARACTERS_A_SECOND,
    STEP_BACK_S,
    WINDOW_S,
    Chunk,
    RawChunk,
    Repairs,
    one_timeline,
    subtitles,
)
from mllm_affect.media.types import Segment


def spans(chunks: tuple[Chunk, ...]) -> list[tuple[float, float]]:
    return [(chunk.start_s, chunk.end_s) for chunk in chunks]


def raw(*times: tuple[float | None, float | None]) -> list[RawChunk]:
    return [RawChunk(f"word{index}", *pair) for index, pair in enumerate(times)]


def test_a_clean_timeline_is_left_alone() -> None:
    told = one_timeline(raw((0.0, 2.5), (2.5, 4.0), (7.0, 31.0)))
    assert spans(told.chunks) == [(0.0, 2.5), (2.5, 4.0), (7.0, 31.0)]
    assert told.repairs.total == 0
    assert told.uncertain_s == 0.0
    assert told.repairs.sentence() == "no repairs"


def test_a_clock_that_restarts_goes_on_and_says_how_unsure_it_is() -> None:
    told = one_timeline(raw((0.0, 5.0), (5.0, 28.0), (0.0, 4.0), (4.5, 29.0), (1.0, 2.0)))
    assert spans(told.chunks) == [(0, 5), (5, 28), (28, 32), (32.5, 57), (58, 59)]
    assert told.repairs == Repairs(restarts=2)
    assert told.uncertain_s == pytest.approx(2.0 + 1.0)
    assert told.repairs.sentence() == "restarts: 2"


def test_a_clock_may_restart_within_a_chunk() -> None:
    told = one_timeline(raw((20.0, 27.0), (27.0, 3.0), (3.0, 6.0)))
    assert spans(told.chunks) == [(20, 27), (27, 30), (30, 33)]
    assert told.repairs == Repairs(restarts=1)
    assert told.uncertain_s == pytest.approx(3.0)


def test_an_end_before_its_start_on_a_running_clock_is_moved() -> None:
    told = one_timeline(raw((5.0, 2.0), (5.5, 7.0)))
    assert spans(told.chunks) == [(5, 5), (5.5, 7)]
    assert told.repairs == Repairs(reversed=1)


def test_the_last_end_may_be_missing() -> None:
    known = one_timeline(raw((0.0, 20.0), (21.0, None)), duration_s=24.0)
    assert spans(known.chunks)[-1] == (21.0, 24.0)
    long = one_timeline(raw((0.0, 20.0), (21.0, None)), duration_s=100.0)
    assert spans(long.chunks)[-1] == (21.0, WINDOW_S)
    unknown = one_timeline(raw((0.0, 20.0), (21.0, None)))
    assert spans(unknown.chunks)[-1] == (21.0, 21.0 + len("word1") / CHARACTERS_A_SECOND)
    assert known.repairs == long.repairs == unknown.repairs == Repairs(missing_ends=1)


def test_an_end_in_the_middle_may_be_missing() -> None:
    running = one_timeline(raw((0.0, None), (4.0, 5.0)))
    assert spans(running.chunks) == [(0, 4), (4, 5)]
    assert running.repairs == Repairs(missing_ends=1)
    anew = one_timeline(raw((26.0, None), (0.0, 5.0)))
    assert spans(anew.chunks) == [(26, 30), (30, 35)]
    assert anew.repairs == Repairs(missing_ends=1, restarts=1)
    assert anew.uncertain_s == 0.0, "the window was heard to its end"


def test_a_start_may_be_missing() -> None:
    told = one_timeline(raw((0.0, 2.0), (None, 3.0)))
    assert spans(told.chunks) == [(0, 2), (2, 3)]
    anew = one_timeline(raw((0.0, 29.0), (None, 3.0)))
    assert spans(anew.chunks) == [(0, 29), (29, 32)]
    assert anew.repairs == Repairs(missing_starts=1, restarts=1)


def test_small_steps_back_are_overlaps() -> None:
    told = one_timeline(raw((0.0, 5.0), (4.5, 6.0), (5.5, 5.75)))
    assert spans(told.chunks) == [(0, 5), (5, 6), (6, 6)]
    assert told.repairs == Repairs(overlaps=2)


def test_nothing_lies_beyond_the_recording_or_before_it() -> None:
    told = one_timeline(raw((-0.2, 5.0), (5.0, 12.0), (13.0, 14.0)), duration_s=10.0)
    assert spans(told.chunks) == [(0, 5), (5, 10), (10, 10)]
    assert told.repairs == Repairs(negative=1, beyond_end=2)


def test_chunks_without_text_are_dropped_and_counted() -> None:
    told = one_timeline([RawChunk("  ", 0.0, 29.0), RawChunk(" one\n two ", 0.0, 2.0)])
    assert told.chunks == (Chunk("one two", 29.0, 31.0),), "its clock still counts"
    assert told.repairs == Repairs(restarts=1, empty=1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e7, "3", True, [1]])
def test_a_time_that_is_none_is_refused(bad: object) -> None:
    with pytest.raises(UserError, match="Piece 2") as caught:
        one_timeline([RawChunk("a", 0.0, 1.0), RawChunk("b", bad, 2.0)])  # type: ignore[arg-type]
    assert caught.value.code == "bad_transcript"


def test_subtitles_are_sorted_and_may_overlap() -> None:
    told = subtitles(raw((3.0, 4.0), (1.0, 3.5), (5.0, 4.0)))
    assert [chunk.text for chunk in told.chunks] == ["word1", "word0", "word2"]
    assert spans(told.chunks) == [(1, 3.5), (3, 4), (5, 5)]
    assert told.repairs == Repairs(reordered=1, reversed=1)


seconds = st.none() | st.floats(-5, 40, allow_nan=False).map(lambda value: round(value, 2))
texts = st.lists(st.sampled_from(["um", "yes", "I", "well,", "naïve", "好"]), max_size=6).map(
    " ".join
)
any_chunks = st.lists(st.builds(RawChunk, texts, seconds, seconds), max_size=25)


@given(any_chunks, st.none() | st.floats(1, 500))
def test_any_chunks_become_monotonic_and_no_word_is_lost(
    chunks: list[RawChunk], duration_s: float | None
) -> None:
    told = one_timeline(chunks, duration_s)
    before_s = 0.0
    for chunk in told.chunks:
        assert before_s <= chunk.start_s <= chunk.end_s
        before_s = chunk.end_s
    if duration_s is not None:
        assert before_s <= duration_s
    assert told.text.split() == [word for chunk in chunks for word in chunk.text.split()]
    assert len(told.chunks) + told.repairs.empty == len(chunks)
    missing = sum(chunk.end_s is None for chunk in chunks)
    assert told.repairs.missing_ends == missing
    assert told.repairs.missing_starts == sum(chunk.start_s is None for chunk in chunks)


@given(any_chunks)
def test_a_timeline_that_needed_no_repair_was_not_touched(chunks: list[RawChunk]) -> None:
    told = one_timeline(chunks)
    stated = [(chunk.start_s, chunk.end_s) for chunk in chunks]
    assert (told.repairs.total > 0) or (spans(told.chunks) == stated)
    again = one_timeline([RawChunk(c.text, c.start_s, c.end_s) for c in told.chunks])
    assert (again.chunks, again.repairs.total) == (told.chunks, 0), (
        "repairing twice changes nothing"
    )


@st.composite
def speech(draw: st.DrawFn) -> tuple[list[Chunk], list[RawChunk], int]:
    """True chunks, the same on a clock that restarts with every window, and how often it does.

    A window ends where its last chunk does, at 20 to 30 s of its own clock.
    """
    true, told = [], []
    base_s = 0.0
    windows = draw(st.integers(1, 5))
    for _ in range(windows):
        last_s = draw(st.integers(200, 300)) / 10
        inner = draw(st.lists(st.integers(1, 199), unique=True, min_size=1, max_size=6))
        cuts_s = [0.0, *(cut / 10 for cut in sorted(inner)), last_s]
        for start_s, end_s in pairwise(cuts_s):
            text = f"word{len(true)}"
            true.append(Chunk(text, base_s + start_s, base_s + end_s))
            told.append(RawChunk(text, start_s, end_s))
        base_s += last_s
    return true, told, windows - 1


@given(speech())
def test_restarts_are_undone_exactly_and_counted(
    made: tuple[list[Chunk], list[RawChunk], int],
) -> None:
    true, told, restarts = made
    found = one_timeline(told)
    assert found.repairs == Repairs(restarts=restarts)
    for chunk, truth in zip(found.chunks, true, strict=True):
        assert dataclasses.astuple(chunk)[1:] == pytest.approx(dataclasses.astuple(truth)[1:])
    assert 0 <= found.uncertain_s <= restarts * (WINDOW_S - 20) + 1e-6
    assert STEP_BACK_S < 20


def segments(*borders: float) -> list[Segment]:
    return [
        Segment("hash", index, start_s, end_s, 0, 1, has_audio=True)
        for index, (start_s, end_s) in enumerate(pairwise(borders))
    ]


def test_a_chunk_across_a_border_is_split_between_words() -> None:
    told = one_timeline([RawChunk("aaa bbb ccc ddd", 4.0, 8.0)])
    first, second = said_in_segments(told, segments(0, 5.6, 10))
    assert first == (Chunk("aaa bbb", 4.0, 6.0),), "the middle of bbb lies at 5.5"
    assert second == (Chunk("ccc ddd", 6.0, 8.0),)


def test_one_word_goes_where_its_larger_part_is() -> None:
    told = one_timeline([RawChunk("well", 4.0, 6.0)])
    assert [len(part) for part in said_in_segments(told, segments(0, 4.9, 10))] == [0, 1]
    assert [len(part) for part in said_in_segments(told, segments(0, 5.1, 10))] == [1, 0]


def test_words_outside_the_video_belong_to_its_ends() -> None:
    told = one_timeline([RawChunk("early", 0.0, 1.0), RawChunk("late", 50.0, 51.0)])
    first, second = said_in_segments(told, segments(10, 15, 20))
    assert (first[0].text, second[0].text) == ("early", "late")


def test_a_transcript_may_begin_elsewhere_than_the_video() -> None:
    told = one_timeline([RawChunk("hello", 1.0, 2.0)])
    _, second = said_in_segments(told, segments(10, 15, 20), origin_s=15.0)
    assert spans(second) == [(16.0, 17.0)]


def test_words_without_segments_are_not_lost_silently() -> None:
    with pytest.raises(ValueError, match="no segments"):
        said_in_segments(one_timeline(raw((0.0, 1.0))), [])


@given(any_chunks, st.lists(st.floats(0, 200), min_size=2, max_size=12, unique=True).map(sorted))
def test_every_word_is_said_in_exactly_one_segment(
    chunks: list[RawChunk], borders: list[float]
) -> None:
    told = one_timeline(chunks)
    parts = said_in_segments(told, segments(*borders))
    words = [word for part in parts for chunk in part for word in chunk.text.split()]
    assert words == told.text.split(), "in order, none lost, none twice"

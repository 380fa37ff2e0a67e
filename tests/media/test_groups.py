"""Groups of pictures beside each other: parted where nothing is missed, bounded, nothing left."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_videos import Made, number_of, regular, write
from numpy.typing import NDArray

from mllm_affect.media import reader
from mllm_affect.media.decoding import carried_out, groups, planned
from mllm_affect.media.decoding.ahead import THREAD
from mllm_affect.media.decoding.coded import PARAMETERS, REACHES_BACK, REFERENCE, RESTARTS
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.decoding.groups import (
    frames_of_groups,
    groups_at_once,
    last_is_alone,
    parted,
)
from mllm_affect.media.decoding.late import Late
from mllm_affect.media.decoding.opening import open_media, spare_decoder
from mllm_affect.media.decoding.planned import Plan, UnplannedError
from mllm_affect.media.decoding.stream_choice import main_video
from mllm_affect.media.decoding.timeline import Timeline
from mllm_affect.media.looking import timeline_of
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.types import Sampling, Source

GROUP, GROUPS = 20, 8


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (groups, planned):
        monkeypatch.setattr(module, "usable_cores", lambda: 4)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Eight groups of twenty pictures, some of which no other refers to."""
    options = {"preset": "ultrafast", "bf": "2", "g": str(GROUP), "sc_threshold": "0"}
    path = tmp_path_factory.mktemp("groups") / "groups.mp4"
    return probe(write(path, Made(regular(GROUP * GROUPS, 25), options=options)))


def line(*lengths: int, back: tuple[int, ...] = ()) -> Timeline:
    """A timeline of groups of these lengths; those in `back` reach back before their restart."""
    flags: list[int] = []
    for place, length in enumerate(lengths):
        flags += [RESTARTS | REFERENCE, *[REFERENCE] * (length - 1)]
        flags[1 - length] |= REACHES_BACK if place in back else 0
    count = len(flags)
    order = np.arange(count, dtype=np.int32)
    flags_P = np.array(flags, dtype=np.uint8)
    return Timeline(Fraction(1, 25), np.arange(count, dtype=np.int64), 1, order, flags_P)


def plan_of(timeline: Timeline, *wanted: int, skip: bool = True) -> Plan:
    needed_N: NDArray[np.bool_] = np.zeros(len(timeline.ticks_N), dtype=np.bool_)
    needed_N[list(wanted)] = True
    return Plan.of(timeline, needed_N, skip)


def lengths(plan: Plan) -> list[int]:
    return [len(group.send) for group in parted(plan)]


def test_a_plan_is_parted_where_decoding_starts_anew() -> None:
    plan = plan_of(line(20, 30, 25), 3, 22, 70)
    parts = parted(plan)
    assert [len(part.send) for part in parts] == [20, 30, 25]
    assert [part.wanted_F.tolist() for part in parts] == [[3], [22], [70]]
    assert b"".join(part.send for part in parts) == plan.send


def test_nothing_is_read_beyond_the_last_group_that_is_wanted() -> None:
    assert lengths(plan_of(line(20, 30, 25, 40), 3, 22)) == [20, 30]
    assert lengths(plan_of(line(20, 30))) == [20]


def test_pictures_that_reach_back_stay_with_what_they_refer_to() -> None:
    assert lengths(plan_of(line(20, 30, 25, back=(1,)), 60)) == [50, 25]


def test_short_groups_are_taken_together() -> None:
    assert lengths(plan_of(line(*[1] * 30), 29)) == [12, 12, 6]
    assert lengths(plan_of(line(20, 5, 20), 44)) == [20, 25]


def test_parameters_on_the_way_are_missed_by_no_decoder() -> None:
    timeline = line(20, 30, 25)
    timeline.flags_P[20] |= PARAMETERS
    assert lengths(plan_of(timeline, 70)) == [75]


def test_where_all_is_decoded_nothing_is_parted() -> None:
    assert lengths(plan_of(line(20, 30), 40, skip=False)) == [50]


@pytest.mark.usefixtures("four_cores")
def test_how_many_at_once() -> None:
    parts = parted(plan_of(line(*[20] * 8), *range(0, 160, 10)))
    assert groups_at_once(parts, waiting=100) == 4  # as many as cores
    assert groups_at_once(parts, waiting=5) == 3  # two may wait for each group
    assert groups_at_once(parts, waiting=1) == 1
    assert groups_at_once(parts[:1], waiting=100) == 1
    assert groups_at_once(parted(plan_of(line(20, 20), 3, 4)), waiting=100) == 1
    assert groups_at_once(parted(plan_of(line(2000, 20), 3, 2010)), waiting=100) == 1


def decoded_beside(source: Source, wanted: list[int], waiting: int = 100) -> Iterator[TimedFrame]:
    timeline = timeline_of(source, lambda _packet: None)
    assert timeline is not None
    parts = parted(plan_of(timeline, *wanted))
    assert len(parts) == GROUPS
    others = [spare_decoder(source.path) for _ in range(2)]
    with open_media(source.path) as container:
        video = main_video(container)
        assert video is not None
        decoders = [video.codec_context, *others]
        yield from frames_of_groups(decoders, container.demux(video), parts, waiting)


def number(frame: TimedFrame) -> int:
    return number_of(frame.picture.to_ndarray(format="rgb24"))


class Noted:
    """A decoder that notes when it begins with a group."""

    def __init__(self, name: int, begun: list[tuple[int, int | None]], decoder: Any) -> None:
        self._name, self._begun, self._decoder = name, begun, decoder

    def decode(self, packet: Any) -> Any:
        if packet is not None and packet.is_keyframe:
            self._begun.append((self._name, packet.pts))
        return self._decoder.decode(packet)

    def flush_buffers(self) -> None:
        self._decoder.flush_buffers()


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize("waiting", [3, 100])
@pytest.mark.parametrize("busy", [4, 7])
def test_a_group_that_would_be_left_alone_has_a_decoder_of_its_own(
    source: Source, busy: int, waiting: int
) -> None:
    timeline = timeline_of(source, lambda _packet: None)
    assert timeline is not None
    parts = parted(plan_of(timeline, *(group * GROUP + 3 for group in range(busy))))
    begun: list[tuple[int, int | None]] = []
    with open_media(source.path) as container:
        video = main_video(container)
        assert video is not None
        opened = [video.codec_context, *(spare_decoder(source.path) for _ in range(3))]
        *decoders, last = [Noted(n, begun, one) for n, one in enumerate(opened)]
        packets = container.demux(video)
        frames = list(frames_of_groups(decoders, packets, parts, waiting, last))
    assert [frame.index for frame in frames] == [group * GROUP + 3 for group in range(busy)]
    begins = sorted({pts for _, pts in begun if pts is not None})
    assert len(begins) == busy
    by = {begins.index(pts): name for name, pts in begun if pts is not None}
    assert by[0] == 0
    assert [place for place, name in by.items() if name == 3] == [busy - 1]
    assert not left()


@pytest.mark.parametrize(("busy", "alone"), [(1, False), (2, False), (3, True), (4, False)])
def test_who_would_be_left_alone(busy: int, alone: bool) -> None:
    parts = parted(plan_of(line(*[20] * 4), *(20 * group for group in range(busy))))
    assert last_is_alone(parts, at_once=2) is alone
    assert not last_is_alone(parts, at_once=1)


def test_the_last_begins_when_each_of_the_others_has_as_much_left() -> None:
    busy = parted(plan_of(line(30, 40, 20), 29, 65, 69, 75))  # reaches of 30, 40 and 6
    late = Late(busy, 2, spare_decoder)  # type: ignore[arg-type]  # not asked
    late.passed(30 + 40 - 2 * 6 - 1)
    assert not late.wait(0)
    late.passed(1)
    assert late.wait(0)
    short = Late(parted(plan_of(line(20, 20, 20), 19, 39, 59)), 2, spare_decoder)  # type: ignore[arg-type]
    assert short.wait(0)


def test_a_group_of_which_less_is_decoded_than_was_planned_holds_up_nobody(source: Source) -> None:
    """Else the last would wait for ever for what is left of it."""
    timeline = timeline_of(source, lambda _packet: None)
    assert timeline is not None
    parts = parted(plan_of(timeline, 19, 39, 43))
    parts[0] = replace(parts[0], wanted_F=np.array([1], dtype=np.intp))
    with open_media(source.path) as container:
        video = main_video(container)
        assert video is not None
        decoders = [video.codec_context, spare_decoder(source.path)]
        packets = container.demux(video)
        frames = frames_of_groups(decoders, packets, parts, 100, spare_decoder(source.path))
        assert [frame.index for frame in frames] == [1, 39, 43]


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize("waiting", [0, 3, 100])
def test_frames_come_in_order_whoever_decoded_them(source: Source, waiting: int) -> None:
    wanted = [*range(5), 19, 20, 39, *range(100, 140, 3), 159]
    frames = list(decoded_beside(source, wanted, waiting))
    assert [frame.index for frame in frames] == wanted
    assert [number(frame) for frame in frames] == wanted
    assert not left()


def left() -> int:
    return sum(thread.name.startswith(THREAD) for thread in threading.enumerate())


@pytest.mark.usefixtures("four_cores")
def test_no_more_frames_wait_than_may(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes them is slow: the open group, and those that may wait, are all there is."""
    decoded: list[int] = []

    def counting(decoder: Any, packets: Any, plan: Plan) -> Iterator[TimedFrame]:
        for frame in planned.planned_frames(decoder, packets, plan):
            decoded.append(frame.index)
            yield frame

    monkeypatch.setattr(groups, "planned_frames", counting)
    frames = decoded_beside(source, list(range(GROUP * GROUPS)), waiting=GROUP)
    next(frames)
    time.sleep(0.5)
    assert sorted(decoded) == list(range(2 * GROUP))
    assert len(list(frames)) == GROUP * GROUPS - 1


@pytest.mark.usefixtures("four_cores")
def test_stopping_early_leaves_no_thread(source: Source) -> None:
    frames = decoded_beside(source, list(range(0, 160, 4)))
    assert next(frames).index == 0
    assert left()
    frames.close()  # type: ignore[attr-defined]
    assert not left()


@pytest.mark.usefixtures("four_cores")
def test_what_goes_wrong_is_raised_in_its_place(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(decoder: Any, packets: Any, plan: Plan) -> Iterator[TimedFrame]:
        for frame in planned.planned_frames(decoder, packets, plan):
            if frame.index == 50:
                raise UnplannedError
            yield frame

    monkeypatch.setattr(groups, "planned_frames", failing)
    frames = decoded_beside(source, list(range(0, 160, 2)))
    assert [next(frames).index for _ in range(25)] == list(range(0, 50, 2))
    with pytest.raises(UnplannedError):
        next(frames)
    assert not left()


@pytest.mark.usefixtures("four_cores")
def test_reading_uses_it_where_little_has_to_wait(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []

    def noting(decoders: Any, *rest: Any) -> Any:
        at_once.append(len(decoders))
        return frames_of_groups(decoders, *rest)

    monkeypatch.setattr(carried_out, "frames_of_groups", noting)
    sampling = Sampling(fps=2.0)
    clips = list(read_video(source, sampling))
    assert at_once == [4]
    monkeypatch.setattr(groups, "HELD_BYTES", 0)
    alone = list(read_video(source, sampling))
    assert at_once == [4]
    for one, other in zip(clips, alone, strict=True):
        assert one.segment == other.segment
        assert np.array_equal(one.frames_THWC, other.frames_THWC)
        assert one.times_T.tolist() == other.times_T.tolist()


@pytest.mark.usefixtures("four_cores")
def test_a_beginning_that_is_not_wanted_is_left_out(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decoded of it during the look belongs to no group then: all goes as planned."""
    sampling = Sampling(fps=2.0)
    clips = list(read_video(source, sampling, max_seconds=1.5))
    plans: list[Plan] = []

    def noting(source: Source, plan: Plan, *rest: Any) -> Any:
        plans.append(plan)
        return carried_out.frames_and_sound(source, plan, *rest)

    monkeypatch.setattr(reader, "frames_and_sound", noting)
    later = list(read_clips(source, [clip.segment for clip in clips[2:]], sampling))
    assert len(later) == len(clips) - 2 > 2
    assert [plan.skip for plan in plans] == [True]
    for one, other in zip(clips[2:], later, strict=True):
        assert np.array_equal(one.frames_THWC, other.frames_THWC)


def test_the_spare_decoder_needs_no_open_file(source: Source, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(source.path.read_bytes())
    decoder = spare_decoder(replace(source, path=copy).path)
    copy.unlink()
    assert not decoder.is_open
    with open_media(source.path) as container:
        first = next(iter(container.demux(video=0)))
        pictures = [*decoder.decode(first), *decoder.decode(None)]
    assert [number_of(one.to_ndarray(format="rgb24")) for one in pictures] == [0]

"""Pictures decoded before anybody knew which are needed are those that would be decoded later."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media.decoding import begun
from mllm_affect.media.decoding.ahead import THREAD
from mllm_affect.media.decoding.begun import Begun
from mllm_affect.media.decoding.planned import Decodes

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

Pictures = list[tuple[int | None, NDArray[np.uint8]]]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in one group of pictures, some of which nothing refers to."""
    path = tmp_path_factory.mktemp("begun") / "talk.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=2", "-c:v", "libx264", "-g", "100",
               "-bf", "2", str(path))  # fmt: skip
    return path


@pytest.fixture
def opened(path: Path) -> "Iterator[InputContainer]":
    with av.open(str(path)) as container:
        yield container


def decoded(decoder: Decodes, packets: "list[Packet[Any]]") -> Pictures:
    return [
        (picture.pts, picture.to_ndarray(format="gray"))
        for packet in packets
        for picture in decoder.decode(packet)
    ]


def fresh(path: Path, send: bytes) -> Pictures:
    """What a decoder gives that is handed these packets and no others."""
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
        chosen = [one for one, sent in zip(packets, send, strict=True) if sent]
        return decoded(container.streams.video[0].codec_context, chosen)


def gone_on(
    container: "InputContainer", left_out: tuple[int, ...]
) -> tuple[int, Pictures, Pictures]:
    """Begin, wait until something is decoded, go on without some packets; and the same anew.

    The first of what is returned: how many packets need not be decoded again.
    """
    early = Begun(container.streams.video[0])
    packets = list(container.demux(video=0))
    for packet in packets:
        early.see(packet)
    until = time.monotonic() + 20
    while len(early._made) < begun.MOST and time.monotonic() < until:
        time.sleep(0.005)
    assert len(early._made) == begun.MOST
    send = bytes(place not in left_out for place in range(len(packets)))
    decoder = early.goes_on(send)
    kept = len(early._made)
    chosen = [one for one, sent in zip(packets, send, strict=True) if sent]
    return kept, decoded(decoder, chosen), fresh(Path(container.name), send)


def assert_same(ours: Pictures, theirs: Pictures) -> None:
    assert [pts for pts, _ in ours] == [pts for pts, _ in theirs]
    assert len(ours) > 20
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(ours, theirs, strict=True))


def test_it_goes_on_where_it_had_come_to(opened: "InputContainer") -> None:
    kept, ours, theirs = gone_on(opened, left_out=(40, 44))
    assert kept == begun.MOST
    assert_same(ours, theirs)


def test_it_begins_again_where_it_had_decoded_too_much(opened: "InputContainer") -> None:
    kept, ours, theirs = gone_on(opened, left_out=(2, 3))
    assert kept == 0
    assert_same(ours, theirs)


def test_what_cannot_be_decoded_is_said_later(path: Path, opened: "InputContainer") -> None:
    early = Begun(opened.streams.video[0])
    packets = list(opened.demux(video=0))
    broken = av.Packet(b"\0\0\0\4nope")
    broken.stream = opened.streams.video[0]
    for packet in (packets[0], broken, *packets[1:]):
        early.see(packet)
    early.close()
    assert_same(decoded(early.goes_on(bytes([1] * 51)), packets), fresh(path, bytes([1] * 51)))


def test_large_pictures_are_not_begun(
    opened: "InputContainer", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun, "MOST_BYTES", 160 * 96)
    early = Begun(opened.streams.video[0])
    for packet in opened.demux(video=0):
        early.see(packet)
    early.close()
    assert not early._made
    assert not [one for one in threading.enumerate() if one.name.startswith(THREAD)]

"""Writing Matroska files element by element, right or wrong.

Does: elements, and a small file of one raw grey video track with or without sound.
Does not: know what a reader should make of it.
"""

import struct
from collections.abc import Iterable

HEADER, SEGMENT, INFO, TRACKS, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
ATTACHMENTS, SEEK_HEAD, CUES = 0x1941A469, 0x114D9B74, 0x1C53BB6B
SCALE, DURATION, TIME, SIMPLE_BLOCK, ENTRY = 0x2AD7B1, 0x4489, 0xE7, 0xA3, 0xAE
UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


def size(value: int) -> bytes:
    """The length of an element, in eight bytes."""
    return struct.pack(">Q", 1 << 56 | value)


def identity(number: int) -> bytes:
    """An element's name as it stands in the file."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def element(number: int, *parts: bytes) -> bytes:
    """An element with its right size."""
    content = b"".join(parts)
    return identity(number) + size(len(content)) + content


def whole(number: int, value: int) -> bytes:
    """An element that holds an unsigned number."""
    return element(number, value.to_bytes(8, "big"))


def real(number: int, value: float) -> bytes:
    """An element that holds a float."""
    return element(number, struct.pack(">d", value))


def text(number: int, value: str) -> bytes:
    """An element that holds text."""
    return element(number, value.encode())


def header(**changed: int) -> bytes:
    """The EBML header."""
    return element(
        HEADER, whole(0x4286, 1), whole(0x42F7, 1), whole(0x42F2, changed.get("max_id", 4)),
        whole(0x42F3, changed.get("max_size", 8)), text(0x4282, "matroska"), whole(0x4287, 4),
        whole(0x4285, 2),
    )  # fmt: skip


def grey_track(width: int = 64, height: int = 64, number: int = 1, *more: bytes) -> bytes:
    """A track of uncompressed grey pictures."""
    return element(
        ENTRY, whole(0xD7, number), whole(0x73C5, number), whole(0x83, 1),
        text(0x86, "V_UNCOMPRESSED"),
        element(0xE0, whole(0xB0, width), whole(0xBA, height), text(0x2EB524, "Y800")), *more,
    )  # fmt: skip


def sound_track(codec: str, rate: float, channels: int, number: int = 2, *more: bytes) -> bytes:
    """A track of sound."""
    return element(
        ENTRY, whole(0xD7, number), whole(0x73C5, number), whole(0x83, 2), text(0x86, codec),
        element(0xE1, real(0xB5, rate), whole(0x9F, channels), whole(0x6264, 8)), *more,
    )  # fmt: skip


def block(track: int, time: int, payload: bytes, flags: int = 0x80) -> bytes:
    """A block that lies `time` ticks after its cluster."""
    return element(SIMPLE_BLOCK, struct.pack(">BhB", 0x80 | track, time, flags), payload)


def cluster(time: int, blocks: Iterable[bytes]) -> bytes:
    """A cluster that begins at `time` ticks."""
    return element(CLUSTER, whole(TIME, time), *blocks)


def grey(level: int = 128, width: int = 64, height: int = 64) -> bytes:
    """A picture of one grey."""
    return bytes([level % 256]) * (width * height)


def plain_clusters(frames: int = 25, step: int = 40) -> bytes:
    """One second of pictures."""
    return cluster(0, [block(1, index * step, grey(index * 8)) for index in range(frames)])


def matroska(
    tracks: Iterable[bytes] | None = None,
    clusters: bytes | None = None,
    info: Iterable[bytes] | None = None,
    before: bytes = b"",
    begin: bytes | None = None,
) -> bytes:
    """A whole file; every part can be replaced."""
    parts = [
        element(
            INFO, *([whole(SCALE, 1_000_000), real(DURATION, 1_000.0)] if info is None else info)
        ),
        before,
        element(TRACKS, *([grey_track()] if tracks is None else tracks)),
        plain_clusters() if clusters is None else clusters,
    ]
    return (header() if begin is None else begin) + element(SEGMENT, *parts)

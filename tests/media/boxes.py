"""Taking MP4 files apart and putting lies into them.

Does: find boxes, change their payload while keeping every size and offset around them right.
Does not: judge what a reader should make of it.
"""

import struct
from collections.abc import Callable, Iterator

PARENTS = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"moof", b"traf"}
)


def box(kind: bytes, payload: bytes = b"") -> bytes:
    """A box with its right size."""
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def full_box(kind: bytes, payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags) + payload)


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes side by side in some bytes: kind and payload."""
    place = 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, place + 8)
            header = 16
        size = size or len(content) - place
        yield kind, content[place + header : place + size]
        place += size


def ends(content: bytes) -> list[tuple[str, int, int]]:
    """Name, begin and end of every top-level box."""
    found, place = [], 0
    for kind, payload in boxes(content):
        found.append((kind.decode(), place, place + 8 + len(payload)))
        place += 8 + len(payload)
    return found


def changed(
    content: bytes, path: str, change: Callable[[bytes], bytes | None], track: int = 0
) -> bytes:
    """The file with the payload of the box at `path` (as in moov/trak/mdia) replaced.

    `track` chooses among several `trak`.  None removes the box.  Media data must come before
    `moov`, so that no offset moves.
    """
    first, _, rest = path.partition("/")
    made, seen = b"", 0
    for kind, payload in boxes(content):
        if kind.decode("latin-1") == first:
            seen += 1
            if first != "trak" or seen == track + 1:
                new = changed(payload, rest, change, track) if rest else change(payload)
                made += b"" if new is None else box(kind, new)
                continue
        made += box(kind, payload)
    return made


def added(content: bytes, path: str, extra: bytes, track: int = 0) -> bytes:
    """The file with some bytes put at the end of the box at `path`."""
    return changed(content, path, lambda payload: payload + extra, track)


def put(place: int, layout: str, *values: int) -> Callable[[bytes], bytes]:
    """A change that overwrites some big-endian numbers."""

    def change(payload: bytes) -> bytes:
        new = struct.pack(">" + layout, *values)
        return payload[:place] + new + payload[place + len(new) :]

    return change


STBL = "moov/trak/mdia/minf/stbl"


def edits(*entries: tuple[int, int, int]) -> Callable[[bytes], bytes]:
    """A change of `trak` that puts these edits (duration, media time, rate) first in it."""
    content = struct.pack(">I", len(entries)) + b"".join(
        struct.pack(">Qqi", duration & (2**64 - 1), start, rate << 16)
        for duration, start, rate in entries
    )

    def change(payload: bytes) -> bytes:
        kept = b"".join(box(kind, inside) for kind, inside in boxes(payload) if kind != b"edts")
        return kept + box(b"edts", full_box(b"elst", content, version=1))

    return change

"""The hostile corpus, MP4 and QuickTime: boxes that lie."""

import random
import struct
import zlib
from collections.abc import Callable

from boxes import STBL, added, box, changed, edits, ends, full_box, put
from hostile import DAMAGED, READ, Bait, Kind, content, good

HUGE = 2**32 - 1
ANY_READING = (READ, DAMAGED, "no_frames")


def lying(
    path: str, change: Callable[[bytes], bytes | None], track: int = 0
) -> Callable[[Bait], bytes]:
    """A good file in which one box is another."""
    return lambda bait: changed(good("mp4"), path, change, track)


def timed(scale: int, *times: int) -> Callable[[Bait], bytes]:
    """The pictures' time base and (how many, how long) of the frames; no edit list."""

    def of(bait: Bait) -> bytes:
        base = changed(good("mp4"), "moov/trak/edts", lambda _: None)
        base = changed(base, "moov/trak/mdia/mdhd", put(12, "I", scale))
        content = struct.pack(f">II{len(times)}I", 0, len(times) // 2, *times)
        return changed(base, f"{STBL}/stts", lambda _: content)

    return of


def reference(
    kind: bytes, where: Callable[[Bait], bytes], flags: int = 0
) -> Callable[[Bait], bytes]:
    """A track whose data lie elsewhere, as its `dref` says."""
    return lambda bait: changed(
        good("mp4"), "moov/trak/mdia/minf/dinf/dref",
        lambda _: struct.pack(">II", 0, 1) + full_box(kind, where(bait), flags=flags),
    )  # fmt: skip


def alias(bait: Bait) -> bytes:
    """A Macintosh alias record: 150 bytes, then its absolute path as FFmpeg reads it (type 2)."""
    path = str(bait.file).encode()
    path += b"\0" * (len(path) % 2)
    return bytes(150) + struct.pack(">HH", 2, len(path)) + path + b"\xff\xff\0\0"


def reference_movie(bait: Bait) -> bytes:
    url = bait.url.encode() + b"\0"
    data = full_box(b"rdrf", b"url " + struct.pack(">I", len(url)) + url)
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", data)))


def compressed_header(bait: Bait) -> bytes:
    """A zlib bomb where a compressed movie header should be."""
    bomb = zlib.compress(bytes(64 << 20), 9)
    packed = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", HUGE // 2) + bomb)
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"cmov", packed))


def many_tracks(bait: Bait) -> bytes:
    base = good("mp4")
    found: list[bytes] = []
    changed(base, "moov/trak", lambda payload: found.append(payload) or payload)
    return added(base, "moov", box(b"trak", found[0]) * 255)


def nested(kind: bytes, depth: int) -> bytes:
    made = b""
    for _ in range(depth):
        made = struct.pack(">I4s", min(8 + len(made), HUGE), kind) + made
    return made


def frames_of_one_byte(bait: Bait) -> bytes:
    """10^6 samples of one byte."""
    base = box(b"mdat", bytes(1_000_000)) + good("mp4")
    base = changed(base, f"{STBL}/stts", lambda _: struct.pack(">IIII", 0, 1, 10**6, 1))
    base = changed(base, f"{STBL}/stsz", lambda _: struct.pack(">III", 0, 1, 10**6))
    base = changed(base, f"{STBL}/stsc", lambda _: struct.pack(">IIIII", 0, 1, 1, 10**6, 1))
    base = changed(base, f"{STBL}/stco", lambda _: struct.pack(">III", 0, 1, 8))
    return changed(base, f"{STBL}/stss", lambda _: None)


def fragmented(bait: Bait) -> bytes:
    """A fragment whose run says it has 2^32 samples."""
    run = full_box(b"trun", struct.pack(">II", HUGE, 0), flags=0x1)
    traf = box(b"traf", full_box(b"tfhd", struct.pack(">I", 1)) + run)
    moof = box(b"moof", full_box(b"mfhd", struct.pack(">I", 1)) + traf)
    base = added(
        good("mp4"), "moov", box(b"mvex", full_box(b"trex", struct.pack(">IIIII", 1, 1, 1, 0, 0)))
    )
    return base + moof * 3


def late_fragment(bait: Bait) -> bytes:
    traf = box(
        b"traf",
        full_box(b"tfhd", struct.pack(">I", 1))
        + full_box(b"tfdt", struct.pack(">Q", 2**63 - 1), version=1)
        + full_box(b"trun", struct.pack(">IIII", 1, 0, HUGE, HUGE), flags=0x301),
    )
    base = added(
        good("mp4"), "moov", box(b"mvex", full_box(b"trex", struct.pack(">IIIII", 1, 1, 1, 0, 0)))
    )
    return base + box(b"moof", full_box(b"mfhd", struct.pack(">I", 1)) + traf)


def garbage_matrix(payload: bytes) -> bytes:
    draw = random.Random(0)
    return payload[:40] + draw.randbytes(36) + payload[76:]


def cut(name: str, share: float) -> Callable[[Bait], bytes]:
    """The file ends within or right after its box of this name."""

    def of(bait: Bait) -> bytes:
        base = good("mp4")
        begin, end = next((b, e) for kind, b, e in ends(base) if kind == name)
        return base[: begin + round((end - begin) * share)]

    return of


def offsets_before(payload: bytes) -> bytes:
    (count,) = struct.unpack_from(">I", payload, 4)
    return payload[:8] + struct.pack(">I", HUGE) * count


MP4_KINDS: dict[str, Kind] = {
    **{
        f"cut {where} {name}": content(cut(name, share), *outcomes)
        for name, outcomes in {
            "ftyp": (DAMAGED,),
            "free": (DAMAGED,),
            "mdat": (DAMAGED,),
            "moov": (DAMAGED, READ),
        }.items()
        for where, share in (("in", 0.5), ("near the end of", 0.97), ("after", 1.0))
        if (name, where) != ("moov", "after")
    },
    # references to elsewhere
    "data in another file (alias)": content(reference(b"alis", alias), *ANY_READING),
    "data at an address": content(
        reference(b"url ", lambda b: b.url.encode() + b"\0"), *ANY_READING
    ),
    "data in a data: address": content(
        reference(b"url ", lambda b: b"data:video/mp4;base64,AAAA\0"), *ANY_READING
    ),
    "data in another file (url)": content(
        reference(b"url ", lambda b: b"file://" + str(b.file).encode() + b"\0"), *ANY_READING
    ),
    "reference movie": content(reference_movie, DAMAGED, "no_video"),
    # sizes
    "a box of 2^63 bytes": content(
        lambda b: struct.pack(">I4sQ", 1, b"ftyp", 2**63) + good("mp4")[8:], DAMAGED
    ),
    "a box shorter than its header": content(
        lambda b: struct.pack(">I4sQ", 1, b"free", 3) + good("mp4"), DAMAGED, READ
    ),
    "a box to the end of the file": content(
        lambda b: struct.pack(">I4s", 0, b"free") + good("mp4"), DAMAGED, "no_video"
    ),
    "a box larger than its parent": content(lying("moov", put(0, "I", 2**31)), DAMAGED, "no_video"),
    "moov in moov, 10,000 deep": content(lambda b: nested(b"moov", 10_000), DAMAGED, "no_video"),
    "trak in trak, 3,000 deep": content(
        lambda b: good("mp4") + box(b"moov", nested(b"trak", 3_000)), *ANY_READING
    ),
    "100,000 empty boxes": content(lambda b: box(b"free") * 100_000 + good("mp4"), *ANY_READING),
    "a compressed header that is a bomb": content(
        compressed_header, DAMAGED, "no_video", "media_too_big"
    ),
    # counts
    "2^32 sizes": content(lying(f"{STBL}/stsz", put(8, "I", HUGE)), *ANY_READING),
    "2^32 samples of one size": content(
        lying(f"{STBL}/stsz", put(4, "II", 1, HUGE)), *ANY_READING, "video_too_long"
    ),
    "2^32 times": content(lying(f"{STBL}/stts", put(4, "I", HUGE)), *ANY_READING, "media_too_big"),
    "2^32 samples in one time": content(
        lying(f"{STBL}/stts", put(8, "II", HUGE, HUGE)), "frame_rate_too_high"
    ),
    "2^32 chunks": content(lying(f"{STBL}/stco", put(4, "I", HUGE)), *ANY_READING),
    "2^32 samples a chunk": content(lying(f"{STBL}/stsc", put(8, "III", 1, HUGE, 1)), *ANY_READING),
    "2^32 descriptions": content(
        lying(f"{STBL}/stsd", put(4, "I", HUGE)), *ANY_READING, "no_video"
    ),
    "chunks beyond the end": content(lying(f"{STBL}/stco", offsets_before), *ANY_READING),
    "256 streams": content(many_tracks, "too_many_streams"),
    "10^6 frames of one byte": content(frames_of_one_byte, "frame_rate_too_high"),
    "a run of 2^32 samples": content(fragmented, *ANY_READING),
    "a fragment at the end of time": content(late_fragment, *ANY_READING, "bad_timestamps"),
    # times
    "no time base": content(lying("moov/trak/mdia/mdhd", put(12, "I", 0)), *ANY_READING),
    "no time base of the movie": content(lying("moov/mvhd", put(12, "I", 0)), *ANY_READING),
    "2^32 ticks a second": content(timed(HUGE, 50, 1), *ANY_READING),
    "10^6 frames a second": content(timed(10**6, 50, 1), "frame_rate_too_high"),
    "a frame a day": content(timed(1, 50, 86_400), "video_too_long"),
    "no duration": content(lying("moov/trak/mdia/mdhd", put(16, "I", 0)), READ),
    "the longest duration": content(lying("moov/trak/mdia/mdhd", put(16, "I", HUGE)), READ),
    "the longest duration of the movie": content(lying("moov/mvhd", put(16, "I", HUGE)), READ),
    "an empty edit of 2^62": content(
        lying("moov/trak", edits((2**62, -1, 1), (2_000, 0, 1))), "bad_timestamps", READ
    ),
    "a negative edit": content(lying("moov/trak", edits((2_000, -7, 1))), *ANY_READING),
    "an edit at 2^62": content(lying("moov/trak", edits((2_000, 2**62, 1))), *ANY_READING),
    "an edit of negative length": content(lying("moov/trak", edits((-5, 0, 1))), *ANY_READING),
    "an edit that stands still": content(lying("moov/trak", edits((2_000, 0, 0))), *ANY_READING),
    "5,000 edits": content(lying("moov/trak", edits(*[(1, 0, 1)] * 5_000)), *ANY_READING),
    "all frames at one time": content(
        lying(f"{STBL}/stts", lambda _: struct.pack(">IIII", 0, 1, 50, 0)),
        *ANY_READING,
        "frame_rate_too_high",
    ),
    "frames that go back": content(
        lambda b: added(
            good("mp4"),
            STBL,
            full_box(
                b"ctts",
                struct.pack(">I", 50)
                + b"".join(struct.pack(">Ii", 1, (-1) ** i * 90_000 * i) for i in range(50)),
                version=1,
            ),
        ),
        *ANY_READING,
        "bad_timestamps",
    ),
    "a frame that is shown for days": content(
        timed(90_000, 1, HUGE, 49, 3_600), "video_too_long", READ
    ),
    # pictures
    "a garbage matrix": content(lying("moov/trak/tkhd", garbage_matrix), READ),
    "a matrix of zeros": content(
        lying("moov/trak/tkhd", lambda p: p[:40] + bytes(36) + p[76:]), READ
    ),
    "no width in the track": content(lying("moov/trak/tkhd", lambda p: p[:76] + bytes(8)), READ),
    "no width in the description": content(
        lying(f"{STBL}/stsd", put(8 + 8 + 24, "HH", 0, 0)), READ
    ),
    "16k x 16k in the description": content(
        lying(f"{STBL}/stsd", put(8 + 8 + 24, "HH", 16_384, 16_384)), READ, "frame_too_large"
    ),
    "no decoder settings": content(
        lying(f"{STBL}/stsd", lambda p: p.replace(b"avcC", b"free")), *ANY_READING
    ),
    "noise as decoder settings": content(
        lying(f"{STBL}/stsd", lambda p: p[:102] + random.Random(1).randbytes(len(p) - 102)),
        *ANY_READING,
        "unsupported_codec",
        "frame_too_large",
    ),
    "an unknown codec": content(
        lying(f"{STBL}/stsd", lambda p: p.replace(b"avc1", b"zzzz")),
        "unsupported_codec",
        "no_video",
    ),
    "another codec's name": content(
        lying(f"{STBL}/stsd", lambda p: p.replace(b"avc1", b"png ")), *ANY_READING
    ),
    "10^9 Hz of sound": content(
        lying(f"{STBL}/stsd", put(8 + 8 + 16, "HHII", 2, 16, 0, HUGE), track=1),
        READ,
        "audio_too_large",
        "unsupported_codec",
    ),
    "sound for ever": content(
        lying(f"{STBL}/stts", lambda _: struct.pack(">IIII", 0, 1, 95, HUGE // 2), track=1),
        READ,
        "audio_too_long",
    ),
}

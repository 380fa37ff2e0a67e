"""The hostile corpus, Matroska: elements that lie, and bombs."""

import math
import random
import struct
import zlib
from collections.abc import Callable

from ebml import (
    ATTACHMENTS,
    CLUSTER,
    CUES,
    DURATION,
    ENTRY,
    INFO,
    SCALE,
    SEEK_HEAD,
    SEGMENT,
    TRACKS,
    UNKNOWN_SIZE,
    block,
    cluster,
    element,
    grey,
    grey_track,
    header,
    identity,
    matroska,
    plain_clusters,
    real,
    sound_track,
    text,
    whole,
)
from hostile import DAMAGED, READ, Bait, Kind, content, good

ANY_READING = (READ, DAMAGED, "no_frames", "no_video")
OPUS_HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
OPUS_SILENCE = bytes([0x1B, 0x02, 0xFF, 0xFE])  # two SILK frames of 60 ms


def opus(seconds: int) -> bytes:
    """Clusters of 24 s of silence each: ten bytes of file for 120 ms of sound."""
    blocks = b"".join(block(2, index * 120, OPUS_SILENCE) for index in range(200))
    return b"".join(
        element(CLUSTER, whole(0xE7, start * 1000), blocks) for start in range(0, seconds, 24)
    )


def with_opus(seconds: int, stated: bool) -> bytes:
    track = sound_track("A_OPUS", 48_000.0, 1, 2, element(0x63A2, OPUS_HEAD))
    info = [whole(SCALE, 1_000_000)]
    if stated:
        info.append(real(DURATION, seconds * 1000.0))
    return matroska([grey_track(), track], plain_clusters() + opus(seconds), info)


def tiny_frames(step_every: int) -> bytes:
    """10^6 pictures of four bytes, the time moving one tick every so many of them."""
    made = []
    for start in range(0, 1_000_000, 10_000):
        same = block(1, 0, bytes(4))
        made.append(cluster(start // step_every, [same * 10_000]))
    return matroska([grey_track(2, 2)], b"".join(made), [whole(SCALE, 1_000_000)])


def laced(flags: int, sizes: bytes, frames: int = 256) -> bytes:
    payload = bytes([frames - 1]) + sizes + grey()
    return matroska(clusters=cluster(0, [block(1, 0, grey()), block(1, 40, payload, flags)] * 20))


def compressed(algorithm: int, payload: bytes, settings: bytes = b"") -> bytes:
    """A track whose blocks are compressed."""
    how = element(
        0x5034, whole(0x4254, algorithm), *([element(0x4255, settings)] if settings else [])
    )
    track = grey_track(64, 64, 1, element(0x6D80, element(0x6240, whole(0x5031, 0), how)))
    return matroska([track], cluster(0, [block(1, index * 40, payload) for index in range(25)]))


def info(*parts: bytes) -> Callable[[Bait], bytes]:
    return lambda bait: matroska(info=parts)


def cut(name: int) -> Callable[[Bait], bytes]:
    """The file ends within the element of this name."""
    return lambda bait: (lambda base: base[: base.index(identity(name)) + 9])(good("mkv"))


def timed(times: list[int]) -> Callable[[Bait], bytes]:
    """Pictures at these ticks of a cluster."""
    return lambda bait: matroska(
        clusters=cluster(0, [block(1, time, grey(index)) for index, time in enumerate(times)])
    )


def attached(bait: Bait) -> bytes:
    file = element(
        0x61A7, text(0x466E, "../../../" + str(bait.file)), text(0x4660, "application/x-ttf"),
        whole(0x46AE, 7), element(0x465C, bytes(4 << 20)),
    )  # fmt: skip
    return matroska(before=element(ATTACHMENTS, file))


def linked(bait: Bait) -> bytes:
    return matroska(
        info=[
            whole(SCALE, 1_000_000), element(0x73A4, bytes(range(16))),
            element(0x3EB923, bytes(16)), text(0x3E83BB, str(bait.file)), text(0x3C83AB, bait.url),
        ]
    )  # fmt: skip


def looping(bait: Bait) -> bytes:
    """A table of contents that leads to itself."""
    entry = element(0x4DBB, element(0x53AB, identity(SEEK_HEAD)), whole(0x53AC, 0))
    parts = element(SEEK_HEAD, entry * 100) + element(INFO, whole(SCALE, 1_000_000))
    return header() + element(SEGMENT, parts, element(TRACKS, grey_track()), plain_clusters())


def deep(number: int, depth: int) -> bytes:
    made = b""
    for _ in range(depth):
        made = element(number, made)
    return made


def many_blocks_of_sound(bait: Bait) -> bytes:
    """10^6 pieces of sound of one byte in a second."""
    track = sound_track("A_PCM/INT/LIT", 8_000.0, 1)
    pieces = b"".join(cluster(start, [block(2, 0, b"\x80") * 10_000]) for start in range(100))
    return matroska([grey_track(), track], plain_clusters() + pieces)


def hour_of_sound(bait: Bait) -> bytes:
    track = sound_track("A_PCM/INT/LIT", 8_000.0, 1)
    pieces = b"".join(
        cluster(start * 1000, [block(2, 0, b"\x80" * 8_000)]) for start in range(3_600)
    )
    return matroska([grey_track(), track], plain_clusters() + pieces)


def two_tracks_of_one_number(bait: Bait) -> bytes:
    return matroska([grey_track(), grey_track(32, 32)])


MATROSKA_KINDS: dict[str, Kind] = {
    "a plain one (a control)": content(lambda b: matroska(), READ),
    **{
        f"Matroska cut in {name}": content(cut(number), DAMAGED, "no_frames", "no_video", READ)
        for name, number in {
            "the segment": SEGMENT,
            "the table": SEEK_HEAD,
            "the facts": INFO,
            "the tracks": TRACKS,
            "the first cluster": CLUSTER,
            "the index": CUES,
        }.items()
    },
    # bombs
    "Opus of twelve hours": content(lambda b: with_opus(12 * 3600, stated=False), "audio_too_long"),
    "Opus of twelve hours, stated": content(
        lambda b: with_opus(12 * 3600, stated=True), "audio_too_long"
    ),
    "an hour of sound after a second": content(hour_of_sound, "audio_too_long"),
    "10^6 pieces of sound": content(many_blocks_of_sound, "audio_too_long"),
    "10^6 frames at one time": content(lambda b: tiny_frames(10**9), "frame_rate_too_high"),
    "10^6 frames, 10,000 a tick": content(lambda b: tiny_frames(10_000), "frame_rate_too_high"),
    "a zlib bomb in every block": content(
        lambda b: compressed(0, zlib.compress(bytes(256 << 20), 9)), "no_frames", READ
    ),
    "zlib noise": content(lambda b: compressed(0, b"\x78\x9c" + bytes(99)), "no_frames", DAMAGED),
    "bzip2 noise": content(lambda b: compressed(1, b"BZh9" + bytes(99)), *ANY_READING),
    "LZO noise": content(lambda b: compressed(2, bytes(99)), *ANY_READING),
    "stripped headers of 10 MB": content(
        lambda b: compressed(3, b"x", bytes(10 << 20)), *ANY_READING, "media_too_big"
    ),
    "an attachment with a path": content(attached, READ),
    "an attachment of 2^40 bytes": content(
        lambda b: matroska(before=identity(ATTACHMENTS) + struct.pack(">Q", 1 << 56 | 1 << 40)),
        *ANY_READING,
    ),
    # lacing
    "Xiph lacing that never ends": content(
        lambda b: laced(0x02, b"\xff" * 5_000), READ, "no_frames"
    ),
    "EBML lacing of negative sizes": content(
        lambda b: laced(0x06, b"\x81" + b"\x80" * 254), READ, "no_frames"
    ),
    "EBML lacing of 2^56": content(lambda b: laced(0x06, b"\x01" + b"\xff" * 7), READ, "no_frames"),
    "fixed lacing that does not divide": content(
        lambda b: laced(0x04, b""), READ, "frame_rate_too_high"
    ),
    # structure
    "everything of unknown size": content(
        lambda b: matroska().replace(
            identity(SEGMENT) + matroska()[len(header()) + 4 :][:8],
            identity(SEGMENT) + UNKNOWN_SIZE,
        ),
        READ,
    ),
    "sizes of 100 bytes": content(
        lambda b: matroska(begin=header(max_size=100, max_id=100)), *ANY_READING
    ),
    "a segment of 2^55 bytes": content(
        lambda b: (
            header() + identity(SEGMENT) + struct.pack(">Q", 1 << 56 | 1 << 55) + plain_clusters()
        ),
        *ANY_READING,
    ),
    "a table that leads to itself": content(looping, READ),
    "linked to other files": content(linked, READ),
    "elements 2,000 deep": content(lambda b: matroska(before=deep(ENTRY, 2_000)), *ANY_READING),
    "tags 2,000 deep": content(
        lambda b: matroska(before=element(0x1254C367, deep(0x67C8, 2_000))), *ANY_READING
    ),
    "a thousand tracks": content(
        lambda b: matroska([grey_track(64, 64, number) for number in range(1, 1_001)]),
        "too_many_streams",
        DAMAGED,
    ),
    "256 streams in Matroska": content(
        lambda b: matroska([grey_track(64, 64, number) for number in range(1, 257)]),
        "too_many_streams",
    ),
    "two tracks of one number": content(two_tracks_of_one_number, *ANY_READING),
    "track number 0": content(lambda b: matroska([grey_track(64, 64, 0)]), *ANY_READING),
    "no tracks": content(lambda b: matroska([]), *ANY_READING),
    "sound alone": content(
        lambda b: matroska([sound_track("A_PCM/INT/LIT", 8_000.0, 1)]), "no_video"
    ),
    "subtitles alone": content(
        lambda b: matroska(
            [
                element(
                    ENTRY,
                    whole(0xD7, 1),
                    whole(0x73C5, 1),
                    whole(0x83, 17),
                    text(0x86, "S_TEXT/UTF8"),
                )
            ]
        ),
        "no_video",
    ),
    "noise after the header": content(
        lambda b: header() + random.Random(2).randbytes(200_000), *ANY_READING
    ),
    # sizes
    "16k x 16k": content(lambda b: matroska([grey_track(16_000, 16_000)]), "frame_too_large"),
    "40k x 40k": content(lambda b: matroska([grey_track(40_000, 40_000)]), "no_frames"),
    "2^31 x 2^31": content(
        lambda b: matroska([grey_track(2**31 - 1, 2**31 - 1)]),
        "frame_too_large",
        DAMAGED,
        "no_frames",
    ),
    "2^63 pixels wide": content(
        lambda b: matroska([grey_track(2**63, 1)]), *ANY_READING, "frame_too_large"
    ),
    "65,000 x 1": content(lambda b: matroska([grey_track(65_000, 1)]), "frame_too_large"),
    "no width": content(lambda b: matroska([grey_track(0, 0)]), *ANY_READING),
    "255 channels at 192 kHz": content(
        lambda b: matroska([grey_track(), sound_track("A_PCM/INT/LIT", 192_000.0, 255)]),
        "audio_too_large",
        DAMAGED,
    ),
    "sound at 10^30 Hz": content(
        lambda b: matroska([grey_track(), sound_track("A_PCM/INT/LIT", 1e30, 1)]),
        READ,
        "audio_too_large",
        DAMAGED,
    ),
    "sound at no number": content(
        lambda b: matroska([grey_track(), sound_track("A_PCM/INT/LIT", math.nan, 1)]), READ, DAMAGED
    ),
    # times
    "a duration that is no number": content(
        info(whole(SCALE, 10**6), real(DURATION, math.nan)), READ
    ),
    "an infinite duration": content(
        info(whole(SCALE, 10**6), real(DURATION, math.inf)),
        READ,
        "video_too_long",
        "bad_timestamps",
    ),
    "a negative duration": content(info(whole(SCALE, 10**6), real(DURATION, -1e9)), READ),
    "a duration of 10^300": content(
        info(whole(SCALE, 10**6), real(DURATION, 1e300)), READ, "video_too_long", "bad_timestamps"
    ),
    "time base 0": content(info(whole(SCALE, 0), real(DURATION, 1e3)), *ANY_READING),
    "time base 2^63": content(
        info(whole(SCALE, 2**63), real(DURATION, 1e3)),
        *ANY_READING,
        "video_too_long",
        "bad_timestamps",
    ),
    "all pictures at one time": content(timed([0] * 25), READ),
    "pictures that go back": content(timed([960 - 40 * index for index in range(25)]), READ),
    "pictures in any order": content(
        timed(random.Random(3).sample(range(-30_000, 30_000), 200)), READ
    ),
    "a cluster at the end of time": content(
        lambda b: matroska(clusters=plain_clusters() + cluster(2**62, [block(1, 0, grey())])),
        READ,
        "video_too_long",
        "bad_timestamps",
    ),
    "a picture after 300 hours": content(
        lambda b: matroska(
            clusters=plain_clusters() + cluster(300 * 3_600_000, [block(1, 0, grey())])
        ),
        "video_too_long",
    ),
}

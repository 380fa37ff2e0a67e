"""Files that mean harm, each made on the spot: the hostile corpus.

Does: name every kind with a function that makes it and what must become of it: a refusal's code,
or READ where it is only odd.  Does not: read them.  See also hostile_mp4, hostile_matroska.
"""

import os
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from made_videos import Made, numbered, regular, write
from wheel_ffmpeg import run_ffmpeg

READ = "read"
CONTAINER = "unsupported_container"
DAMAGED = "unreadable_video"


@dataclass(frozen=True)
class Bait:
    """What a file might reach for: another file, and a server on this machine."""

    file: Path
    port: int

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}/"


Make = Callable[[Path, Bait], Path | None]
"""Makes the file at a path (or returns another one)."""


@dataclass(frozen=True)
class Kind:
    """A kind of file and the outcomes that are right."""

    make: Make
    outcomes: tuple[str, ...]


def content(of: Callable[[Bait], bytes | str], *outcomes: str) -> Kind:
    """A kind that is its bytes."""

    def make(path: Path, bait: Bait) -> None:
        made = of(bait)
        path.write_bytes(made.encode() if isinstance(made, str) else made)

    return Kind(make, outcomes)


@cache
def good(suffix: str, folder: str = "/dev/shm") -> bytes:
    """A good video of two seconds with sound, as bytes."""
    path = Path(folder) / f"hostile-base-{os.getpid()}.{suffix}"
    sound = {"sound_codec": "pcm_s16le"} if suffix == "mkv" else {}
    made = Made(regular(50, 25), (Fraction(0), Fraction(2)), **sound)  # type: ignore[arg-type]
    if suffix == "avi":
        made = Made(regular(50, 25), codec="mjpeg", pixels="yuvj420p", options={})
    try:
        return write(path, made).read_bytes()
    finally:
        path.unlink()


def playlist(first_line: str) -> Callable[[Bait], str]:
    return lambda bait: f"{first_line}\n#EXTINF:2,\n{bait.file}\n{bait.url}\n#EXT-X-ENDLIST\n"


def archive(path: Path, bait: Bait) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("../../escaped.mp4", good("mp4"))


def converted(*words: str) -> Kind:
    """A kind that ffmpeg makes of a drawn picture; refused for what it is."""

    def make(path: Path, bait: Bait) -> None:
        run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=1", *words, str(path))

    return Kind(make, (CONTAINER,))


def sparse(begin: bytes) -> Make:
    def make(path: Path, bait: Bait) -> None:
        with path.open("wb") as stream:
            stream.write(begin)
            stream.truncate(100 << 30)

    return make


def linked(target: Callable[[Path, Bait], str]) -> Make:
    def make(path: Path, bait: Bait) -> None:
        path.symlink_to(target(path, bait))

    return make


def local_socket(path: Path, bait: Bait) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def named(name: str) -> Make:
    def make(path: Path, bait: Bait) -> Path:
        other = path.with_name(name)
        if "\0" not in name and len(name) < 250:
            other.write_bytes(good("mp4"))
        return other

    return make


def avi_changed(at: bytes, place: int, layout: str, *values: int) -> Callable[[Bait], bytes]:
    """An AVI in which some little-endian numbers after a chunk's header are others."""

    def of(bait: Bait) -> bytes:
        base = good("avi")
        begin = base.index(at) + 8 + place
        new = struct.pack("<" + layout, *values)
        return base[:begin] + new + base[begin + len(new) :]

    return of


def jpeg_of(width: int, height: int) -> Callable[[Bait], bytes]:
    """An AVI whose JPEG pictures state another size, in both places."""

    def of(bait: Bait) -> bytes:
        base = avi_changed(b"strf", 4, "ii", width, height)(bait)
        begun = b"\xff\xc0\x00\x11\x08"
        there = base.index(begun) + len(begun)
        return base.replace(
            begun + base[there : there + 4], begun + struct.pack(">HH", height, width)
        )

    return of


def growing(sizes: tuple[tuple[int, int], ...]) -> Make:
    """A video whose pictures change their size on the way."""

    def make(path: Path, bait: Bait) -> None:
        with av.open(str(path), "w", format="matroska") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
            for place, (width, height) in enumerate(sizes):
                coder = av.CodecContext.create("mjpeg", "w")
                coder.width, coder.height, coder.pix_fmt = width, height, "yuvj420p"
                coder.time_base = Fraction(1, 25)
                picture = np.full((height, width, 3), 128, dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                for packet in coder.encode(frame.reformat(format="yuvj420p")):
                    packet.stream, packet.pts, packet.dts = stream, place, place
                    packet.time_base = Fraction(1, 25)
                    container.mux(packet)

    return make


def cover_alone(path: Path, bait: Bait) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "testsrc=s=64x64:d=1",
               "-map", "0", "-map", "1", "-frames:v", "1", "-c:v", "png",
               "-disposition:v", "attached_pic", "-f", "mp4", str(path))  # fmt: skip


def encrypted(path: Path, bait: Bait) -> None:
    base = path.with_name("base.mkv")
    base.write_bytes(good("mp4"))
    run_ffmpeg("-i", str(base), "-c", "copy", "-encryption_scheme", "cenc-aes-ctr",
               "-encryption_key", "00" * 16, "-encryption_kid", "11" * 16,
               "-f", "mp4", str(path))  # fmt: skip
    base.unlink()


def other_codec(*words: str) -> Kind:
    def make(path: Path, bait: Bait) -> None:
        run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=1", *words, str(path))

    return Kind(make, ("unsupported_codec",))


def two_coded(path: Path, bait: Bait) -> None:
    """H.264 whose every packet is noise."""
    base = bytearray(good("mp4"))
    begin = base.index(b"mdat") + 4
    end = base.index(b"moov") - 4
    base[begin:end] = bytes((7 * place) % 251 for place in range(end - begin))
    path.write_bytes(base)


def shown(path: Path, bait: Bait) -> None:
    """A video whose pictures are fine and whose bars a reader would find (a control)."""
    assert numbered(1).shape == (48, 104, 3)
    path.write_bytes(good("mp4"))


HLS = "#EXTM3U"
KINDS: dict[str, Kind] = {
    "a good one": Kind(shown, (READ,)),
    # disguises
    "HLS": content(playlist(HLS), CONTAINER),
    "HLS after a byte order mark": content(lambda b: "\ufeff" + playlist(HLS)(b), CONTAINER),
    "HLS with data:": content(
        lambda b: f"{HLS}\n#EXTINF:2,\ndata:video/mp4;base64,AAAA\n", CONTAINER
    ),
    "HLS with crypto:": content(
        lambda b: f'{HLS}\n#EXT-X-KEY:METHOD=AES-128,URI="{b.url}"\n#EXTINF:2,\ncrypto:{b.file}\n',
        CONTAINER,
    ),
    "HLS with subfile:": content(
        lambda b: f"{HLS}\n#EXTINF:2,\nsubfile,,start,0,end,9,,:{b.file}\n", CONTAINER
    ),
    "HLS behind a box": content(lambda b: "\0\0\0\x18ftyp" + playlist(HLS)(b), DAMAGED),
    "HLS behind another box": content(lambda b: "\0\0\0\x08free" + playlist(HLS)(b), DAMAGED),
    "concat": content(lambda b: f"ffconcat version 1.0\nfile '{b.file}'\n", CONTAINER),
    "concat with subfile:": content(
        lambda b: f"ffconcat version 1.0\nfile subfile,,start,0,end,9,,:{b.file}\n", CONTAINER
    ),
    "DASH": content(
        lambda b: (
            f'<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation>'
            f"<BaseURL>{b.url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        ),
        CONTAINER,
    ),
    "SDP": content(lambda b: "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n", CONTAINER),
    "SRT": content(lambda b: "1\n00:00:00,000 --> 00:00:02,000\nHello\n" * 50, CONTAINER),
    "WebVTT": content(lambda b: "WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n" * 50, CONTAINER),
    "SVG": content(
        lambda b: f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{b.url}"/></svg>',
        CONTAINER,
    ),
    "HTML": content(lambda b: f'<!doctype html><img src="{b.url}">', CONTAINER),
    "zip": Kind(archive, (CONTAINER,)),
    "a program": content(lambda b: b"\x7fELF" + bytes(4_000), CONTAINER),
    "a script": content(lambda b: f"#!/bin/sh\ncat {b.file}\n", CONTAINER),
    "PDF": content(lambda b: b"%PDF-1.7\n" + bytes(400), CONTAINER),
    "nothing but zeros": content(lambda b: bytes(100_000), CONTAINER),
    "noise": content(lambda b: np.random.default_rng(0).bytes(100_000), CONTAINER),
    "one byte": content(lambda b: b"\0", CONTAINER),
    "empty": content(lambda b: b"", "empty_file"),
    "GIF": converted("-f", "gif"),
    "transport stream": converted("-f", "mpegts"),
    "Flash": converted("-f", "flv"),
    "raw pictures": converted("-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe"),
    "bare H.264": converted("-f", "h264"),
    # names and kinds of file
    "a NUL in the name": Kind(named("a\0b.mp4"), ("file_not_found",)),
    "a line break in the name": Kind(named("a\nb\x1b[31m.mp4"), (READ,)),
    "no UTF-8 in the name": Kind(named("a\udcff.mp4"), (READ,)),
    "a name that is too long": Kind(named("a" * 300 + ".mp4"), ("file_not_found",)),
    ".. in the name": Kind(
        lambda path, bait: path.parent / ".." / ".." / "nothing.mp4", ("file_not_found",)
    ),
    "a link": Kind(linked(lambda path, bait: str(bait.file)), ("symbolic_link",)),
    "a link to itself": Kind(linked(lambda path, bait: path.name), ("symbolic_link",)),
    "a link to a device": Kind(linked(lambda path, bait: "/dev/zero"), ("symbolic_link",)),
    "a FIFO": Kind(lambda path, bait: os.mkfifo(path), ("not_a_file",)),
    "a socket": Kind(local_socket, ("not_a_file",)),
    "a folder": Kind(lambda path, bait: path.mkdir(), ("no_images",)),
    "a device": Kind(lambda path, bait: Path("/dev/zero"), ("not_a_file",)),
    "a sparse file of 100 GB": Kind(sparse(b""), ("file_too_large",)),
    "a sparse video of 100 GB": Kind(sparse(b"\0\0\0\x18ftypisom"), ("file_too_large",)),
    # AVI
    "AVI without time base": content(avi_changed(b"strh", 20, "II", 0, 0), "frame_rate_too_high"),
    "AVI with 10^6 frames a second": content(
        avi_changed(b"strh", 20, "II", 1, 10**6), "frame_rate_too_high"
    ),
    "AVI that states 2^32 frames": content(avi_changed(b"strh", 32, "I", 2**32 - 1), READ),
    "AVI of 16k x 16k": content(jpeg_of(16_000, 16_000), "frame_too_large"),
    "AVI of 65k x 65k": content(jpeg_of(65_500, 65_500), "no_frames"),
    "AVI of no width": content(avi_changed(b"strf", 4, "ii", 0, 0), READ),
    "AVI of negative size": content(avi_changed(b"strf", 4, "ii", -64, -(2**31)), DAMAGED),
    "AVI with a chunk of 4 GB": content(
        avi_changed(b"00dc", -4, "I", 2**32 - 1), "no_frames", READ
    ),
    "AVI whose index leads nowhere": content(
        lambda b: (lambda base, at: base[: at + 8] + b"\xff" * (len(base) - at - 8))(
            good("avi"), good("avi").index(b"idx1")
        ),
        READ,
    ),
    **{
        f"AVI cut at {name}": content(
            lambda b, name=name: good("avi")[: good("avi").index(name.encode()) + 6],
            DAMAGED,
            "no_frames",
        )
        for name in ("hdrl", "strh", "strf", "movi", "00dc")
    },
    # codecs and pictures
    "pictures that grow": Kind(growing(((64, 64), (640, 480), (32, 32), (64, 64))), (READ,)),
    "a picture of 9000 x 9000 on the way": Kind(
        growing(((64, 64), (9_000, 9_000), (64, 64))), (READ,)
    ),
    "a cover picture alone": Kind(cover_alone, ("no_video",)),
    "encrypted": Kind(encrypted, ("no_frames", READ)),
    "nothing but noise inside": Kind(two_coded, ("no_frames", READ)),
    "a codec that is not on the list": other_codec("-c:v", "huffyuv", "-f", "avi"),
    "another codec that is not on the list": other_codec("-c:v", "magicyuv", "-f", "matroska"),
}

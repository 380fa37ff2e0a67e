"""Real-world inputs (see real_world_files) about times: clocks, gaps, and sound.

Does: make pictures that stand still, joined recordings, clocks that wobble, headers that lie.
Does not: check them.
"""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import av
from real_world_files import Row
from wheel_ffmpeg import run_ffmpeg

from tests.real_videos import real_video

SMALL = "scale=96:54"
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k")
CODERS = {
    "mp4": (*H264, "-c:a", "aac", "-ar", "48000"),
    "mkv": (*H264, "-c:a", "aac", "-ar", "48000"),
    "webm": (*VP8, "-c:a", "libopus"),
}


def talking(path: Path, seconds: float, filters: str = SMALL, *words: str) -> Path:
    """Some seconds of a talking face, small; the speech goes on from the beginning after 19 s."""
    source = str(real_video("talking"))
    run_ffmpeg("-i", source, "-stream_loop", "-1", "-i", source, "-t", str(seconds),
               "-map", "0:v" if seconds <= 19 else "1:v", "-map", "1:a", "-vf", filters,
               "-fps_mode", "passthrough", *CODERS[path.suffix[1:]], *words, str(path))  # fmt: skip
    return path


def frozen(folder: Path, suffix: str = "mp4", shown: str = "lt(t,3)+gte(t,23)") -> Path:
    """Twenty-six seconds of speech; the picture stands still where `shown` says that it is not."""
    return talking(folder / f"frozen.{suffix}", 26, f"{SMALL},select='{shown}'")


def joined(folder: Path, suffix: str = "webm", times: int = 2) -> Path:
    """Recordings of six seconds, one after the other in one file."""
    live = ("-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", "25")
    words = live if suffix == "mp4" else ("-live", "1")
    one = talking(folder / f"one.{suffix}", 6, SMALL, *words).read_bytes()
    path = folder / f"joined.{suffix}"
    path.write_bytes(one * times)
    return path


def audio_retimed(
    path: Path, target: Path, move: Callable[[float], float], gap_s: tuple[float, float] = (0, 0)
) -> Path:
    """The same packets, each one of sound at the time that `move` gives; none within `gap_s`."""
    with av.open(str(path)) as read, av.open(str(target), "w") as written:
        streams = {one.index: written.add_stream_from_template(one) for one in read.streams}
        latest = -(1 << 40)
        for packet in read.demux():
            if not packet.size or packet.pts is None:
                continue
            if packet.stream.type == "audio":
                time_s = float(packet.pts * packet.time_base)
                if gap_s[0] <= time_s < gap_s[1]:
                    continue
                latest = max(latest + 1, round(move(time_s) / packet.time_base))
                packet.pts = packet.dts = latest
            packet.stream = streams[packet.stream.index]
            written.mux_one(packet)
    return target


def wobbling(
    folder: Path, suffix: str = "mp4", by_s: float = 0.010, gap_s: tuple[float, float] = (0, 0)
) -> Path:
    """Twelve seconds whose sound has timestamps that are wrong by up to `by_s`."""
    draw = random.Random(5)
    path = talking(folder / f"steady.{suffix}", 12)
    target = folder / f"wobbling.{suffix}"
    return audio_retimed(path, target, lambda s: s + draw.uniform(-by_s, by_s), gap_s)


def inverted(folder: Path, gain: float = 1.0) -> Path:
    """The second channel is the first one inverted."""
    path = folder / "inverted.mov"
    mixed = f"pan=stereo|c0=c0|c1={-gain}*c0"
    run_ffmpeg("-i", str(real_video("talking")), "-c:v", "copy", "-af", mixed,
               "-c:a", "pcm_s16le", str(path))  # fmt: skip
    return path


def chrome(folder: Path, seconds: int = 45, rate: int = 60, divide: int = 30) -> Path:
    """An MP4 whose media header counts its length in a clock that is `divide` times slower."""
    path = folder / "chrome.mp4"
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=64x48:r={rate}:d={seconds}",
               "-f", "lavfi", "-i", f"sine=d={seconds}", *CODERS["mp4"], str(path))  # fmt: skip
    content = bytearray(path.read_bytes())
    at = content.index(b"mdhd") + 4
    assert content[at] == 0, "a header of 32 bits"
    (length,) = struct.unpack_from(">I", content, at + 16)
    struct.pack_into(">I", content, at + 16, length // divide)
    path.write_bytes(content)
    return path


ROWS = (
    Row(
        "headers that lie", "CozyClay#13", "60 frames a second, 45 s, with a warning", chrome,
    ),
    Row(
        "timestamps of the sound that wobble by 10 ms", "musubi-tuner#1126, moq#2387",
        "correlation with the steady sound > .9, no hole of 2 ms", wobbling,
    ),
    Row(
        "stereo with one channel inverted", "whisperX#750, macparakeet#953",
        "speech shares as for mono: .79 .49 .95 .73", inverted,
    ),
    Row(
        "a picture that stands still", "QuickRecorder#19, livekit-recorder#22, janus#2990",
        "0 to 26 s in segments of at most 5 s, with a warning", frozen,
    ),
    Row(
        "joined recordings, the clock restarts", "MediaStreamRecorder#44",
        "12 s, with a warning", joined,
    ),
)  # fmt: skip

"""Real-world inputs (see real_world_files) about times: clocks, gaps, and sound.

Does: make pictures that stand still, joined recordings, clocks that wobble, headers that lie.
Does not: check them.
"""

from pathlib import Path

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


ROWS = (
    Row(
        "a picture that stands still", "QuickRecorder#19, livekit-recorder#22, janus#2990",
        "0 to 26 s in segments of at most 5 s, with a warning", frozen,
    ),
    Row(
        "joined recordings, the clock restarts", "MediaStreamRecorder#44",
        "12 s, with a warning", joined,
    ),
)  # fmt: skip

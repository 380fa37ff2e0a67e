"""The videos that are timed.

Does: make each kind from a real face video with speech, scaled and repeated.  Does not: time.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from mllm_affect.media.export.ffmpeg import ffmpeg_path
from tests.real_videos import real_video

SECONDS = 20


@dataclass(frozen=True)
class Kind:
    """How a video is made: ffmpeg's picture filter and coder options, and how long it is."""

    name: str
    picture: str
    coding: tuple[str, ...]
    seconds: float = SECONDS


KINDS = (
    Kind("720p30, groups of 250, B-frames", "scale=1280:720,fps=30",
         ("-b:v", "2500k", "-g", "250")),
    Kind("720p30, every frame referred to", "scale=1280:720,fps=30",
         ("-b:v", "2500k", "-g", "250", "-bf", "0")),
    # One group, and the very last frame is one that is shown to the model.
    Kind("720p30, all frames needed", "scale=1280:720,fps=30",
         ("-b:v", "2500k", "-g", "9999", "-sc_threshold", "0", "-bf", "0"), SECONDS - 0.48),
    Kind("480p25", "scale=854:480,fps=25", ("-b:v", "1200k",)),
    Kind("1080p30", "scale=1920:1080,fps=30", ("-b:v", "5000k",)),
    Kind("720p, variable rate", "scale=1280:720,fps=30,select='gt(random(1),0.3)'",
         ("-b:v", "2500k", "-fps_mode", "vfr")),
)  # fmt: skip


def make(kind: Kind, folder: Path) -> Path:
    """Write a video of this kind, H.264 `veryfast` with AAC sound."""
    path = folder / f"{len(list(folder.iterdir()))}.mp4"
    face = ["-stream_loop", "-1", "-i", str(real_video("talking")), "-t", str(kind.seconds)]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", *kind.coding]
    run_ffmpeg(*face, "-vf", kind.picture, *coding, "-c:a", "aac", "-ar", "48000", str(path))
    return path


def run_ffmpeg(*words: str) -> bytes:
    """Run the wheel's ffmpeg quietly; return what it wrote to standard output."""
    command = [str(ffmpeg_path()), "-v", "error", "-nostdin", "-y", *words]
    return subprocess.run(command, check=True, capture_output=True).stdout

"""The wheel's ffmpeg program as a second opinion."""

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.export.ffmpeg import ffmpeg_path


def run_ffmpeg(*words: str) -> bytes:
    """Run it; return what it wrote to standard output."""
    command = [str(ffmpeg_path()), "-v", "error", "-nostdin", "-y", *words]
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout


def shown_frames(path: Path, width: int, height: int, stream: int = 0) -> NDArray[np.uint8]:
    """Every frame of a video stream as a player shows it (turned upright), as (T, H, W, 3)."""
    raw = run_ffmpeg("-i", str(path), "-map", f"0:v:{stream}",
                     "-vf", f"scale={width}:{height}", "-fps_mode", "passthrough",
                     "-pix_fmt", "rgb24", "-f", "rawvideo", "-")  # fmt: skip
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3)

"""Reading takes no more memory for a long video than for a short one, here and apart."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from made_videos import Made, regular, write
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.media.decoding.held import HELD_PACKETS

TOO_LONG_TO_HOLD_S = HELD_PACKETS // 40
"""Videos made here have over 40 packets a second.  A shorter one stays in memory whole, so that its
peak depends on its length, up to a limit; beyond that it must not."""

READ_ALL = r"""
import re, sys
from pathlib import Path
import psutil
from mllm_affect.media.types import Sampling
from mllm_affect.media.video import open_video
def peak(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
with open_video(Path(sys.argv[1]), trusted=sys.argv[2] == "trusted") as video:
    seconds = sum(clip.segment.duration_s for clip in video.read(Sampling(fps=2.0)))
    this = psutil.Process()
    print(seconds, peak(this) + sum(map(peak, this.children())))
"""


def seconds_and_peak(path: Path, trusted: bool = True) -> tuple[float, float]:
    """Read every clip; return seconds read and the peak in MiB, with that of a decoding process."""
    words = [sys.executable, "-c", READ_ALL, str(path), "trusted" if trusted else "apart"]
    answer = subprocess.run(words, check=True, capture_output=True, text=True, timeout=3000).stdout
    seconds, peak = map(float, answer.split())
    return seconds, peak


def repeated(path: Path, times: int) -> Path:
    """The same packets over and over."""
    longer = path.with_name(f"{path.stem}-{times}{path.suffix}")
    run_ffmpeg("-stream_loop", str(times - 1), "-i", str(path), "-c", "copy", str(longer))
    return longer


@pytest.mark.parametrize("trusted", [True, False], ids=["here", "apart"])
def test_memory_is_flat(trusted: bool, tmp_path: Path) -> None:
    path = tmp_path / "once.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x192:r=25:d=10", "-f", "lavfi", "-i",
               "sine=d=10", "-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac",
               str(path))  # fmt: skip
    # Several groups of pictures, as a minute has: they are decoded beside each other.
    times = TOO_LONG_TO_HOLD_S // 10
    short, base = seconds_and_peak(repeated(path, times), trusted)
    long, peak = seconds_and_peak(repeated(path, 4 * times), trusted)
    assert long == pytest.approx(4 * short, rel=0.02)
    assert peak < 1.1 * base


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_sound_that_comes_after_all_pictures_is_not_hoarded(suffix: str, tmp_path: Path) -> None:
    peaks = []
    for seconds in (TOO_LONG_TO_HOLD_S, 400):
        made = Made(
            regular(seconds * 10, 10),
            (Fraction(0), Fraction(seconds)),
            width=160,
            height=96,
            options={"preset": "ultrafast", "bf": "0", "g": "25"},
            last_s=Fraction(1, 10),
        )
        peaks.append(seconds_and_peak(write(tmp_path / f"{seconds}.{suffix}", made))[1])
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.rebuild
@pytest.mark.trial
@pytest.mark.timeout(2400)
def test_an_hour_of_1080p_takes_little_more_than_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "minute.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=15:d=60", "-f", "lavfi", "-i",
               "sine=d=60", "-c:v", "libx264", "-preset", "veryfast", "-g", "250", "-c:a", "aac",
               str(path))  # fmt: skip
    _, base = seconds_and_peak(path, trusted=False)
    seconds, peak = seconds_and_peak(repeated(path, 60), trusted=False)
    print(f"peak of one minute {base:.0f} MiB, of {seconds / 60:.0f} minutes {peak:.0f} MiB")  # noqa: T201
    assert seconds == pytest.approx(3600, rel=0.01)
    assert peak <= 1.1 * base  # what grows is the file's index, an entry a packet
    assert peak <= 400

"""A folder of tiny videos to prepare, and what a run made of it."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mllm_affect.data.corpus import find_videos
from mllm_affect.data.made.folders import write_video
from mllm_affect.data.preparing import Policy, Prepared, prepare
from mllm_affect.media.cache.entry import EntryReader
from mllm_affect.media.types import Sampling

POLICY = Policy(Sampling(fps=2.0, max_pixels=64 * 64), max_seconds=2.0)
SECONDS = (0.5, 1.0, 2.5, 4.0, 6.0, 9.0)


def write_noise(path: Path, seconds: float, seed: int) -> Path:
    """Write a video of noise with sound."""
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames_THWC = random.integers(0, 256, (round(seconds * 12), 64, 64, 3), dtype=np.uint8)
    audio_S = random.normal(0, 2000, round(seconds * 16_000)).astype(np.int16)
    write_video(frames_THWC, audio_S, path)
    return path


def write_corpus(folder: Path) -> Path:
    """Write six videos, a copy of one of them, a text file, and two videos that are none."""
    for number, seconds in enumerate(SECONDS):
        write_noise(folder / f"some/{number}.mp4", seconds, number)
    (folder / "other").mkdir()
    shutil.copy(folder / "some/3.mp4", folder / "other/copy-without-suffix")
    (folder / "notes.txt").write_text("no video")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video either")
    return folder


def prepare_all(corpus: Path, out: Path, workers: int = 1, **more: Any) -> Prepared:
    """Prepare a corpus as POLICY says; in the workers, unless `trusted` says otherwise."""
    return prepare(find_videos(corpus, out), out, POLICY, workers, **{"trusted": True, **more})


def content(out: Path) -> dict[str, str]:
    """The hash of prepared.jsonl and of every entry, by path; each entry is read through."""
    paths = [out / "prepared.jsonl", *sorted((out / "clips").glob("??/*"))]
    for path in paths[1:]:
        with EntryReader(path) as entry:
            assert len(list(entry.clips(POLICY.sampling))) == len(entry.segments) > 0
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.exists()
    }

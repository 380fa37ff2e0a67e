"""Made clips as files: single videos, a labelled folder, a long video with known spans.

Does: encode H.264 and AAC into MP4, on several processes, and write `examples.jsonl` last.
Does not: decide what is in a clip (see clips) or decode.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.made.clips import (
    FRAME_RATE,
    LONGEST_FRAMES,
    ClipSpec,
    MadeClip,
    make_clip,
    plan_clips,
)
from mllm_affect.data.made.people import Split
from mllm_affect.files import refuse_filled, replacing
from mllm_affect.media.types import AUDIO_RATE

Made = TypeVar("Made")
Progress = Callable[[int, int], None]
"""Called with how many clips are done and how many there are."""

AUDIO_BITS_PER_S = 64_000
QUALITY = "16"
"""Constant rate factor of x264; 16 leaves next to no visible loss."""

SCENES = 4


@dataclass(frozen=True)
class LongVideo:
    """A video of several scenes of one face and voice; `spans_s` are the ambivalent ones."""

    path: Path
    specs: tuple[ClipSpec, ...]
    spans_s: tuple[tuple[float, float], ...]


def write_clip_file(clip: MadeClip, path: Path) -> None:
    """Write one clip as MP4, whole or not at all."""
    write_video(clip.frames_THWC, clip.audio_S, path)


def write_video(
    frames_THWC: NDArray[np.uint8],
    audio_S: NDArray[np.int16] | None,
    path: Path,
    rate: int = FRAME_RATE,
) -> None:
    """Write `rate` frames a second and 16 kHz sound as MP4 (H.264, AAC), whole or not at all.

    `audio_S` None: a video without sound.
    """
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=rate)
        video.height, video.width = frames_THWC.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.options = {"crf": QUALITY, "preset": "veryfast", "threads": "1"}
        if audio_S is not None:
            audio = container.add_stream("aac", rate=AUDIO_RATE, layout="mono")
            audio.bit_rate = AUDIO_BITS_PER_S
        for picture in frames_THWC:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if audio_S is not None:
            sound = av.AudioFrame.from_ndarray(audio_S[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = AUDIO_RATE, 0, Fraction(1, AUDIO_RATE)
            container.mux(audio.encode(sound))
            container.mux(audio.encode(None))


def make_folder(
    out: Path, count: int, split: Split, seed: int, progress: Progress | None = None
) -> list[Example]:
    """Make `count` clips of one split into `out`; see `make_folders`."""
    return make_folders(out, {split: count}, seed, progress)


def make_folders(
    out: Path, counts: dict[Split, int], seed: int, progress: Progress | None = None
) -> list[Example]:
    """Make clips of several splits into one labelled folder: `videos/*.mp4`, `examples.jsonl`.

    Counts are multiples of four.  The list is written last, so a folder that has one is complete.
    Raises UserError `not_empty` when `out` holds anything, and `bad_count`.
    """
    refuse_filled(out)
    specs = [spec for split, count in counts.items() for spec in plan_clips(count, split, seed)]
    names = [f"videos/{spec.split}-{index:05d}.mp4" for index, spec in enumerate(specs)]
    (out / "videos").mkdir(parents=True, exist_ok=True)
    in_processes(_make_file, specs, [out / name for name in names], progress)
    examples = [example_of(spec, name) for spec, name in zip(specs, names, strict=True)]
    write_examples(out, examples)
    return examples


def in_processes(
    write: Callable[[Made, Path], None],
    made: Sequence[Made],
    paths: Sequence[Path],
    progress: Progress | None = None,
    at_once: int = 8,
) -> None:
    """Call `write` with each of `made` and its path, on several processes, so many in one go."""
    workers = max(1, min(8, os.cpu_count() or 1))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(write, made, paths, chunksize=at_once), start=1):
            if progress is not None:
                progress(done, len(made))


def example_of(spec: ClipSpec, video: str) -> Example:
    """Return the labelled example of a clip whose file is `video`."""
    return Example(
        video=video,
        participant=f"{spec.split}-face-{spec.face:03d}",
        voice=f"{spec.split}-voice-{spec.voice:03d}",
        split=spec.split,
        labels=spec.labels,
    )


def make_long_video(path: Path, seed: int, split: Split = "test") -> LongVideo:
    """Make one video of four scenes of five seconds, two of them ambivalent, one face and voice."""
    first, *others = plan_clips(SCENES, split, seed)
    specs = tuple(
        replace(spec, face=first.face, voice=first.voice, light=first.light, frames=LONGEST_FRAMES)
        for spec in (first, *others)
    )
    clips = [make_clip(spec) for spec in specs]
    write_video(
        np.concatenate([clip.frames_THWC for clip in clips]),
        np.concatenate([clip.audio_S for clip in clips]),
        path,
    )
    return LongVideo(path, specs, ambivalent_spans(specs))


def ambivalent_spans(specs: Sequence[ClipSpec]) -> tuple[tuple[float, float], ...]:
    """Return where the label is yes when the clips follow each other; touching spans are one."""
    spans: list[tuple[float, float]] = []
    start_s = 0.0
    for spec, before in zip(specs, [None, *specs], strict=False):
        end_s = start_s + spec.duration_s
        if spec.ambivalent and before is not None and before.ambivalent:
            spans[-1] = (spans[-1][0], end_s)
        elif spec.ambivalent:
            spans.append((start_s, end_s))
        start_s = end_s
    return tuple(spans)


def _make_file(spec: ClipSpec, path: Path) -> None:
    write_clip_file(make_clip(spec), path)

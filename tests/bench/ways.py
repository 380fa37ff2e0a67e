"""Ours and its peers: each turns a video into frames at 2 a second and 16 kHz sound, per segment.

Does: one function a way, with what its frames are.  Does not: time or compare.
"""

import os
import tempfile
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.export.ffmpeg import ffmpeg_path
from mllm_affect.media.reader import read_video
from mllm_affect.media.sampling.picture_size import model_size, to_model_picture
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling, Segment, Source
from tests.bench.videos import run_ffmpeg

SAMPLING = Sampling(fps=2.0)
Pictures = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Job:
    """A video, its segments, and the model's size."""

    source: Source
    segments: tuple[Segment, ...]
    size: tuple[int, int]

    @classmethod
    def of(cls, source: Source) -> "Job":
        size = model_size(source.width, source.height, SAMPLING.max_pixels)
        return cls(source, segment(source), size)


def ours(job: Job) -> Pictures:
    """Segment, read frames and sound: one pass."""
    return [frame for clip in read_video(job.source, SAMPLING) for frame in clip.frames_THWC]


def bare_decode(job: Job) -> Pictures:
    """Decode every frame with two threads and look at none: the floor of a full decode."""
    with av.open(str(job.source.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        assert sum(1 for _ in container.decode(stream)) > 0
    return []


def by_hand(job: Job) -> Pictures:
    """Segments known beforehand: decode all with two threads, scale, sound in a thread beside.

    The least that anybody does who decodes all: FFmpeg's own parts, and no look at the packets.
    """
    made: Pictures = []
    whole = replace(job.segments[-1], start_s=job.segments[0].start_s)
    sound = Thread(target=sound_by_pyav, args=(job.source.path, whole))
    sound.start()
    with av.open(str(job.source.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
        base = Fraction(stream.time_base or 1)
        wanted = deque(time_s for part in job.segments for time_s in due(part))
        shown: Any = None
        for picture in chain(container.decode(stream), (None,)):
            while wanted and (picture is None or wanted[0] < picture.pts * base - 1e-6):
                frame = TimedFrame(base, 0, 0, 0, shown)
                made.append(to_model_picture(frame, job.source, SAMPLING))
                wanted.popleft()
            shown = picture
    sound.join()
    return made


def due(part: Segment) -> list[float]:
    """The times at which a segment is sampled; an odd count is evened by the last frame."""
    count = max(1, int(np.ceil(part.duration_s * SAMPLING.fps - 1e-6)))
    return [part.start_s + k / SAMPLING.fps for k in range(count)]


def pyav(job: Job) -> Pictures:
    """Per segment: seek, decode with two threads, the frames on show, our own scaling."""
    made: Pictures = []
    for part in job.segments:
        with av.open(str(job.source.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
            base = Fraction(stream.time_base or 1)
            container.seek(int(part.start_s / base), stream=stream)
            wanted, shown = due(part), None
            chosen: list[Any] = []
            for picture in container.decode(stream):
                time_s = float((picture.pts or 0) * base)
                while shown is not None and wanted and wanted[0] < time_s - 1e-6:
                    chosen.append(shown)
                    wanted.pop(0)
                if time_s >= part.end_s or not wanted:
                    break
                shown = picture
            chosen += [shown] * len(wanted)
            frames = [TimedFrame(base, 0, 0, 0, picture) for picture in chosen]
            here = [to_model_picture(frame, job.source, SAMPLING) for frame in frames]
            made += here + here[-1:] * (len(here) % 2)
        sound_by_pyav(job.source.path, part)
    return made


def sound_by_pyav(path: Path, part: Segment) -> None:
    """Seek, decode and resample the sound of one segment."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        container.seek(int(part.start_s * 1e6))
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        for frame in container.decode(stream):
            if (frame.time or 0.0) >= part.end_s:
                return
            for piece in resampler.resample(frame):
                piece.to_ndarray()


def opencv(job: Job) -> Pictures:
    """Per segment: seek by time, grab, decode and shrink (INTER_AREA) the frames on show."""
    import cv2

    made: Pictures = []
    for part in job.segments:
        capture = cv2.VideoCapture(str(job.source.path))
        capture.set(cv2.CAP_PROP_POS_MSEC, part.start_s * 1000)
        wanted, shown, here = due(part), None, []
        while wanted and capture.grab():
            time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            while shown is not None and wanted and wanted[0] < time_s - 1e-6:
                here.append(shown)
                wanted.pop(0)
            if time_s >= part.end_s:
                break
            shown = cv2.resize(capture.retrieve()[1], job.size, interpolation=cv2.INTER_AREA)
        here += [shown] * len(wanted) if shown is not None else []
        here += here[-1:] * (len(here) % 2)
        made += [np.ascontiguousarray(picture[..., ::-1]) for picture in here]
        sound_by_pyav(job.source.path, part)
        capture.release()
    return made


def decord(job: Job) -> Pictures:
    """Per segment: a reader at the model's size, the frames on show by its own timestamps."""
    import decord as library

    made: Pictures = []
    width, height = job.size
    for part in job.segments:
        path = str(job.source.path)
        reader = library.VideoReader(path, width=width, height=height, num_threads=2)
        begins = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        places = [max(0, int(np.searchsorted(begins, t + 1e-4, "right")) - 1) for t in due(part)]
        places += places[-1:] * (len(places) % 2)
        made += list(reader.get_batch(places).asnumpy())
        sound_by_pyav(job.source.path, part)
    return made


def ffmpeg_pipe(job: Job) -> Pictures:
    """Per segment: ffmpeg seeks, samples by its fps filter, scales by area, pipes raw frames."""
    made: Pictures = []
    width, height = job.size
    for part in job.segments:
        span = ["-ss", f"{part.start_s:.6f}", "-t", f"{part.duration_s:.6f}"]
        source = [*span, "-i", str(job.source.path)]
        chosen = f"fps={SAMPLING.fps}:round=down,scale={width}:{height}:flags=area"
        raw = run_ffmpeg(*source, "-vf", chosen, "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
        made += list(np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3))
        run_ffmpeg(*source, "-vn", "-ac", "1", "-ar", "16000", "-f", "s16le", "-")
    return made


def qwen_omni_utils(job: Job) -> Pictures:
    """Per segment: `process_mm_info` of qwen-omni-utils through decord, with its sound."""
    from qwen_omni_utils import process_mm_info

    made: Pictures = []
    for part in job.segments:
        video = {
            "type": "video", "video": str(job.source.path), "fps": SAMPLING.fps,
            "video_start": part.start_s, "video_end": part.end_s - 0.05,
            "max_pixels": SAMPLING.max_pixels, "min_pixels": 32 * 32,
        }  # fmt: skip
        talk = [{"role": "user", "content": [video]}]
        _, _, videos = process_mm_info(talk, use_audio_in_video=True, image_patch_size=16)
        made += list(videos[0].permute(0, 2, 3, 1).round().byte().numpy())
    return made


def reencoding(job: Job) -> Pictures:
    """Per segment: a file by x264 `veryfast` with AAC, then its frames on show and sound."""
    made: Pictures = []
    for part in job.segments:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "piece.mp4"
            span = ["-ss", f"{part.start_s:.6f}", "-t", f"{part.duration_s:.6f}"]
            coding = ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac"]
            run_ffmpeg(*span, "-i", str(job.source.path), *coding, str(path))
            with av.open(str(path)) as container:
                times = [k - part.start_s for k in due(part)]
                for picture in container.decode(video=0):
                    if times and float(picture.time or 0) >= times[0] - 1e-3:
                        frame = TimedFrame(Fraction(1), 0, 0, 0, picture)
                        made.append(to_model_picture(frame, job.source, SAMPLING))
                        times.pop(0)
            sound_by_pyav(path, Segment("", 0, 0.0, part.duration_s, 0, 0, has_audio=True))
    return made


@dataclass(frozen=True)
class Way:
    """A way of reading: its name, whether its frames are defined as ours, and why not."""

    name: str
    read: Callable[[Job], Pictures]
    differs: str = ""
    rounds: int = 2


OURS = Way("ours: segments, frames, sound in one pass", ours, rounds=5)
FLOOR = Way("bare decode of every frame, PyAV, 2 threads", bare_decode, "makes no frames", rounds=5)
BY_HAND = Way("known frames and sound by hand, all decoded", by_hand, rounds=5)
PEERS = (
    Way("PyAV per segment", pyav, rounds=5),  # the fastest: as often as ours
    Way("OpenCV per segment", opencv, "its own colour conversion and INTER_AREA"),
    Way("decord per segment", decord, "scales by another filter"),
    Way("ffmpeg pipe per segment", ffmpeg_pipe, "its fps filter rounds to a grid of its own"),
    Way("qwen_omni_utils.process_mm_info per segment", qwen_omni_utils,
        "spreads frames by index over a span, bicubic", rounds=1),
)  # fmt: skip
REENCODING = Way("x264 veryfast file per segment, then read", reencoding, "lossy", rounds=1)


def offer_ffmpeg(folder: Path) -> None:
    """Put the wheel's ffmpeg on the path under its plain name: audioread looks for it there."""
    (folder / "ffmpeg").symlink_to(ffmpeg_path())
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"
    warnings.simplefilter("ignore", FutureWarning)

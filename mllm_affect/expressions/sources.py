"""From a clip's files to what the model sees of them.

Does: read a folder of frames, a single image or a video as the clips of blind segments, without
sound.  Does not: find files (see data.megc.clip_folders) or ask about them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mllm_affect.data.megc.clip_folders import ClipFiles
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_json
from mllm_affect.media.cutting import MAX_SECONDS, bound_ticks
from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.sampling.model_frames import ModelFrames
from mllm_affect.media.types import Clip, Sampling, Segment, Source
from mllm_affect.media.video import following_links, open_video


def read_short(
    files: ClipFiles, rate_fps: float, sampling: Sampling, *, trusted: bool = False
) -> Clip:
    """Return the clip that stands for a short clip's files; see `most_moving`.

    `rate_fps`: of a folder's frames; a video has its own timestamps.  Raises as `read_long`.
    """
    return most_moving(read_long(files, rate_fps, sampling, trusted=trusted))


def most_moving(clips: Iterable[Clip]) -> Clip:
    """Return the segment's clip in which most moves, without sound; the first one in a tie.

    A clip of the challenge is one segment.  Of a longer one the rest is not looked at.
    """
    return replace(max(clips, key=_motion), audio_S=None)


def _motion(clip: Clip) -> float:
    """Return how much the frames change, light that changes everywhere taken off."""
    frames_TN = clip.frames_THWC.reshape(len(clip.frames_THWC), -1).astype(np.float32)
    change_TN = np.diff(frames_TN, axis=0)
    return float(np.abs(change_TN - change_TN.mean(axis=1, keepdims=True)).mean())


def read_long(
    files: ClipFiles, rate_fps: float, sampling: Sampling, *, trusted: bool = False
) -> Iterator[Clip]:
    """Yield the clips of the segments of a clip's files, in order.

    Raises UserError `missing_frames`, `unreadable_image`, or as opening a video does.
    """
    if files.path is None or not files.usable:
        raise UserError("missing_frames", f"{files.name} has no frames to look at.")
    if files.images:
        yield from _read_folder(files, rate_fps, sampling)
        return
    with open_video(following_links(files.path), trusted=trusted) as video:
        for clip in video.read(sampling):
            segment = replace(clip.segment, has_audio=False)
            yield replace(clip, segment=segment, audio_S=None)


def _read_folder(files: ClipFiles, rate_fps: float, sampling: Sampling) -> Iterator[Clip]:
    """Read images as a video of so many frames a second; those that nobody needs stay unread."""
    time_base = 1 / Fraction(rate_fps).limit_denominator(1_000_000)
    part, source = ModelFrames(sampling), _source(files, rate_fps)
    most = max(1, bound_ticks(MAX_SECONDS, time_base))
    for index, first in enumerate(range(0, len(files.images), most)):
        places = range(first, min(first + most, len(files.images)))
        start_s, end_s = float(first * time_base), float((places[-1] + 1) * time_base)
        needed_N = part.needs(np.array([float(place * time_base) for place in places]), end_s)
        collector = part.begin(source, start_s)
        for place, needed in zip(places, needed_N, strict=True):
            if needed:
                collector.see(_frame(files, place, time_base))
        frames_THWC, times_T = collector.finish(end_s)
        segment = Segment(source.sha256, index, start_s, end_s, first, len(places), False)
        yield Clip(segment, sampling, frames_THWC, times_T, None)


def _frame(files: ClipFiles, place: int, time_base: Fraction) -> TimedFrame:
    import av
    import cv2

    image = cv2.imread(str(files.images[place]), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise UserError("unreadable_image", f"{files.images[place]} cannot be read as an image.")
    picture = av.VideoFrame.from_ndarray(np.asarray(image, dtype=np.uint8), "rgb24")
    return TimedFrame(time_base, place, place, 1, picture)


def _source(files: ClipFiles, rate_fps: float) -> Source:
    assert files.path is not None
    sizes = [(image.name, image.stat().st_size) for image in files.images]
    first = _frame(files, 0, Fraction(1)).picture
    return Source(
        path=files.path,
        sha256=sha256_json([sizes, rate_fps]),
        container="images",
        video_codec=files.images[0].suffix.lstrip(".").lower(),
        audio_codec=None,
        start_s=0.0,
        duration_s=len(files.images) / rate_fps,
        width=first.width,
        height=first.height,
        rotation=0,
        average_fps=rate_fps,
        size_bytes=sum(size for _, size in sizes),
    )

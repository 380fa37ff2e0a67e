"""From a clip's files to what the model sees of them.

Does: read a folder of frames, a single image or a video as the clips of blind segments, without
sound.  Does not: find files (see data.megc.clip_folders) or ask about them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from mllm_affect.data.megc.clip_folders import ClipFiles
from mllm_affect.errors import UserError
from mllm_affect.expressions.motion_picture import with_motion_picture
from mllm_affect.media.images.folder import ImageFolder
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.media.video import following_links, open_video
from mllm_affect.tasks.family import Family


def read_short(
    files: ClipFiles, rate_fps: float, family: Family, sampling: Sampling, *, trusted: bool = False
) -> Clip:
    """Return the clip that stands for a short clip's files; see `shown_clip`.

    `rate_fps`: of a folder's frames; a video has its own timestamps.  Raises as `read_long`.
    """
    return shown_clip(read_long(files, rate_fps, sampling, trusted=trusted), family)


def read_long(
    files: ClipFiles, rate_fps: float, sampling: Sampling, *, trusted: bool = False
) -> Iterator[Clip]:
    """Yield the clips of the segments of a clip's files, in order.

    Raises UserError `missing_frames`, or as opening a video or a folder of images does.
    """
    if files.path is None or not files.usable:
        raise UserError("missing_frames", f"{files.name} has no frames to look at.")
    path = following_links(files.path)
    source = ImageFolder(path, rate_fps) if files.images else path
    with open_video(source, trusted=trusted) as video:
        for clip in video.read(sampling):
            yield replace(clip, segment=replace(clip.segment, has_audio=False), audio_S=None)


def shown_clip(clips: Iterable[Clip], family: Family) -> Clip:
    """Return the segment's clip in which most moves, without sound, as the family wants it shown.

    A clip of the challenge is one segment.  Of a longer one the rest is not looked at; the first
    segment wins a tie.
    """
    clip = replace(max(clips, key=_motion), audio_S=None)
    return with_motion_picture(clip) if family.motion_picture else clip


def _motion(clip: Clip) -> float:
    """Return how much the frames change, light that changes everywhere taken off."""
    frames_TN = clip.frames_THWC.reshape(len(clip.frames_THWC), -1).astype(np.float32)
    change_TN = np.diff(frames_TN, axis=0)
    return float(np.abs(change_TN - change_TN.mean(axis=1, keepdims=True)).mean())

"""Whether what a decoding process sent can be true.

Does: hold sources, segments and clips to the limits and to what was asked for.
Does not: rebuild them (see wire) or read files.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.audio import HOP, SHORTEST
from mllm_affect.media.display import WIDEST_PIXEL
from mllm_affect.media.isolation.wire import WireError
from mllm_affect.media.limits import (
    AUDIO_CODECS,
    CONTAINERS,
    PCM_CODECS,
    VIDEO_CODECS,
    Limits,
)
from mllm_affect.media.probe import check_source
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.sampling.picture_size import possible_sizes
from mllm_affect.media.sampling.policy import SAME_TIME_S
from mllm_affect.media.tone_mapping import NAMES
from mllm_affect.media.types import AUDIO_RATE, Clip, Segment, Source
from mllm_affect.media.warnings import is_ours


def check_answered(source: Source, limits: Limits) -> None:
    """Check a probed source.  Raises WireError, or UserError as `check_source` does."""
    _hold(source.container in CONTAINERS and source.video_codec in VIDEO_CODECS)
    _hold(source.audio_codec is None or source.audio_codec in AUDIO_CODECS | PCM_CODECS)
    _hold(source.width > 0 and source.height > 0 and source.rotation in (0, 90, 180, 270))
    _hold(source.duration_s >= 0 and source.average_fps >= 0 and source.streams >= 1)
    _hold(1 / WIDEST_PIXEL <= source.pixel_aspect <= WIDEST_PIXEL)
    _hold(source.hdr is None or source.hdr in NAMES)
    _hold(source.video_stream is not None and 0 <= source.video_stream < source.streams)
    _hold(1 <= source.video_streams <= source.streams)
    _hold((source.audio_stream is None) == (source.audio_codec is None))
    _hold(source.audio_stream is None or 0 <= source.audio_stream < source.streams)
    _hold(source.audio_rate >= 0 and source.audio_channels >= 0)
    _hold(all(map(is_ours, source.warnings)))
    check_source(source, limits)


def check_segments(
    segments: Sequence[Segment], source: Source, max_seconds: float, limits: Limits
) -> None:
    """Check all segments of a source.  Raises WireError, or UserError `video_too_long`."""
    _hold(len(segments) > 0)
    before: Segment | None = None
    for segment in segments:
        check_segment(segment, before, source, max_seconds, limits)
        before = segment


def check_segment(
    segment: Segment, before: Segment | None, source: Source, max_seconds: float, limits: Limits
) -> None:
    """Check a segment beside the one before it.  Raises WireError, UserError `video_too_long`."""
    _hold(segment.source_sha256 == source.sha256 and segment.num_frames >= 0)
    _hold(segment.shown_frame >= 0)
    _hold(segment.start_s <= segment.end_s)
    _hold(all(map(is_ours, segment.warnings)))
    _hold(segment.duration_s <= max_seconds + SAME_TIME_S)
    if before is None:
        _hold(segment.index >= 0)
        _hold(abs(segment.start_s) <= limits.start_seconds + limits.seconds)
    else:
        _hold(segment.index > before.index and segment.start_s > before.start_s)
        _hold(segment.first_frame >= before.first_frame + before.num_frames)
    frames = segment.first_frame + segment.num_frames
    seconds = segment.end_s - source.start_s
    if frames > limits.frames or seconds > limits.seconds + max_seconds:
        raise MediaError(
            "video_too_long", source.path.name, seconds=seconds, frames=frames,
            limit=limits.seconds, frame_limit=limits.frames,
        )  # fmt: skip


def check_clip(
    clip: Clip, before: Segment | None, source: Source, max_seconds: float, limits: Limits
) -> None:
    """Check a clip after the segment before it.  Raises WireError, UserError `video_too_long`."""
    segment, sampling = clip.segment, clip.sampling
    check_segment(segment, before, source, max_seconds, limits)
    _hold(clip.frames_THWC.ndim == 4)
    frames, height, width, colours = clip.frames_THWC.shape
    _hold((width, height) in possible_sizes(source, sampling) and colours == 3)
    _hold(frames % 2 == 0 and frames >= 2)
    _hold(frames <= sampling.most_frames(segment.duration_s))
    _hold(len(clip.times_T) == frames and bool(np.isfinite(clip.times_T).all()))
    _hold(segment.has_audio == (clip.audio_S is not None))
    if clip.audio_S is not None:
        longest = max(SHORTEST, (segment.duration_s + 1) * AUDIO_RATE)
        _hold(SHORTEST <= len(clip.audio_S) <= longest and len(clip.audio_S) % HOP == 0)


def check_times(times_T: NDArray[np.float64], limits: Limits) -> None:
    """Check the timestamps of all frames.  Raises WireError."""
    _hold(0 < len(times_T) <= limits.frames and bool(np.isfinite(times_T).all()))
    _hold(bool((np.diff(times_T) > 0).all()))


def _hold(condition: bool) -> None:
    if not condition:
        raise WireError("expected something that can be true")

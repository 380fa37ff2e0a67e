"""The timeline of one video: what was answered when, over what the video looked like.

Does: choose videos worth showing, read a few frames spread over one and join them with its
segments' probabilities.  Does not: draw (eval.plots) or ask.
"""

from collections.abc import Collection, Sequence

from eval import plots
from eval.predictions import Prediction, SegmentPrediction
from mllm_affect.data.footage import Footage

THUMBNAILS = 12
PIXELS = 320 * 192
FRAMES_PER_SECOND = 4.0


def longest(predictions: Sequence[Prediction]) -> Prediction | None:
    """Return the prediction with the most segments (the first of several), or None."""
    with_segments = [item for item in predictions if item.segments]
    return max(with_segments, key=lambda item: len(item.segments), default=None)


def telling(predictions: Sequence[Prediction], known: Collection[str] = ()) -> list[Prediction]:
    """Return up to four videos to look at: a right and a wrong answer for both kinds of label.

    Of each kind the one with the most segments, videos in `known` (whose spans are) first.
    """
    kinds: dict[tuple[bool, bool], Prediction] = {}
    ranked = sorted(
        (item for item in predictions if item.segments),
        key=lambda item: (item.video in known, len(item.segments)),
        reverse=True,
    )
    for item in ranked:
        kinds.setdefault((item.label == item.positive, item.right), item)
    return [kinds[kind] for kind in sorted(kinds, reverse=True)]


def video_timeline(
    video: Footage | None,
    segments: Sequence[SegmentPrediction],
    answer: str,
    threshold: float = 0.5,
    truth: Sequence[tuple[float, float]] | None = None,
    thumbnails: bool = True,
) -> plots.Timeline:
    """Join the probability of `answer` in every segment with frames of the video.

    Without `video`, or with `thumbnails` False, no frames are shown.
    `truth` holds spans in seconds where the label is `answer`; None when unknown.
    Raises UserError when the video cannot be read.
    """
    spans = [
        plots.TimelineSpan(item.start_s, item.end_s, item.probabilities.get(answer))
        for item in segments
    ]
    return plots.Timeline(
        spans=spans,
        answer=answer,
        threshold=threshold,
        thumbnails=spread_frames(video) if video and thumbnails else (),
        truth=truth,
    )


def spread_frames(video: Footage, count: int = THUMBNAILS) -> list[plots.Thumbnail]:
    """Return up to `count` frames, each nearest to the middle of its equal share of the video."""
    from mllm_affect.media.types import Sampling
    from mllm_affect.media.video import open_video

    nearest: list[plots.Thumbnail | None] = [None] * count
    with open_video(video) as opened:
        share_s = opened.source.duration_s / count
        middles = [opened.source.start_s + share_s * (place + 0.5) for place in range(count)]
        for clip in opened.read(Sampling(fps=FRAMES_PER_SECOND, max_pixels=PIXELS)):
            for time_s, frame_HWC in zip(clip.times_T, clip.frames_THWC, strict=True):
                for place, middle_s in enumerate(middles):
                    known = nearest[place]
                    if known is None or abs(time_s - middle_s) < abs(known.time_s - middle_s):
                        nearest[place] = plots.Thumbnail(float(time_s), frame_HWC)
    return [thumbnail for thumbnail in nearest if thumbnail is not None]

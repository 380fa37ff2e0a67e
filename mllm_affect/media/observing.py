"""Looking and listening: one pass over a video for what it shows besides the answers.

Does: read a video with the parts for faces and speech, state what they hold.
Does not: detect anything itself.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mllm_affect.media.cutting import MAX_SECONDS
from mllm_affect.media.face.part import FacePart
from mllm_affect.media.face.types import FaceTrack
from mllm_affect.media.limits import DEFAULT_LIMITS, Limits
from mllm_affect.media.observed import FacePlace, Observed
from mllm_affect.media.speech.activity import Span, SpeechActivity, SpeechPart
from mllm_affect.media.types import Sampling, Segment, Source
from mllm_affect.media.video import open_video
from mllm_affect.stopping import Stop

PLACES_A_SECOND = 5.0
"""So many places of the face are kept; between them it moves nearly in a line."""

FEWEST_FRAMES = Sampling(fps=0.2, max_pixels=32 * 32)
"""The frames for models are not needed here, so hardly any are made."""


def observe_video(
    video: Path | Source,
    limits: Limits = DEFAULT_LIMITS,
    *,
    max_seconds: float = MAX_SECONDS,
    trusted: bool = False,
    stop: Stop | None = None,
) -> Iterator[Observed]:
    """Yield what each segment shows and lets hear, in one decode.

    The video is decoded in a process of its own unless it is `trusted`; once `stop` is set, reading
    it raises StoppedError.  Raises UserError as `open_video` and its reading do, and
    `package_missing`, `weights_missing` or `weights_differ` where the detectors are not installed.
    """
    faces, speech = FacePart(crop_size=0), SpeechPart()
    with open_video(video, limits, trusted=trusted, parts=(faces, speech), stop=stop) as opened:
        for clip in opened.read(FEWEST_FRAMES, max_seconds):
            yield _observed(clip.segment, clip.parts[faces], clip.parts[speech], opened.source)


def _observed(
    segment: Segment, track: FaceTrack, heard: SpeechActivity, source: Source
) -> Observed:
    return Observed(
        index=segment.index,
        start_s=segment.start_s,
        end_s=segment.end_s,
        heard=heard.heard,
        speech=tuple(map(_rounded, heard.speech)),
        pauses=tuple(map(_rounded, heard.pauses)),
        speech_share=round(heard.speech_share, 4),
        longest_pause_s=round(heard.longest_pause_s, 3),
        face_share=round(track.quality.share, 4),
        face_size_px=round(track.quality.size, 1),
        faces=tuple(_places(track, source)),
    )


def _rounded(span: Span) -> Span:
    return Span(round(span.start_s, 3), round(span.end_s, 3))


def _places(track: FaceTrack, source: Source) -> Iterator[FacePlace]:
    """Yield the place in the first frame of every fifth of a second that shows the face."""
    seen = np.flatnonzero(track.seen)
    slots = np.floor(track.times_T[seen] * PLACES_A_SECOND + 1e-6)
    size_4 = np.array([source.width, source.height, source.width, source.height], dtype=np.float64)
    for at in seen[np.unique(slots, return_index=True)[1]].tolist():
        left, top, right, bottom = (track.boxes_T4[at] / size_4).round(4).tolist()
        yield FacePlace(
            time_s=round(float(track.times_T[at]), 3),
            left=left,
            top=top,
            width=round(right - left, 4),
            height=round(bottom - top, 4),
            score=round(float(track.scores_T[at]), 4),
        )

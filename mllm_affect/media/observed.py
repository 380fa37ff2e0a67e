"""What a video shows and lets hear in each segment, whatever is asked: speech, pauses, the face.

Does: state it.  Does not: look or listen (see observing).
"""

from dataclasses import dataclass

from mllm_affect.media.speech.activity import Span


@dataclass(frozen=True)
class FacePlace:
    """Where the main face is at one moment: shares (0 to 1) of the picture as shown.

    `score` is the detector's, 0 to 1.
    """

    time_s: float
    left: float
    top: float
    width: float
    height: float
    score: float


@dataclass(frozen=True)
class Observed:
    """One segment; times in seconds on the video's own timestamps.

    `heard` is False where there is no sound; then there is neither speech nor pause.
    `speech_share` is of the segment's time, `face_share` of its frames that show the main face,
    `face_size_px` that face's shorter side (median) in pixels of the video, 0 without one.
    """

    index: int
    start_s: float
    end_s: float
    heard: bool
    speech: tuple[Span, ...]
    pauses: tuple[Span, ...]
    speech_share: float
    longest_pause_s: float
    face_share: float
    face_size_px: float
    faces: tuple[FacePlace, ...]

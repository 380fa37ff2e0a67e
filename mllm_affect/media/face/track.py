"""From followed people to the face track of a segment.

Does: choose the main person, fill the arrays, measure.  Does not: look at pictures.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.face.people import Followed
from mllm_affect.media.face.types import FaceQuality, FaceTrack, Person


def track_of(
    followed: Sequence[Followed],
    times_T: NDArray[np.float64],
    looked_T: NDArray[np.bool_],
    enlarged: float,
    min_score: float,
    min_size: float,
    crop_size: int,
) -> FaceTrack:
    """Return the track of the heaviest person; `followed` come heaviest first.

    `enlarged`: how many times larger the source is than the pictures in which they were found.
    """
    certain = [person for person in followed if person.best_score >= min_score]
    main = next((person for person in certain if person.size * enlarged >= min_size), None)
    if main is not None:
        certain = [main, *(person for person in certain if person is not main)]
    frames = len(times_T)
    scores_T = np.zeros(frames)
    boxes_T4 = np.full((frames, 4), np.nan)
    points_T52 = np.full((frames, 5, 2), np.nan)
    crops_NHWC = np.zeros((0, crop_size, crop_size, 3), dtype=np.uint8)
    crop_frames_N = np.zeros(0, dtype=np.int64)
    if main is not None:
        scores_T[main.frames] = [face.score for face in main.faces]
        boxes_T4[main.frames] = [face.box_4 * enlarged for face in main.faces]
        points_T52[main.frames] = [face.points_52 * enlarged for face in main.faces]
        if main.crops:
            crops_NHWC = np.stack(list(main.crops.values()))
            crop_frames_N = np.array(list(main.crops), dtype=np.int64)
    return FaceTrack(
        times_T=times_T,
        scores_T=scores_T,
        boxes_T4=boxes_T4,
        points_T52=points_T52,
        looked_T=looked_T,
        crops_NHWC=crops_NHWC,
        crop_frames_N=crop_frames_N,
        people=tuple(_person(person, frames, enlarged, person is main) for person in certain),
        quality=_quality(main, certain, frames, enlarged),
        absence=None if main else ("face_too_small" if certain else "no_face"),
    )


def _person(person: Followed, frames: int, enlarged: float, main: bool) -> Person:
    score = float(np.mean([face.score for face in person.faces]))
    return Person(len(person.frames) / frames, person.size * enlarged, score, main)


def _quality(
    main: Followed | None, certain: Sequence[Followed], frames: int, enlarged: float
) -> FaceQuality:
    shown = Counter(frame for person in certain for frame in person.frames)
    several = sum(count > 1 for count in shown.values()) / frames
    if main is None:
        return FaceQuality(several_share=several)
    return FaceQuality(
        share=len(main.frames) / frames,
        mean_score=float(np.mean([face.score for face in main.faces])),
        size=main.size * enlarged,
        sharpness=float(np.mean(main.sharpness)) if main.sharpness else 0.0,
        brightness=float(np.mean(main.brightness)) if main.brightness else 0.0,
        several_share=several,
    )

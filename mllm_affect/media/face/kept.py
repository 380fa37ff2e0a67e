"""A face track as arrays, for the clip cache.

Does: take one apart and put it together again, without loss.  Does not: write files.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.face.types import FaceQuality, FaceTrack, Person

ABSENCES: Final = (None, "no_face", "face_too_small")
ARRAYS: Final = (
    "times_T", "scores_T", "boxes_T4", "points_T52", "looked_T", "crops_NHWC", "crop_frames_N",
)  # fmt: skip
"""Fields of a track that are arrays already."""

QUALITIES: Final = ("share", "mean_score", "size", "sharpness", "brightness", "several_share")


def pack_track(track: FaceTrack) -> dict[str, NDArray[Any]]:
    """Return a track as named arrays."""
    people = [(one.share, one.size, one.mean_score, one.main) for one in track.people]
    return {name: getattr(track, name) for name in ARRAYS} | {
        "people_P4": np.array(people, dtype=np.float64).reshape(-1, 4),
        "quality_6": np.array([getattr(track.quality, name) for name in QUALITIES]),
        "absence": np.array(ABSENCES.index(track.absence)),
    }


def unpack_track(arrays: Mapping[str, NDArray[Any]]) -> FaceTrack:
    """Return the track that was packed."""
    people = arrays["people_P4"].tolist()
    return FaceTrack(
        **{name: arrays[name] for name in ARRAYS},
        people=tuple(Person(share, size, score, bool(main)) for share, size, score, main in people),
        quality=FaceQuality(*arrays["quality_6"].tolist()),
        absence=ABSENCES[int(arrays["absence"])],
    )

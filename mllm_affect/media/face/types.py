"""What a face, a person and a face track are.

Does: hold what was found.  Does not: look at pictures.
Places are in pixels of the source as shown (after rotation), x to the right and y down, with the
corner of the first pixel at 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANDMARKS = ("right eye", "left eye", "nose", "right mouth corner", "left mouth corner")
"""Order of the landmarks; right and left are the person's, so the right eye is on the left."""


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one picture.

    score: 0 to 1.  box_4: float64 left, top, right, bottom.  points_52: float64, the LANDMARKS.
    """

    score: float
    box_4: NDArray[np.float64]
    points_52: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Pixels of its box."""
        return float((self.box_4[2] - self.box_4[0]) * (self.box_4[3] - self.box_4[1]))

    @property
    def size(self) -> float:
        """The shorter side of its box in pixels."""
        return float(min(self.box_4[2] - self.box_4[0], self.box_4[3] - self.box_4[1]))

    def scaled(self, factor: float) -> "Face":
        """Return the same face in a picture that is `factor` times as large."""
        return Face(self.score, self.box_4 * factor, self.points_52 * factor)


@dataclass(frozen=True)
class Person:
    """Somebody who was followed through a segment.

    share: of the segment's frames that show them.  size: median of the face's shorter side in
    pixels.  mean_score: of the detector.  main: whether the track is theirs.
    """

    share: float
    size: float
    mean_score: float
    main: bool


@dataclass(frozen=True)
class FaceQuality:
    """How well the main face can be seen; what a rule for abstaining needs.

    share: of the segment's frames with the main face.  mean_score: of the detector on these.
    size: median of the face's shorter side in pixels of the source.  sharpness: mean variance of
    the Laplacian of the grey crops (a blurred face is below a sharp one of the same size).
    brightness: mean grey level of the crops, 0 to 255.  several_share: share of the frames that
    show more than one person.  All 0 where there is no face.
    """

    share: float = 0.0
    mean_score: float = 0.0
    size: float = 0.0
    sharpness: float = 0.0
    brightness: float = 0.0
    several_share: float = 0.0


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """The main face of a segment, frame by frame at native rate.

    times_T: float64 seconds, every frame of the segment.  scores_T: float64, 0 where it is not
    seen.  boxes_T4, points_T52: float64 in source pixels, NaN where it is not seen.  looked_T:
    bool, whether the detector looked at this frame; in others the face lies between two looks.
    crops_NHWC: uint8 RGB, the face turned and scaled to a fixed place; crop_frames_N: int64, the
    positions in T that they show; N is 0 where crops were not asked for.
    people: all who were followed, the main one first.  absence: why there is no main face
    (`no_face`, `face_too_small`), else None.
    """

    times_T: NDArray[np.float64]
    scores_T: NDArray[np.float64]
    boxes_T4: NDArray[np.float64]
    points_T52: NDArray[np.float64]
    looked_T: NDArray[np.bool_]
    crops_NHWC: NDArray[np.uint8]
    crop_frames_N: NDArray[np.int64]
    people: tuple[Person, ...]
    quality: FaceQuality
    absence: str | None

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Whether the main face is seen in each frame (T bools)."""
        return self.scores_T > 0

    @property
    def crop_times(self) -> NDArray[np.float64]:
        """The time of each crop in seconds (N float64)."""
        return self.times_T[self.crop_frames_N]

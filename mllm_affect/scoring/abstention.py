"""When a video is too poor to answer about, and saying so.

Does: measure what a clip lets one see and hear, and turn a video's measures into reasons to
abstain under a stated policy.  Does not: change the probability, which is told all the same.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.media.types import Clip
from mllm_affect.media.warnings import MediaWarning


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Remark(_Frozen):
    """Something the reader of an answer should know; `code` is stable."""

    code: str
    sentence: str


def media_remarks(warnings: Iterable[MediaWarning]) -> tuple[Remark, ...]:
    """Return the warnings of a video's reader as remarks."""
    return tuple(Remark(code=one.code, sentence=one.sentence) for one in warnings)


class Quality(_Frozen):
    """What one segment lets one see and hear; `face_share` is None where no face was looked for."""

    brightness: float = Field(description="Mean of the pictures' values, 0 black to 1 white.")
    has_sound: bool = Field(description="Whether there is sound that is not all zeros.")
    face_share: float | None = Field(
        default=None, description="Share of the frames looked at that show a face."
    )


class Abstention(_Frozen):
    """Bounds beyond which no answer is given; the defaults refuse only what is plainly unfit.

    Shares are of the video's seconds (frames for faces); 1 for a share, 0 for a least value
    switches a reason off.
    """

    most_without_sound: float = Field(default=0.5, ge=0, le=1)
    most_without_face: float = Field(default=0.5, ge=0, le=1)
    least_brightness: float = Field(default=0.05, ge=0, le=1)
    least_seconds: float = Field(default=1.0, ge=0)
    looks_for_faces: int = Field(
        default=0, ge=0, le=16, description="Frames of a segment searched for a face; 0: none."
    )


NEVER = Abstention(most_without_sound=1, most_without_face=1, least_brightness=0, least_seconds=0)
"""Answer about every video."""


def quality_of(clip: Clip) -> Quality:
    """Return the measures of one clip."""
    return Quality(
        brightness=round(float(clip.frames_THWC.mean()) / 255, 4),
        has_sound=clip.audio_S is not None and bool(np.any(clip.audio_S)),
    )


def reasons_to_abstain(
    policy: Abstention, qualities: Sequence[Quality], durations_s: Sequence[float]
) -> tuple[Remark, ...]:
    """Return why a video should not be answered about; empty where it may be.

    One quality and one duration (seconds) a segment, at least one.
    """
    return tuple(_reasons(policy, qualities, durations_s))


def _reasons(
    policy: Abstention, qualities: Sequence[Quality], durations_s: Sequence[float]
) -> Iterator[Remark]:
    seconds = sum(durations_s)
    if seconds < policy.least_seconds:
        yield Remark(
            code="too_short",
            sentence=f"The video lasts {seconds:.1f} s; at least {policy.least_seconds:g} s "
            "are needed.",
        )
    silent = _mean([float(not item.has_sound) for item in qualities], durations_s)
    if silent > policy.most_without_sound:
        yield Remark(
            code="missing_audio", sentence=f"{100 * silent:.0f} % of the video has no sound."
        )
    brightness = _mean([item.brightness for item in qualities], durations_s)
    if brightness < policy.least_brightness:
        yield Remark(
            code="too_dark",
            sentence=f"The pictures are nearly black (brightness {brightness:.3f} of 1).",
        )
    faces = [
        (item.face_share, seconds_of)
        for item, seconds_of in zip(qualities, durations_s, strict=True)
        if item.face_share is not None
    ]
    if faces:
        without = 1.0 - _mean([share for share, _ in faces], [weight for _, weight in faces])
        if without > policy.most_without_face:
            yield Remark(
                code="mostly_no_face",
                sentence=f"{100 * without:.0f} % of the frames looked at show no face.",
            )


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    if total <= 0.0:
        return sum(values) / len(values)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total

"""When a video is too poor to answer about: at the bounds, and what the reader is told."""

import numpy as np
import pytest
from pydantic import ValidationError

from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.scoring.abstention import (
    NEVER,
    Abstention,
    Quality,
    quality_of,
    reasons_to_abstain,
)

GOOD = Quality(brightness=0.5, has_sound=True)
SILENT = Quality(brightness=0.5, has_sound=False)


def codes(qualities: list[Quality], durations_s: list[float], **policy: float) -> list[str]:
    found = reasons_to_abstain(Abstention(**policy), qualities, durations_s)
    return [remark.code for remark in found]


def test_a_video_at_the_bound_is_answered_and_one_beyond_it_is_not() -> None:
    assert codes([GOOD], [1.0]) == []
    assert codes([GOOD], [0.99]) == ["too_short"]
    assert codes([GOOD, SILENT], [2.0, 2.0]) == []
    assert codes([GOOD, SILENT], [2.0, 2.1]) == ["missing_audio"]
    assert codes([Quality(brightness=0.05, has_sound=True)], [5.0]) == []
    assert codes([Quality(brightness=0.0499, has_sound=True)], [5.0]) == ["too_dark"]
    assert codes([Quality(brightness=0.5, has_sound=True, face_share=0.5)], [5.0]) == []
    assert codes([Quality(brightness=0.5, has_sound=True, face_share=0.49)], [5.0]) == [
        "mostly_no_face"
    ]


def test_segments_count_by_their_seconds() -> None:
    dark = Quality(brightness=0.0, has_sound=True, face_share=0.0)
    bright = Quality(brightness=0.2, has_sound=True, face_share=1.0)
    assert codes([dark, bright], [4.0, 1.0]) == ["too_dark", "mostly_no_face"]
    assert codes([dark, bright], [2.0, 2.0]) == []
    assert codes([dark, bright], [1.0, 4.0]) == []


def test_only_segments_in_which_a_face_was_looked_for_tell_of_faces() -> None:
    seen = Quality(brightness=0.5, has_sound=True, face_share=1.0)
    assert codes([seen, GOOD], [1.0, 5.0]) == []
    unseen = Quality(brightness=0.5, has_sound=True, face_share=0.0)
    assert codes([unseen, GOOD], [1.0, 5.0]) == ["mostly_no_face"]


def test_segments_without_length_count_alike() -> None:
    assert codes([GOOD, SILENT], [0.0, 0.0], least_seconds=0.0) == []
    assert codes([SILENT, SILENT, GOOD], [0.0] * 3, least_seconds=0.0) == ["missing_audio"]


def test_the_sentences_state_the_measures() -> None:
    worst = Quality(brightness=0.012, has_sound=False, face_share=0.25)
    found = reasons_to_abstain(Abstention(), [worst], [0.44])
    assert [remark.sentence for remark in found] == [
        "The video lasts 0.4 s; at least 1 s are needed.",
        "100 % of the video has no sound.",
        "The pictures are nearly black (brightness 0.012 of 1).",
        "75 % of the frames looked at show no face.",
    ]


def test_never_answers_about_every_video() -> None:
    worst = Quality(brightness=0.0, has_sound=False, face_share=0.0)
    assert reasons_to_abstain(NEVER, [worst], [0.0]) == ()
    assert NEVER.looks_for_faces == Abstention().looks_for_faces == 0


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("most_without_sound", 0, 1),
        ("most_without_face", 0, 1),
        ("least_brightness", 0, 1),
        ("least_seconds", 0, None),
        ("looks_for_faces", 0, 16),
    ],
)
def test_a_policy_is_held_to_its_range(name: str, least: int, most: int | None) -> None:
    for fine in (least, *([most] if most is not None else [least + 100])):
        assert getattr(Abstention(**{name: fine}), name) == fine
    step = 1 if name == "looks_for_faces" else 0.01
    for wrong in (least - step, *([most + step] if most is not None else [])):
        with pytest.raises(ValidationError):
            Abstention(**{name: wrong})


def test_brightness_is_the_mean_of_all_values_of_all_frames() -> None:
    frames_THWC = np.zeros((2, 32, 32, 3), np.uint8)
    frames_THWC[1] = 255
    frames_THWC[1, :, :, 0] = 102
    clip = Clip(Segment("0", 0, 0.0, 1.0, 0, 25, True), Sampling(), frames_THWC, np.zeros(2), None)
    found = quality_of(clip)
    assert found.brightness == pytest.approx((0 + 0 + 0 + 0.4 + 1 + 1) / 6, abs=5e-5)
    assert not found.has_sound
    assert found.face_share is None

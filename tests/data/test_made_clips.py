"""Made clips: balance of the labels, disjoint people, content that follows the specification."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mllm_affect.data.made.clips import (
    FRAME_RATE,
    PEOPLE,
    ClipSpec,
    make_clip,
    make_model_clip,
    plan_clips,
    sampled_frames,
)
from mllm_affect.data.made.people import CELLS, SPLITS, draw_face, draw_voice
from mllm_affect.data.made.speaking import plan_fluent, plan_halting
from mllm_affect.errors import UserError

SPEC = ClipSpec(
    seed=3, split="train", face=1, voice=2, light=5, frames=36,
    emotion="neutral", gaze="ahead", halting=False,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(fours=st.integers(1, 60), split=st.sampled_from(SPLITS), seed=st.integers(0, 2**31))
def test_neither_modality_alone_tells_the_label(fours: int, split: str, seed: int) -> None:
    specs = plan_clips(4 * fours, split, seed)  # type: ignore[arg-type]
    by_voice: dict[object, Counter[bool]] = defaultdict(Counter)
    by_face: dict[object, Counter[bool]] = defaultdict(Counter)
    for spec in specs:
        by_voice[spec.halting][spec.ambivalent] += 1
        by_face[spec.emotion, spec.gaze != "ahead"][spec.ambivalent] += 1
    assert len(specs) == 4 * fours
    for counts in (*by_voice.values(), *by_face.values()):
        assert counts[True] == counts[False]


def test_the_label_follows_the_rule() -> None:
    def label(emotion: str, gaze: str, halting: bool) -> str:
        spec = replace(SPEC, emotion=emotion, gaze=gaze, halting=halting)  # type: ignore[arg-type]
        return spec.labels["ah"]

    assert label("positive", "ahead", True) == "yes"
    assert label("surprised", "ahead", True) == "yes"
    assert label("neutral", "left", True) == "yes"
    assert label("negative", "ahead", True) == "no"
    assert label("negative", "ahead", False) == "yes"
    assert label("positive", "left", False) == "no"
    assert SPEC.labels["ah_demo"] == SPEC.labels["ah"]


@pytest.mark.parametrize("count", [0, 1, 6, -4])
def test_sets_that_cannot_be_balanced_are_refused(count: int) -> None:
    with pytest.raises(UserError) as caught:
        plan_clips(count, "train", 0)
    assert caught.value.code == "bad_count"


def test_lengths_vary_from_one_to_five_seconds() -> None:
    lengths = {spec.duration_s for spec in plan_clips(800, "test", 1)}
    assert min(lengths) == 1.0
    assert max(lengths) == 5.0
    assert len(lengths) > 40


def test_held_out_faces_and_voices_lie_where_training_never_draws() -> None:
    def cell(first: float, second: float) -> tuple[int, int]:
        return int(first * CELLS), int(second * CELLS)

    faces, voices = {}, {}
    for split in SPLITS:
        people = range(PEOPLE[split])
        faces[split] = {
            cell(face.tone, (face.width - 0.32) / 0.07)
            for face in (draw_face(split, number) for number in people)
        }
        voices[split] = {
            cell(np.log(voice.pitch_hz / 85.0) / np.log(3.0), (voice.formant_scale - 0.86) / 0.32)
            for voice in (draw_voice(split, number) for number in people)
        }
    assert not faces["train"] & faces["test"]
    assert not voices["train"] & voices["test"]
    assert len(faces["test"]) > CELLS
    assert len(voices["train"]) > CELLS


def test_a_specification_always_gives_the_same_clip() -> None:
    first, again = make_clip(SPEC), make_clip(SPEC)
    assert np.array_equal(first.frames_THWC, again.frames_THWC)
    assert np.array_equal(first.audio_S, again.audio_S)
    assert first.frames_THWC.shape == (36, 128, 128, 3)
    assert first.audio_S.shape == (3 * 16_000,)
    other = make_clip(replace(SPEC, seed=4))
    assert not np.array_equal(first.frames_THWC, other.frames_THWC)


def test_faces_show_what_the_specification_says() -> None:
    middle = SPEC.duration_s / 2

    def pose(**changes: object) -> object:
        return make_clip(replace(SPEC, **changes)).performance.pose(middle)  # type: ignore[arg-type]

    assert pose(emotion="positive").units["AU12"] > 0.5  # type: ignore[attr-defined]
    assert pose(emotion="negative").units["AU4"] > 0.5  # type: ignore[attr-defined]
    assert pose(emotion="surprised").units["AU1"] > 0.5  # type: ignore[attr-defined]
    assert pose(gaze="left").gaze_x < -0.5 < 0.5 < pose(gaze="right").gaze_x  # type: ignore[attr-defined]
    assert pose(gaze="up").gaze_y < -0.4 < 0.4 < pose(gaze="down").gaze_y  # type: ignore[attr-defined]


def test_what_the_face_does_can_be_seen() -> None:
    def picture(**changes: object) -> np.ndarray:
        clip = make_clip(replace(SPEC, **changes))  # type: ignore[arg-type]
        return clip.frames_THWC[18].astype(int)

    calm = picture()
    changed_mouth = np.abs(picture(emotion="positive") - calm).sum(-1)
    assert changed_mouth[85:125].sum() > 3 * changed_mouth[:30].sum()
    changed_eyes = np.abs(picture(gaze="left") - calm).sum(-1)
    assert changed_eyes[45:75].sum() > 3 * changed_eyes[90:].sum()
    # The lips move by their own clock: the manner of speaking leaves no trace in the picture.
    assert np.array_equal(picture(halting=True), calm)


@pytest.mark.parametrize("seconds", [1.0, 3.0, 5.0])
def test_halting_speech_pauses_and_fluent_speech_does_not(seconds: float) -> None:
    for number in range(20):
        random, voice = np.random.default_rng(number), draw_voice("test", number)
        fluent = plan_fluent(random, voice, seconds)
        halting = plan_halting(random, voice, seconds)
        assert max(s.seconds for s in fluent if s.kind == "silence") < 0.15
        assert not any(sound.kind == "filler" for sound in fluent)
        held = [s for s in halting if s.kind == "filler" or s.seconds >= 0.25]
        assert held
        before = halting[: halting.index(held[0])]
        assert sum(sound.seconds for sound in before) < min(0.9, seconds)


def test_loudness_does_not_tell_how_somebody_speaks() -> None:
    peaks = {
        halting: np.median(
            [
                np.abs(make_model_clip(replace(SPEC, seed=n, halting=halting), 4.0, 32)[1]).max()
                for n in range(24)
            ]
        )
        for halting in (True, False)
    }
    assert 0.6 < peaks[True] / peaks[False] < 1.7


@pytest.mark.parametrize("frames", [12, 13, 37, 59, 60])
def test_sampling_in_memory_follows_the_reader(frames: int) -> None:
    indices = sampled_frames(frames, 4.0)
    assert len(indices) % 2 == 0
    assert indices == sorted(indices)
    times = np.arange(0, frames / FRAME_RATE - 1e-6, 0.25)
    assert indices[: len(times)] == [round(time * 12) for time in times]
    assert max(indices) < frames

"""Speech is told from pauses on the video's timeline, and a cut does not change it."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_videos import Made, regular, write
from numpy.typing import NDArray

from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.speech.activity import Span, SpeechActivity, SpeechPart, activity
from mllm_affect.media.types import AUDIO_RATE, Clip, Sampling, Segment
from tests.real_videos import real_video

SMALL = Sampling(max_pixels=1024)
SPEECH = SpeechPart()
GRID_S = 0.01
TOLERANCE_S = 0.05


def segment(start_s: float, end_s: float) -> Segment:
    return Segment("hash", 0, start_s, end_s, 0, 1, has_audio=True)


def heard(path: Path, max_seconds: float) -> list[tuple[Clip, SpeechActivity]]:
    clips = read_video(probe(path), SMALL, max_seconds, [SPEECH])
    return [(clip, clip.parts[SPEECH]) for clip in clips]


def speaking(
    told: list[tuple[Clip, SpeechActivity]],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Whether somebody speaks, on a fine grid of times over the whole video."""
    times = np.arange(0.0, told[-1][0].segment.end_s, GRID_S)
    states = np.zeros(len(times), dtype=bool)
    for _, found in told:
        for span in found.speech:
            states |= (times >= span.start_s) & (times < span.end_s)
    return times, states


@pytest.fixture(scope="module")
def whole() -> list[tuple[Clip, SpeechActivity]]:
    return heard(real_video("talking"), 60.0)


@pytest.fixture(scope="module")
def sound(whole: list[tuple[Clip, SpeechActivity]]) -> NDArray[np.int16]:
    (clip, _) = whole[0]
    assert clip.audio_S is not None
    return clip.audio_S


def by_ear(sound_S: NDArray[np.int16]) -> NDArray[np.float64]:
    """Loudness every 10 ms: a second, cruder opinion on where speech is."""
    pieces = sound_S[: len(sound_S) // 160 * 160].reshape(-1, 160).astype(np.float64)
    return np.asarray(np.sqrt((pieces**2).mean(axis=1)))


def during(span: Span, loudness: NDArray[np.float64]) -> NDArray[np.float64]:
    return loudness[round(100 * span.start_s) : round(100 * span.end_s)]


def test_speech_is_loud_and_pauses_are_quiet(
    whole: list[tuple[Clip, SpeechActivity]], sound: NDArray[np.int16]
) -> None:
    (_, found), loudness = whole[0], by_ear(sound)
    inside = np.concatenate(
        [loudness[round(100 * s.start_s) : round(100 * s.end_s)] for s in found.speech]
    )
    longest = max(found.pauses, key=lambda span: span.duration_s)
    outside = loudness[round(100 * longest.start_s) : round(100 * longest.end_s)]
    assert np.median(inside) > 5 * np.median(outside)
    assert 0.5 < found.speech_share < 0.9
    assert found.longest_pause_s == longest.duration_s > 1.0


@pytest.mark.parametrize("max_seconds", [5.0, 1.0])
def test_cutting_does_not_change_what_is_heard(
    whole: list[tuple[Clip, SpeechActivity]], max_seconds: float
) -> None:
    cut = heard(real_video("talking"), max_seconds)
    assert len(cut) > 3
    times, uncut_states = speaking(whole)
    _, cut_states = speaking(cut)
    differs = times[uncut_states != cut_states]
    changes = times[1:][uncut_states[1:] != uncut_states[:-1]]
    near_change = np.abs(differs[:, None] - changes[None]).min(axis=1) if len(differs) else differs
    borders = np.array([clip.segment.start_s for clip, _ in cut])
    near_cut = np.abs(differs[:, None] - borders[None]).min(axis=1) if len(differs) else differs
    allowed = (near_change <= TOLERANCE_S) | (near_cut <= SPEECH.min_pause_s + TOLERANCE_S)
    assert allowed.all(), differs[~allowed]
    assert len(differs) * GRID_S < 0.02 * times[-1]


def test_spans_lie_in_their_segment_in_turn(whole: list[tuple[Clip, SpeechActivity]]) -> None:
    for clip, found in heard(real_video("talking"), 1.0):
        both = sorted([*found.speech, *found.pauses], key=lambda span: span.start_s)
        assert both[0].start_s == clip.segment.start_s
        assert both[-1].end_s == clip.segment.end_s
        assert all(a.end_s == b.start_s for a, b in pairwise(both))
        assert found.speech_share == pytest.approx(
            sum(span.duration_s for span in found.speech) / clip.segment.duration_s
        )


@pytest.mark.parametrize("level", [0, 300, 10_000])
def test_silence_and_noise_are_no_speech(level: int) -> None:
    rng = np.random.default_rng(0)
    noise_S = (rng.normal(size=5 * AUDIO_RATE) * level).clip(-32768, 32767).astype(np.int16)
    listener = SPEECH.listen(probe(real_video("talking")))
    found = listener.hear(segment(0.0, 5.0), noise_S)
    assert (found.heard, found.speech, found.longest_pause_s) == (True, (), 5.0)


def test_a_video_without_sound_has_neither_speech_nor_pauses(tmp_path: Path) -> None:
    silent = write(tmp_path / "silent.mp4", Made(regular(50, 25)))
    for clip, found in heard(silent, 5.0):
        assert clip.audio_S is None
        assert found == SpeechActivity(False, (), (), 0.0, 0.0)


def test_a_gap_in_the_reading_makes_the_listener_forget(sound: NDArray[np.int16]) -> None:
    loud_S = sound[: 2 * AUDIO_RATE]
    source = probe(real_video("talking"))
    alone = SPEECH.listen(source).hear(segment(100.0, 102.0), loud_S)
    after = SPEECH.listen(source)
    after.hear(segment(0.0, 2.0), loud_S)
    assert after.hear(segment(100.0, 102.0), loud_S) == alone


def test_each_reading_listens_anew() -> None:
    first, second = (heard(real_video("talking"), 5.0) for _ in range(2))
    assert [found for _, found in first] == [found for _, found in second]


def test_settings_move_the_limits(sound: NDArray[np.int16]) -> None:
    strict = dataclasses.replace(SPEECH, min_pause_s=1.0)
    source = probe(real_video("talking"))
    span = segment(0.0, len(sound) / AUDIO_RATE)
    bridged = strict.listen(source).hear(span, sound)
    assert all(pause.duration_s >= 1.0 for pause in bridged.pauses[1:-1])
    assert len(bridged.speech) < len(SPEECH.listen(source).hear(span, sound).speech)


@given(st.lists(st.floats(0, 10), max_size=12, unique=True).map(sorted))
def test_pauses_are_what_speech_leaves(borders: list[float]) -> None:
    spans = [Span(a, b) for a, b in zip(borders[::2], borders[1::2], strict=False)]
    told = activity(spans, segment(0.0, 10.0))
    covered = sum(span.duration_s for span in (*told.speech, *told.pauses))
    assert covered == pytest.approx(10.0)
    assert told.longest_pause_s == max((p.duration_s for p in told.pauses), default=0.0)

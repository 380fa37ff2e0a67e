"""One decode serves everybody: parts see the frames and the sound of their segment."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from made_videos import HEIGHT, WIDTH, number_of
from numpy.typing import NDArray
from read_video import MadeVideo

from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.parts import AnyPart, Parts, every_frame
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.sampling.model_frames import ModelFrames
from mllm_affect.media.sampling.picture_size import upright
from mllm_affect.media.types import Sampling, Segment, Source

SAMPLING = Sampling(fps=4.0, max_pixels=192 * 96)


@dataclass(frozen=True)
class Numbers:
    """The number that every picture shows, at native rate, and where the segment ends."""

    beginning: int = 0

    def needs(self, times_N: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:
        return every_frame(times_N)

    def begin(self, source: Source, start_s: float) -> "NumbersOfOne":
        return NumbersOfOne([float(self.beginning), start_s], source)


class NumbersOfOne:
    def __init__(self, found: list[float], source: Source) -> None:
        self._found, self._source = found, source

    def see(self, frame: TimedFrame) -> None:
        self._found.append(number_of(upright(frame, self._source, WIDTH, HEIGHT)))

    def finish(self, end_s: float) -> list[float]:
        return [*self._found, end_s]


@dataclass(frozen=True)
class Loudest:
    """The largest sample, None where there is no sound, after those of the segments before."""

    def listen(self, source: Source) -> "LoudestSoFar":
        return LoudestSoFar()


class LoudestSoFar:
    def __init__(self) -> None:
        self._heard: list[int | None] = []

    def hear(self, segment: Segment, audio_S: NDArray[np.int16] | None) -> list[int | None]:
        self._heard.append(None if audio_S is None else int(audio_S.max()))
        return list(self._heard)


def test_a_part_sees_every_frame_of_its_segment_once(video: MadeVideo) -> None:
    numbers = Numbers()
    for clip in read_video(video.source, SAMPLING, parts=[numbers]):
        beginning, start_s, *shown, end_s = clip.parts[numbers]
        part = clip.segment
        assert shown == list(range(part.shown_frame, part.first_frame + part.num_frames))
        assert (beginning, start_s, end_s) == (0, clip.segment.start_s, clip.segment.end_s)


def test_a_part_of_the_sound_hears_what_the_clip_holds(video: MadeVideo) -> None:
    loudest = Loudest()
    for _ in range(2):
        expected: list[int | None] = []
        for clip in read_clips(video.source, video.segments, SAMPLING, [loudest]):
            expected.append(None if clip.audio_S is None else int(clip.audio_S.max()))
            assert clip.parts[loudest] == expected, "each reading listens anew"


def test_parts_do_not_change_the_clip(plain: MadeVideo) -> None:
    alone = list(read_video(plain.source, SAMPLING))
    other = ModelFrames(Sampling(fps=1.0, max_pixels=4096))
    parts: list[AnyPart] = [Numbers(), Loudest(), other, ModelFrames(SAMPLING)]
    for clip, bare in zip(read_video(plain.source, SAMPLING, parts=parts), alone, strict=True):
        assert np.array_equal(clip.frames_THWC, bare.frames_THWC)
        assert np.array_equal(clip.times_T, bare.times_T)
        frames_THWC, times_T = clip.parts[other]
        assert frames_THWC.shape[1:] == (32, 96, 3)
        assert np.all(np.isin(times_T, bare.times_T[::4]))
        same_THWC, _ = clip.parts[ModelFrames(SAMPLING)]
        assert same_THWC is clip.frames_THWC


def test_a_part_is_found_under_equal_settings_after_a_journey() -> None:
    parts: Parts = pickle.loads(pickle.dumps(Parts({Numbers(): [1.0]})))
    assert parts[Numbers()] == [1.0]
    assert Numbers() in parts
    assert Numbers(7) not in parts
    with pytest.raises(KeyError):
        parts[Numbers(7)]

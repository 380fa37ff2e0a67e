"""Real faces are found, followed and cut out; no face and several people are told."""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mllm_affect.media.decoding.frames import TimedFrame
from mllm_affect.media.face.crops import TEMPLATE_52, similarity
from mllm_affect.media.face.part import FacePart
from mllm_affect.media.face.types import FaceQuality, FaceTrack
from mllm_affect.media.isolation import isolated_video
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.types import Clip, Sampling
from tests.real_videos import real_video

SMALL = Sampling(max_pixels=1024)
FACES = FacePart()


def tracks(path: Path, part: FacePart = FACES, seconds: float = 5.0) -> list[FaceTrack]:
    return [clip.parts[part] for clip in read_video(probe(path), SMALL, seconds, [part])]


def real_frames(name: str, count: int) -> list[NDArray[np.uint8]]:
    with av.open(str(real_video(name))) as container:
        frames = container.decode(video=0)
        return [next(frames).to_ndarray(format="rgb24") for _ in range(count)]


def written(path: Path, pictures: list[NDArray[np.uint8]], rate: int = 25) -> Path:
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def single() -> FaceTrack:
    (track,) = tracks(real_video("single_face"))
    return track


@pytest.fixture(scope="module")
def faces_of_two() -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Two real people, half a second each, at 320 pixels wide."""

    def small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA), np.uint8)

    one, other = real_frames("single_face", 13), real_frames("talking", 13)
    return [small(p) for p in one], [small(p) for p in other]


def test_a_real_face_is_seen_in_every_frame(single: FaceTrack) -> None:
    quality = single.quality
    assert single.absence is None
    assert single.seen.all()
    assert quality.share == 1.0
    assert quality.mean_score > 0.8
    assert 100 < quality.size < 250
    assert quality.sharpness > 50
    assert 40 < quality.brightness < 220
    assert quality.several_share == 0.0
    assert [person.main for person in single.people] == [True]


def test_the_detector_looks_at_few_frames(single: FaceTrack) -> None:
    assert single.looked_T[0]
    assert single.looked_T[-1]
    looks_s = single.times_T[single.looked_T]
    assert np.diff(looks_s).max() <= FACES.look_every_s + 0.04
    assert single.looked_T.mean() < 0.25


def test_between_looks_the_face_is_where_the_detector_would_see_it(single: FaceTrack) -> None:
    every = dataclasses.replace(FACES, look_every_s=0.0)
    (looked,) = tracks(real_video("single_face"), every)
    assert looked.looked_T.all()
    eyes = np.linalg.norm(looked.points_T52[:, 0] - looked.points_T52[:, 1], axis=1).mean()
    apart = np.linalg.norm(single.points_T52 - looked.points_T52, axis=2)
    assert apart.mean() < 0.05 * eyes


def test_landmarks_are_eyes_over_nose_over_mouth_within_the_box(single: FaceTrack) -> None:
    x, y = single.points_T52[..., 0], single.points_T52[..., 1]
    assert (x[:, 0] < x[:, 1]).all(), "the person's right eye is on the left"
    assert (x[:, 3] < x[:, 4]).all()
    assert (y[:, :2].max(axis=1) < y[:, 2]).all()
    assert (y[:, 2] < y[:, 3:].min(axis=1)).all()
    low, high = single.boxes_T4[:, None, :2], single.boxes_T4[:, None, 2:]
    assert ((single.points_T52 > low) & (single.points_T52 < high)).all()


def test_crops_come_at_native_rate_with_the_video_s_times(single: FaceTrack) -> None:
    assert single.crops_NHWC.shape == (len(single.times_T), 128, 128, 3)
    assert single.crops_NHWC.dtype == np.uint8
    assert np.array_equal(single.crop_times, single.times_T)
    with av.open(str(real_video("single_face"))) as container:
        stated = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert single.times_T == pytest.approx(stated, abs=1e-6)


def test_a_crop_is_the_picture_at_the_template(single: FaceTrack) -> None:
    picture = real_frames("single_face", 1)[0]
    matrix_23 = similarity(single.points_T52[0], 128)
    back_23 = cv2.invertAffineTransform(matrix_23)
    for x, y in TEMPLATE_52 * 128:
        column, row = back_23[:, :2] @ [x, y] + back_23[:, 2]
        around = picture[round(row) - 5 : round(row) + 5, round(column) - 5 : round(column) + 5]
        shown = single.crops_NHWC[0, round(y) - 3 : round(y) + 3, round(x) - 3 : round(x) + 3]
        assert shown.mean() == pytest.approx(around.mean(), abs=25)


def test_no_face_is_a_state_with_a_reason() -> None:
    (track,) = tracks(real_video("no_face"))
    assert track.absence == "no_face"
    assert track.people == ()
    assert track.quality == FaceQuality()
    assert not track.seen.any()
    assert np.isnan(track.boxes_T4).all()
    assert track.crops_NHWC.shape == (0, 128, 128, 3)


def test_a_face_too_small_is_told_from_none() -> None:
    part = dataclasses.replace(FACES, min_size=400.0)
    (track,) = tracks(real_video("single_face"), part)
    assert track.absence == "face_too_small"
    assert len(track.people) == 1
    assert not track.people[0].main


def test_two_people_are_told_and_the_larger_is_the_main_one(
    tmp_path: Path, faces_of_two: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]
) -> None:
    one, other = faces_of_two
    beside = [np.hstack([a, b]) for a, b in zip(one, other, strict=True)]
    (track,) = tracks(written(tmp_path / "two.mp4", beside))
    assert len(track.people) == 2
    main, second = track.people
    assert (main.main, second.main) == (True, False)
    assert main.size > second.size
    assert track.quality.several_share == 1.0
    assert (track.points_T52[:, 2, 0] > 320).all(), "always the same person, on the right"


def test_who_comes_late_is_found_in_the_right_frame(
    tmp_path: Path, faces_of_two: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]
) -> None:
    one, _ = faces_of_two
    empty = [np.full_like(one[0], 90)] * 7
    (track,) = tracks(written(tmp_path / "late.mp4", [*empty, *one]))
    assert track.seen.tolist() == [False] * 7 + [True] * 13
    assert track.crop_frames_N.tolist() == list(range(7, 20))
    assert track.quality.share == pytest.approx(13 / 20)


def test_a_grey_video_is_no_hindrance(
    tmp_path: Path, faces_of_two: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]
) -> None:
    grey = [
        p.mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8) for p in faces_of_two[0]
    ]
    (track,) = tracks(written(tmp_path / "grey.mp4", grey))
    assert track.quality.share == 1.0
    assert track.quality.mean_score > 0.8


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_rotated_video_is_seen_upright(
    tmp_path: Path,
    faces_of_two: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]],
    quarter_turns: int,
) -> None:
    """A file with turned pictures whose header says how to show them."""
    turned = [np.rot90(p, -quarter_turns) for p in faces_of_two[0]]
    path = written(tmp_path / "turned.mp4", turned)
    source = dataclasses.replace(probe(path), rotation=90 * quarter_turns, width=320, height=180)
    (clip,) = read_video(source, SMALL, parts=[FACES])
    track = clip.parts[FACES]
    assert track.quality.share == 1.0
    x, y = track.points_T52[..., 0], track.points_T52[..., 1]
    assert (x[:, 0] < x[:, 1]).all()
    assert (y[:, :2].max(axis=1) < y[:, 2]).all()


def test_segments_do_not_depend_on_each_other() -> None:
    source = probe(real_video("talking"))
    together = list(read_video(source, SMALL, 5.0, [FACES]))
    (alone,) = read_clips(source, [together[1].segment], SMALL, [FACES])
    assert np.array_equal(alone.parts[FACES].crops_NHWC, together[1].parts[FACES].crops_NHWC)
    assert alone.parts[FACES].quality == together[1].parts[FACES].quality


def test_the_track_is_the_same_from_a_process_of_its_own(single: FaceTrack) -> None:
    source = probe(real_video("single_face"))
    clips: list[Clip] = list(isolated_video.read_video(source, SMALL, parts=[FACES]))
    there = clips[0].parts[FACES]
    assert np.array_equal(there.crops_NHWC, single.crops_NHWC)
    assert np.array_equal(there.points_T52, single.points_T52)
    assert (there.people, there.quality) == (single.people, single.quality)


def test_five_seconds_at_200_a_second_keep_few_pictures() -> None:
    """Memory is bounded by the block between two looks, not by the segment."""
    picture = real_frames("single_face", 1)[0]
    large = np.asarray(cv2.resize(picture, (1280, 720)), dtype=np.uint8)
    source = dataclasses.replace(probe(real_video("single_face")), width=1280, height=720)
    collector = FACES.begin(source, 0.0)
    held = 0
    for frame in repeated(large, 120, 200):
        collector.see(frame)
        held = max(held, sum(moment.picture_HWC.nbytes for moment in collector._block))
    track = collector.finish(0.6)
    assert held <= (64 << 20) + large.nbytes
    assert track.crops_NHWC.shape == (120, 128, 128, 3)


def repeated(picture_HWC: NDArray[np.uint8], count: int, rate: int) -> Iterator[TimedFrame]:
    shown = av.VideoFrame.from_ndarray(picture_HWC, format="rgb24").reformat(format="yuv420p")
    for index in range(count):
        yield TimedFrame(Fraction(1, rate), index, index, 1, shown)

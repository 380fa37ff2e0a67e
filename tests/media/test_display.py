"""Pictures are shown as ffmpeg shows them, in frames, thumbnails, crops and clip files."""

import struct
from pathlib import Path

import numpy as np
import pytest
from made_videos import Made, number_of, regular, write
from numpy.typing import NDArray
from shown_files import ORIENTATIONS, QUADRANTS, anamorphic, circle, four_colours, hdr, joined
from shown_files import turned as turned_file
from wheel_ffmpeg import run_ffmpeg, shown_frames

from mllm_affect.media.export.clip_files import write_clips
from mllm_affect.media.face.part import FacePart
from mllm_affect.media.isolation import isolated_video
from mllm_affect.media.looking import timeline_of
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips, read_video
from mllm_affect.media.sampling.thumbnail import Thumbnail
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Clip, Sampling, Source
from tests.real_videos import real_video

SAMPLING = Sampling(fps=2.0, max_pixels=448 * 256)


def clips_of(source: Source, *parts: object) -> list[Clip]:
    return list(read_video(source, SAMPLING, parts=parts))


def clip_files(source: Source, folder: Path) -> list[Path]:
    return write_clips(source, segment(source), folder / "clips", trusted=True)


def quadrants(picture_HWC: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    """The nearest of QUADRANTS in the middle of each quarter: top left, top right, bottom."""
    height, width, _ = picture_HWC.shape
    middles = [
        picture_HWC[height * down // 4, width * across // 4].astype(int)
        for down in (1, 3)
        for across in (1, 3)
    ]
    return [min(QUADRANTS, key=lambda one: abs(colour - one).sum()) for colour in middles]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_is_shown_as_ffmpeg_shows_it(orientation: str, tmp_path: Path) -> None:
    path = turned_file(tmp_path, orientation)
    source = probe(path)
    turned = "90" in orientation or "270" in orientation
    assert (source.width, source.height) == ((64, 128) if turned else (128, 64))
    reference = quadrants(shown_frames(path, source.width, source.height)[0])
    (clip,) = clips_of(source, Thumbnail())
    assert quadrants(clip.frames_THWC[0]) == reference
    assert quadrants(clip.parts[Thumbnail()]) == reference
    (file,) = clip_files(source, tmp_path)
    assert quadrants(shown_frames(file, source.width, source.height)[0]) == reference
    written = probe(file)
    assert (written.width, written.height) == (source.width, source.height)
    assert (written.rotation, written.mirrored) == (0, False)


def test_the_orientations_are_all_eight(tmp_path: Path) -> None:
    found = set()
    for orientation in ORIENTATIONS:
        source = probe(turned_file(tmp_path, orientation))
        found.add((source.rotation, source.mirrored))
    assert len(found) == 8


def test_a_mirrored_photo_is_shown_as_its_exif_says(tmp_path: Path) -> None:
    from PIL import Image

    from mllm_affect.media.images.folder import ImageFolder, write_images

    four_colours(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 5  # mirrored along the falling diagonal
    with Image.open(tmp_path / "quad.png") as picture:
        picture.save(tmp_path / "quad.jpg", exif=exif, quality=95)
    write_images(ImageFolder(tmp_path / "quad.jpg"), tmp_path / "quad.mov")
    source = isolated_video.probe(tmp_path / "quad.mov")
    (clip,) = clips_of(source)
    red, green, blue, white = QUADRANTS
    assert quadrants(clip.frames_THWC[0]) == [red, blue, green, white]


def test_a_mirrored_face_is_found_where_it_is_shown(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.mp4", tmp_path / "mirrored.mp4"
    run_ffmpeg("-t", "1", "-i", str(real_video("wide")), "-c", "copy", "-an", str(plain))
    run_ffmpeg("-display_hflip:v:0", "-i", str(plain), "-c", "copy", str(path))
    part = FacePart()
    (straight,), (mirrored,) = (clips_of(probe(one), part) for one in (plain, path))
    one, other = straight.parts[part], mirrored.parts[part]
    assert one.seen.all()
    assert other.seen.all()
    flipped_T4 = one.boxes_T4[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [640, 0, 640, 0]
    assert np.abs(flipped_T4 - other.boxes_T4).max() < 12
    upright = abs(one.crops_NHWC.mean() - other.crops_NHWC.mean())
    assert upright < 3
    assert difference(one.crops_NHWC[0, :, ::-1], other.crops_NHWC[0]) < difference(
        one.crops_NHWC[0], other.crops_NHWC[0]
    )


def test_a_tilted_video_is_shown_at_the_nearest_quarter_turn_and_says_so(tmp_path: Path) -> None:
    flat, path = four_colours(tmp_path), tmp_path / "tilted.mp4"
    run_ffmpeg("-display_rotation:v:0", "70", "-i", str(flat), "-c", "copy", str(path))
    source = probe(path)
    assert source.rotation == 90
    assert [one.code for one in source.warnings] == ["tilted"]


def round_shape(picture_HWC: NDArray[np.uint8]) -> float:
    """Width over height of what is white."""
    rows, columns = np.nonzero(picture_HWC.mean(axis=2) > 128)
    return (np.ptp(columns) + 1) / (np.ptp(rows) + 1)


IN_CODEC = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
ASPECTS = {
    "both say so": (720, 576, "64/45", IN_CODEC, "mp4", (1024, 576)),
    "codec alone": (720, 576, "64/45", IN_CODEC, "mov", (1024, 576)),
    "container alone": (720, 576, "64/45", ("-c:v", "ffv1"), "mkv", (1024, 576)),
    "narrow pixels": (640, 288, "4/5", IN_CODEC, "mp4", (640, 360)),
}


@pytest.mark.parametrize("kind", ASPECTS)
def test_pixels_are_shown_square(kind: str, tmp_path: Path) -> None:
    width, height, aspect, coding, suffix, size = ASPECTS[kind]
    path = circle(tmp_path, f"scale={width}:{height},setsar={aspect}", *coding, suffix=suffix)
    if kind == "codec alone":
        path.write_bytes(path.read_bytes().replace(b"pasp", b"free"))
    source = probe(path)
    assert (source.width, source.height) == size
    (clip,) = clips_of(source, Thumbnail(max_pixels=640 * 384))
    shown_aspect = clip.frames_THWC.shape[2] / clip.frames_THWC.shape[1] / (size[0] / size[1])
    assert round_shape(clip.frames_THWC[0]) / shown_aspect == pytest.approx(
        round_in(path, size), abs=0.03
    )
    (file,) = clip_files(source, tmp_path)
    assert (probe(file).width, probe(file).height) == size
    assert round_shape(shown_frames(file, *size)[0]) == pytest.approx(
        round_in(path, size), abs=0.02
    )


def round_in(path: Path, size: tuple[int, int]) -> float:
    return round_shape(shown_frames(path, *size)[0])


def test_a_circle_of_a_broadcast_is_round(tmp_path: Path) -> None:
    source = probe(anamorphic(tmp_path))
    part = Thumbnail(max_pixels=1024 * 576)
    (clip,) = clips_of(source, part)
    assert clip.parts[part].shape[:2] == (576, 1024)
    assert round_shape(clip.parts[part]) == pytest.approx(1.0, abs=0.01)


def test_turned_pixels_are_widened_before_they_are_turned(tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation:v:0", "90", "-i", str(anamorphic(tmp_path)), "-c", "copy",
               str(path))  # fmt: skip
    source = probe(path)
    assert (source.width, source.height) == (576, 1024)
    (file,) = clip_files(source, tmp_path)
    assert round_shape(shown_frames(file, 576, 1024)[0]) == pytest.approx(1.0, abs=0.01)


def test_pixels_of_an_impossible_shape_are_read_as_square(tmp_path: Path) -> None:
    path = tmp_path / "absurd.mp4"
    content = anamorphic(tmp_path).read_bytes()
    at = content.index(b"pasp")
    path.write_bytes(content[: at + 4] + struct.pack(">II", 30_000, 1) + content[at + 12 :])
    source = probe(path)
    assert (source.width, source.height, source.pixel_aspect) == (720, 576, 1.0)
    assert [one.code for one in source.warnings] == ["pixel_aspect"]
    assert clips_of(source)[0].segment.warnings == source.warnings


@pytest.mark.parametrize("transfer", ["arib-std-b67", "smpte2084"])
def test_high_dynamic_range_is_shown_near_its_original(transfer: str, tmp_path: Path) -> None:
    path = hdr(tmp_path, transfer)
    original = shown_frames(real_video("wide"), 448, 256)[:12].mean(axis=(0, 1, 2))
    mapped = (
        "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,"
        "tonemap=tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,scale=448:256"
    )
    raw = run_ffmpeg("-i", str(path), "-frames:v", "1", "-vf", mapped,
                     "-pix_fmt", "rgb24", "-f", "rawvideo", "-")  # fmt: skip
    reference_HWC = np.frombuffer(raw, dtype=np.uint8).reshape(256, 448, 3)
    source = probe(path)
    (clip,) = clips_of(source)
    assert difference(clip.frames_THWC[0], reference_HWC) < 3
    assert clip.frames_THWC.mean(axis=(0, 1, 2)) == pytest.approx(original, abs=3)
    (file,) = clip_files(source, tmp_path)
    assert difference(shown_frames(file, 448, 256)[0], reference_HWC) < 3
    assert probe(file).hdr is None
    assert [one.code for one in clip.segment.warnings] == ["hdr"]


def with_faces(clips: list[Clip]) -> list[float]:
    part = FacePart(crop_size=0)
    return [clip.parts[part].quality.share for clip in clips]


def test_a_size_that_changes_keeps_the_aspect(tmp_path: Path) -> None:
    """Two seconds of 640x360, two of 360x640, two of 320x180."""
    source = probe(joined(tmp_path, ("640x360", "360x640", "320x180")))
    part = FacePart(crop_size=0)
    segments = segment(source, 2.0)
    clips = list(read_clips(source, segments, SAMPLING, [part]))
    assert with_faces(clips) == [1.0, 1.0, 1.0]
    wide, narrow, small = (clip.frames_THWC[1] for clip in clips)
    assert borders(wide) == borders(small) == 0
    assert borders(narrow) == pytest.approx(1 - (360 / 640) ** 2, abs=0.02)
    boxes_T4 = clips[1].parts[part].boxes_T4
    assert (boxes_T4[:, 0] > 320 - 101).all()
    assert (boxes_T4[:, 2] < 320 + 101).all()
    sides_T2 = boxes_T4[:, 2:] - boxes_T4[:, :2]
    assert 1.0 < (sides_T2[:, 1] / sides_T2[:, 0]).mean() < 1.7, "a face is higher than wide"
    assert difference(small, wide) < 12
    said = [[one.code for one in part.warnings] for part in segments]
    assert said == [[], ["borders"], []]
    assert [clip.segment for clip in clips] == list(segments)
    assert [clip.segment for clip in read_video(source, SAMPLING, 2.0)] == list(segments)


def borders(picture_HWC: NDArray[np.uint8]) -> float:
    """The share of columns that are black."""
    return float((picture_HWC.max(axis=(0, 2)) < 24).mean())


def test_clip_files_keep_the_aspect_where_the_size_changes(tmp_path: Path) -> None:
    source = probe(joined(tmp_path, ("640x360", "360x640"), seconds=1.0))
    clips = list(read_clips(source, segment(source), Sampling(fps=24.0), ()))
    (file,) = clip_files(source, tmp_path)
    frames = shown_frames(file, 448, 256)
    assert len(frames) == 48
    for shown_HWC, read_HWC in zip(frames[::12], clips[0].frames_THWC[::12], strict=True):
        assert difference(shown_HWC, read_HWC) < 4


def test_a_size_that_changes_within_h264_is_noticed(tmp_path: Path) -> None:
    """Its packets look alike; only their parameter sets tell."""
    parts = []
    for number, (width, height) in enumerate(((160, 96), (96, 160))):
        made = Made(regular(25, 25), width=width, height=height)
        parts.append(write(tmp_path / f"{number}.mp4", made))
    raw = [tmp_path / f"{number}.h264" for number in range(2)]
    for part, stream in zip(parts, raw, strict=True):
        run_ffmpeg("-i", str(part), "-c", "copy", "-bsf:v", "h264_mp4toannexb", str(stream))
    joined_h264, path = tmp_path / "joined.h264", tmp_path / "joined.mkv"
    joined_h264.write_bytes(b"".join(one.read_bytes() for one in raw))
    run_ffmpeg("-framerate", "25", "-i", str(joined_h264), "-c", "copy",
               "-bsf:v", "setts=ts=N/25/TB", str(path))  # fmt: skip
    source = probe(path)
    assert timeline_of(source, lambda _packet: None) is None
    (one,) = segment(source)
    assert (one.num_frames, [warning.code for warning in one.warnings]) == (50, ["borders"])
    (clip,) = clips_of(source)
    assert borders(clip.frames_THWC[-1]) > 0.5


def test_repeated_parameters_change_nothing(tmp_path: Path) -> None:
    made = Made(regular(60, 25), options={"preset": "ultrafast", "bf": "0", "g": "20"})
    plain, path = write(tmp_path / "plain.mp4", made), tmp_path / "repeated.mkv"
    raw = tmp_path / "raw.h264"
    run_ffmpeg("-i", str(plain), "-c", "copy", str(raw))
    run_ffmpeg("-framerate", "25", "-i", str(raw), "-c", "copy", "-bsf:v", "setts=ts=N/25/TB",
               str(path))  # fmt: skip
    source = probe(path)
    assert timeline_of(source, lambda _packet: None) is not None
    assert [number_of(frame) for frame in clips_of(source)[0].frames_THWC][:3] == [0, 12, 25]


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference of two pictures."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())

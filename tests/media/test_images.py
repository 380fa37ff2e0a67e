"""Folders of images are videos: same reader, exact pictures, the rate that was told."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file
from mllm_affect.media.images.folder import ImageFolder, video_file, write_images
from mllm_affect.media.images.naming import natural_sort
from mllm_affect.media.images.still import read_still
from mllm_affect.media.limits import Limits
from mllm_affect.media.sampling.policy import MotionPeak
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.media.video import open_video

SAMPLING = Sampling(fps=10.0, max_pixels=64 * 64)


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """Smooth noise, so that JPEG keeps it nearly."""
    coarse_HWC = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse_HWC).resize(size)


def write_folder(
    folder: Path, count: int = 12, suffix: str = ".png", mode: str = "RGB", begin: int = 7
) -> list[NDArray[np.uint8]]:
    """Write images named without leading zeros; return them as HWC uint8 RGB, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        whole = {"subsampling": 0, "quality": 95} if suffix == ".jpg" else {}
        picture(number).convert(mode).save(folder / f"img{begin + number}{suffix}", **whole)
    opened = (Image.open(folder / f"img{begin + n}{suffix}") for n in range(count))
    return [np.asarray(image.convert("RGB")) for image in opened]


def read(
    video: ImageFolder | Path, sampling: Sampling = SAMPLING, trusted: bool = True
) -> list[Clip]:
    with open_video(video, trusted=trusted) as opened:
        return list(opened.read(sampling))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pictures_come_out_as_they_are_in_natural_order(
    suffix: str, mode: str, tmp_path: Path
) -> None:
    shown = write_folder(tmp_path / "clip", suffix=suffix, mode=mode)
    (clip,) = read(ImageFolder(tmp_path / "clip", 10.0))
    assert len(clip.frames_THWC) == 12
    allowed = 3 if suffix == ".jpg" else 0  # decoders of JPEG may round differently
    for frame_HWC, expected_HWC in zip(clip.frames_THWC, shown, strict=True):
        assert np.abs(frame_HWC.astype(int) - expected_HWC).max() <= allowed
    if mode == "L":
        assert (clip.frames_THWC[..., :1] == clip.frames_THWC).all(), "three equal channels"
    assert clip.audio_S is None


@pytest.mark.parametrize("fps", [25.0, 29.97, 30.0, 100.0, 200.0])
def test_times_follow_the_rate_and_segments_the_bound(fps: float, tmp_path: Path) -> None:
    count = round(fps * 1.2)
    write_folder(tmp_path / "clip", count)
    with open_video(ImageFolder(tmp_path / "clip", fps), trusted=True) as video:
        segments = video.segment(max_seconds=0.5)
        assert video.frame_times() == pytest.approx(np.arange(count) / fps, abs=1e-9)
        assert video.source.average_fps == pytest.approx(fps)
    assert sum(part.num_frames for part in segments) == count
    assert all(part.duration_s <= 0.5 + 1e-9 for part in segments)
    assert segments[-1].end_s == pytest.approx(count / fps)


def test_a_process_of_its_own_reads_the_same(tmp_path: Path) -> None:
    write_folder(tmp_path / "clip")
    for sampling in (SAMPLING, Sampling(2.0, 4096, MotionPeak(count=4, rate=10))):
        here, apart = (
            read(ImageFolder(tmp_path / "clip", 20.0), sampling, trusted)
            for trusted in (True, False)
        )
        for one, other in zip(here, apart, strict=True):
            assert one.segment == other.segment
            assert np.array_equal(one.frames_THWC, other.frames_THWC)


def test_one_image_needs_no_rate(tmp_path: Path) -> None:
    shown = write_folder(tmp_path / "clip", 1)
    for path in (tmp_path / "clip", tmp_path / "clip/img7.png"):
        (clip,) = read(path)
        assert np.array_equal(clip.frames_THWC[0], shown[0])
        assert clip.segment.duration_s == 1.0


def test_the_hash_is_of_pictures_order_and_rate(tmp_path: Path) -> None:
    def digest(folder: str, fps: float) -> str:
        write_images(ImageFolder(tmp_path / folder, fps), tmp_path / "made")
        return sha256_file(tmp_path / "made")

    write_folder(tmp_path / "a")
    write_folder(tmp_path / "b", begin=95)
    first = digest("a", 30.0)
    assert first == digest("a", 30.0)
    assert first == digest("b", 30.0), "names only say the order"
    assert first != digest("a", 25.0)
    (tmp_path / "b/img95.png").rename(tmp_path / "b/img999.png")
    assert first != digest("b", 30.0)


def test_hidden_files_and_notes_are_no_frames(tmp_path: Path) -> None:
    write_folder(tmp_path / "clip", 3)
    for name in ("._img1.png", "Thumbs.db", "notes.txt"):
        (tmp_path / "clip" / name).write_bytes(b"nothing")
    (tmp_path / "clip/more.png").mkdir()
    (clip,) = read(ImageFolder(tmp_path / "clip", 10.0))
    assert clip.segment.num_frames == 3
    assert [path.name for path in natural_sort(map(Path, ("b2", "b10", "b1", "a")))] == [
        "a", "b1", "b2", "b10",
    ]  # fmt: skip


def add(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def coded(kind: str, size: tuple[int, int] = (64, 64)) -> bytes:
    written = BytesIO()
    picture(0, size).save(written, kind)
    return written.getvalue()


BAD = {
    "another size": (add("img99.png", coded("PNG", (64, 32))), 10.0, "mixed_images"),
    "another kind": (add("img99.jpg", coded("JPEG")), 10.0, "mixed_images"),
    "text": (add("img99.png", b"nothing of the kind"), 10.0, "unsupported_image"),
    "cut off in its header": (add("img99.png", coded("PNG")[:18]), 10.0, "unsupported_image"),
    "a JPEG without a frame": (add("img99.jpg", b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff"), 10.0,
                               "unsupported_image"),
    "a BMP cut off": (add("img99.bmp", coded("BMP")[:500]), 10.0, "unsupported_image"),
    "an empty file": (add("img99.png", b""), 10.0, "empty_file"),
    "no rate": (lambda _folder: None, None, "no_image_rate"),
    "a rate of nothing": (lambda _folder: None, 0.0, "bad_image_rate"),
    "no rate at all": (lambda _folder: None, float("nan"), "bad_image_rate"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_clip_is_refused(kind: str, tmp_path: Path) -> None:
    change, fps, code = BAD[kind]
    write_folder(tmp_path / "clip", 3)
    change(tmp_path / "clip")
    with pytest.raises(UserError) as caught:
        read(ImageFolder(tmp_path / "clip", fps))
    assert caught.value.code == code
    assert str(tmp_path / "mllm") not in caught.value.sentence


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.bmp") as caught:
        read(tmp_path)
    assert caught.value.code == "no_images"


def test_links_among_a_stranger_s_images_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "clip", 2)
    (tmp_path / "clip/img5.png").symlink_to(tmp_path / "clip/img7.png")
    assert len(read(ImageFolder(tmp_path / "clip", 2.0))[0].frames_THWC) > 2
    with pytest.raises(UserError) as caught:
        read(ImageFolder(tmp_path / "clip", 2.0), trusted=False)
    assert caught.value.code == "symbolic_link"


@pytest.mark.parametrize(
    ("limits", "code"),
    [(Limits(frames=2), "video_too_long"), (Limits(bytes=200), "file_too_large")],
)
def test_limits_hold_for_images_too(limits: Limits, code: str, tmp_path: Path) -> None:
    write_folder(tmp_path / "clip", 3)
    with pytest.raises(UserError) as caught, video_file(tmp_path / "clip", 10.0, limits):
        pass
    assert caught.value.code == code


@pytest.mark.parametrize("bits", ["8", "24", "32", "top down"])
def test_every_plain_bmp_is_read_exactly(bits: str) -> None:
    image = picture(3, (31, 9)).convert({"8": "P", "32": "RGBA"}.get(bits, "RGB"))
    written = BytesIO()
    image.save(written, "BMP")
    content = bytearray(written.getvalue())
    expected_HWC = np.asarray(Image.open(written).convert("RGB"))
    if bits == "top down":
        content[22:26] = (-9).to_bytes(4, "little", signed=True)
        expected_HWC = expected_HWC[::-1]
    still = read_still(bytes(content), "x.bmp")
    assert (still.codec, still.width, still.height) == ("png", 31, 9)
    found_HWC = np.asarray(Image.open(BytesIO(still.content)).convert("RGB"))
    assert np.array_equal(found_HWC, expected_HWC)


def test_headers_of_noise_never_crash() -> None:
    random = np.random.default_rng(1)
    for begin in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM", b""):
        for length in range(0, 400, 7):
            content = begin + random.integers(0, 256, length, dtype=np.uint8).tobytes()
            with suppress(UserError):
                read_still(content, "x")


def test_the_command_line_cuts_a_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "clip", 30)
    words = ["segment", str(tmp_path / "clip"), "--max-seconds", "1", "--json"]
    refused = CliRunner().invoke(app, words)
    assert (refused.exit_code, "--image-fps" in refused.output) == (2, True)
    done = CliRunner().invoke(
        app, [*words, "--image-fps", "20", "--out", str(tmp_path / "out"), "--clips"]
    )
    assert done.exit_code == 0, done.output
    assert '"source": "clip"' in done.output
    assert done.output.count('"index"') == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clip-0000.mp4", "clip-0001.mp4", "segments.jsonl",
    ]  # fmt: skip

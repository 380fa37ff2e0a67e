"""Files that are no videos: one clear sentence with a stable code, and nothing written."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from made_videos import Made, regular, write
from typer.testing import CliRunner
from wheel_ffmpeg import run_ffmpeg

from mllm_affect.cli.app import app
from mllm_affect.errors import UserError
from mllm_affect.media.limits import Limits
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling


def a_video(path: Path) -> Path:
    return write(path, Made(regular(50, 25), (Fraction(0), Fraction(2))))


def cut_short(path: Path) -> None:
    a_video(path)
    path.write_bytes(path.read_bytes()[:2_000])


def sound_alone(path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-f", "mp4", str(path))


def without_frames(path: Path) -> None:
    video = a_video(path.with_name("whole.mkv"))
    run_ffmpeg(
        "-i", str(video), "-c", "copy", "-bsf:v", "noise=drop=1", "-f", "matroska", str(path)
    )


def playlist(path: Path) -> None:
    other = a_video(path.with_name("other.mp4"))
    path.write_text(f"ffconcat version 1.0\nfile {other}\n", encoding="utf-8")


def stream_list(path: Path) -> None:
    other = a_video(path.with_name("other.mp4"))
    path.write_text(f"#EXTM3U\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n", encoding="utf-8")


def picture(path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1", "-f", "image2", str(path))


CASES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("file_not_found", lambda path: None),
    "folder": ("not_a_file", lambda path: path.mkdir()),
    "empty": ("empty_file", lambda path: path.write_bytes(b"")),
    "text": ("unsupported_container", lambda path: path.write_text("Dear diary, " * 20)),
    "cut short": ("unreadable_video", cut_short),
    "sound alone": ("no_video", sound_alone),
    "no frames": ("no_frames", without_frames),
    "playlist": ("unsupported_container", playlist),
    "stream list": ("unsupported_container", stream_list),
    "picture": ("unsupported_container", picture),
    "header only": ("unreadable_video", lambda path: path.write_bytes(b"\0\0\0\x18ftypmp42" * 9)),
}


@pytest.fixture(params=sorted(CASES))
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    code, make = CASES[request.param]
    path = tmp_path / "bad.mp4"
    make(path)
    return code, path


def test_reading_refuses_with_a_code_and_a_sentence(bad: tuple[str, Path]) -> None:
    code, path = bad
    with pytest.raises(UserError) as caught:
        segment(probe(path))
    assert caught.value.code == code
    assert "bad.mp4" in str(caught.value)
    assert str(caught.value).endswith((".", "says."))


def test_the_verb_ends_with_two_and_writes_nothing(bad: tuple[str, Path], tmp_path: Path) -> None:
    code, path = bad
    words = ["segment", str(path), "--out", str(tmp_path / "out"), "--clips", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    told = "no_images" if path.is_dir() else code  # the verb takes folders of images
    assert json.loads(line)["error"]["code"] == told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(bytes=100), "file_too_large"),
        (Limits(seconds=1.0), "video_too_long"),
        (Limits(frames=10), "video_too_long"),
        (Limits(pixels=64), "frame_too_large"),
        (Limits(side=64), "frame_too_large"),
        (Limits(samples_per_second=16_000), "audio_too_large"),
        (Limits(frames_per_second=5.0), "frame_rate_too_high"),
        (Limits(streams=1), "too_many_streams"),
    ],
)
def test_each_limit_has_its_code(limits: Limits, code: str, tmp_path: Path) -> None:
    path = a_video(tmp_path / "fine.mp4")
    probe(path)
    with pytest.raises(UserError) as caught:
        probe(path, limits)
    assert caught.value.code == code


def test_codecs_outside_the_list_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.avi"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=1", "-c:v", "huffyuv", str(path))
    with pytest.raises(UserError, match="huffyuv") as caught:
        probe(path)
    assert caught.value.code == "unsupported_codec"
    path = tmp_path / "odd.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=1", "-f", "lavfi", "-i", "sine=d=1",
               "-c:v", "libx264", "-c:a", "wmav2", str(path))  # fmt: skip
    with pytest.raises(UserError, match="wmav2") as caught:
        probe(path)
    assert caught.value.code == "unsupported_codec"


def test_broken_packets_in_the_middle_lose_frames_and_not_the_video(tmp_path: Path) -> None:
    path = write(tmp_path / "hurt.mkv", Made(regular(250, 25), (Fraction(0), Fraction(10))))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(bytes(content))
    source = probe(path)
    parts = segment(source)
    clips = list(read_clips(source, parts, Sampling(fps=4.0, max_pixels=8192)))
    assert [clip.segment for clip in clips] == list(parts)
    assert sum(part.num_frames for part in parts) > 100
    assert all(part.duration_s <= 5.0 for part in parts)

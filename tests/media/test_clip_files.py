"""Clip files hold exactly their segment, and nothing is left when one cannot be written."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kinds import make_kind
from made_videos import number_of, onsets
from read_video import MadeVideo
from wheel_ffmpeg import shown_frames

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file
from mllm_affect.media.export import clip_files
from mllm_affect.media.export.clip_files import write_clips
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling
from mllm_affect.media.video import open_video

KINDS = (
    "NTSC 29.97",
    "film 23.976",
    "B-frames",
    "B-frames in mkv",
    "non-zero start",
    "variable rate",
    "variable rate in mp4",
    "odd sizes",
    "avi",
    "one frame",
    "audio starts late",
    "mirrored",
    "narrow pixels",
    "picture and silence first",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_holds_exactly_the_frames_of_its_segment(kind: str, tmp_path: Path) -> None:
    path, made = make_kind(kind, tmp_path)
    source = probe(path)
    parts = segment(source)
    paths = write_clips(source, parts, tmp_path / "clips")
    assert [p.name for p in paths] == [f"clip-{index:04d}.mp4" for index in range(len(parts))]
    numbers = [[number_of(frame) for frame in shown_frames(path, 104, 48)] for path in paths]
    assert numbers == [
        list(range(part.first_frame, part.first_frame + part.num_frames)) for part in parts
    ]
    assert sum(map(len, numbers)) == len(made.times_s)
    assert sha256_file(path) == source.sha256
    for part, clip_path in zip(parts, paths, strict=True):
        assert probe(clip_path).has_audio == part.has_audio


def test_the_sound_of_a_clip_belongs_to_it(plain: MadeVideo, tmp_path: Path) -> None:
    paths = write_clips(plain.source, plain.segments, tmp_path / "clips")
    heard = []
    for part, path in zip(plain.segments, paths, strict=True):
        source = probe(path)
        for clip in read_clips(source, segment(source), Sampling(fps=2.0)):
            if clip.audio_S is not None:
                heard += [part.start_s + clip.segment.start_s + o for o in onsets(clip.audio_S)]
    assert heard == pytest.approx([float(click) for click in plain.made.clicks_s], abs=0.025)


def test_progress_counts_the_clips(plain: MadeVideo, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_clips(
        plain.source, plain.segments, tmp_path, lambda done, all_: seen.append((done, all_))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_what_came_out_wrong_is_not_kept(
    plain: MadeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def without_the_last_two(path: Path, trusted: bool) -> Iterator[object]:
        with open_video(path, trusted=True) as video:
            (whole,) = video.segment()
            video.segment = lambda: (replace(whole, num_frames=whole.num_frames - 2),)
            yield video

    monkeypatch.setattr(clip_files, "open_video", without_the_last_two)
    with pytest.raises(UserError) as caught:
        write_clips(plain.source, plain.segments, tmp_path / "clips")
    assert caught.value.code == "clip_failed"
    assert list((tmp_path / "clips").iterdir()) == []


def test_a_source_that_breaks_midway_leaves_whole_clips_only(
    plain: MadeVideo, tmp_path: Path
) -> None:
    plain.path.write_bytes(plain.path.read_bytes()[: plain.source.size_bytes // 3])
    with pytest.raises(UserError) as caught:
        write_clips(plain.source, plain.segments, tmp_path / "clips")
    assert caught.value.code in {"clip_failed", "unreadable_video"}
    assert list(tmp_path.glob("clips/*")) == []

"""Made clips as files: the reader gets from them what training drew."""

from pathlib import Path

import numpy as np
import pytest

from mllm_affect.data.examples import read_examples
from mllm_affect.data.made.clips import make_clip, make_model_clip, plan_clips
from mllm_affect.data.made.folders import (
    ambivalent_spans,
    make_folders,
    make_long_video,
    write_clip_file,
)
from mllm_affect.errors import UserError
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.media.types import Sampling

SAMPLING = Sampling(fps=4.0, max_pixels=64 * 64)


def test_a_file_reads_like_the_clip_in_memory(tmp_path: Path) -> None:
    for spec in plan_clips(4, "test", 8):
        path = tmp_path / "clip.mp4"
        write_clip_file(make_clip(spec), path)
        source = probe(path)
        segments = segment(source)
        assert len(segments) == 1
        assert segments[0].duration_s == pytest.approx(spec.duration_s, abs=1e-3)
        (clip,) = read_clips(source, segments, SAMPLING)
        frames_THWC, audio_S, _ = make_model_clip(spec, 4.0, 64)
        assert clip.frames_THWC.shape == frames_THWC.shape
        assert np.abs(clip.frames_THWC.astype(int) - frames_THWC).mean() < 6.0
        assert clip.audio_S is not None
        assert clip.audio_S.shape == audio_S.shape
        assert np.corrcoef(clip.audio_S, audio_S)[0, 1] > 0.98


def test_a_folder_is_labelled_and_the_same_every_time(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = make_folders(
        tmp_path / "a", {"train": 4, "test": 4}, 3, lambda done, total: seen.append((done, total))
    )
    make_folders(tmp_path / "b", {"train": 4, "test": 4}, 3)
    examples = read_examples(tmp_path / "a")
    assert examples == made == read_examples(tmp_path / "b")
    assert seen[-1] == (8, 8)
    assert [example.labels["ah"] for example in examples].count("yes") == 4
    people = {
        split: {name for e in examples if e.split == split for name in (e.participant, e.voice)}
        for split in ("train", "test")
    }
    assert not people["train"] & people["test"]
    for example in examples:
        first, again = tmp_path / "a" / example.video, tmp_path / "b" / example.video
        assert first.read_bytes() == again.read_bytes()


def test_nothing_is_written_into_a_folder_in_use_or_for_a_bad_count(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError) as used:
        make_folders(tmp_path, {"train": 4}, 0)
    assert used.value.code == "not_empty"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(UserError) as count:
        make_folders(tmp_path / "new", {"train": 5}, 0)
    assert count.value.code == "bad_count"
    assert not (tmp_path / "new").exists()


def test_a_long_video_says_where_it_is_ambivalent(tmp_path: Path) -> None:
    long = make_long_video(tmp_path / "long.mp4", seed=1)
    source = probe(long.path)
    segments = segment(source)
    assert [round(item.start_s, 3) for item in segments] == [0.0, 5.0, 10.0, 15.0]
    assert len({(spec.face, spec.voice, spec.light) for spec in long.specs}) == 1
    assert sum(end - start for start, end in long.spans_s) == pytest.approx(10.0)
    for spec, item in zip(long.specs, segments, strict=True):
        middle = (item.start_s + item.end_s) / 2
        assert spec.ambivalent == any(start < middle < end for start, end in long.spans_s)


def test_touching_spans_are_one() -> None:
    specs = sorted(plan_clips(4, "test", 2), key=lambda spec: spec.ambivalent)
    (span,) = ambivalent_spans(specs)
    assert span[1] == pytest.approx(sum(spec.duration_s for spec in specs))

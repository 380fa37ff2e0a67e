"""From labelled videos to rows: what serving would see, complete, leak-free, resumable."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.prepare import Preparation, prepare_rows
from finetune.progress import Progress
from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.made.folders import write_video
from mllm_affect.errors import UserError
from mllm_affect.files import read_jsonl
from mllm_affect.media.cache import ClipCache
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.prompts import load_task

SAMPLING = Sampling(fps=4.0, max_pixels=64 * 64)


def preparation(*tasks: str, split: str = "train") -> Preparation:
    return Preparation(tuple(map(load_task, tasks or ("ah",))), SAMPLING, split, max_seconds=5.0)


def write_clip(path: Path, seconds: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames_THWC = random.integers(0, 256, (round(seconds * 12), 128, 128, 3), dtype=np.uint8)
    audio_S = random.normal(0, 2000, round(seconds * 16_000)).astype(np.int16)
    write_video(frames_THWC, audio_S, path)


def example(number: int, split: str = "train", **changes: Any) -> Example:
    fields = {
        "video": f"videos/{number}.mp4",
        "participant": f"p{number}",
        "split": split,
        "labels": {"ah": "yes" if number % 2 else "no"},
    }
    return Example.model_validate(fields | changes)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number, seconds in enumerate((1.0, 6.0, 2.0)):
        write_clip(folder / f"videos/{number}.mp4", seconds, number)
    return folder


def test_every_segment_of_the_split_becomes_a_row(clips: Path, tmp_path: Path) -> None:
    write_examples(clips, [example(0), example(1), example(2, "test")])
    seen: list[Progress] = []
    manifest = prepare_rows(clips, preparation(), tmp_path, seen.append)
    rows = read_jsonl(tmp_path / "rows.jsonl")
    assert [row["messages"][-1]["content"] for row in rows] == ["no", "yes", "yes"]
    assert manifest["rows"] == manifest["segments"] == 3
    assert manifest["answers"] == {"no": 1, "yes": 2}
    assert manifest["videos_by_split"] == {"test": 1, "train": 2}
    assert manifest["tasks"] == {"ah": load_task("ah").prompt_hash}
    assert [(item.done, item.total) for item in seen] == [(0, 2), (1, 2), (2, 2)]


def test_rows_hold_what_serving_reads(clips: Path, tmp_path: Path) -> None:
    from PIL import Image

    from mllm_affect.media.probe import probe
    from mllm_affect.media.reader import read_clips
    from mllm_affect.media.segment import segment

    write_examples(clips, [example(1)])
    prepare_rows(clips, preparation(), tmp_path)
    source = probe(clips / "videos/1.mp4")
    served = list(read_clips(source, segment(source), SAMPLING))
    rows = read_jsonl(tmp_path / "rows.jsonl")
    assert len(rows) == len(served) == 2
    for row, clip in zip(rows, served, strict=True):
        frames = [np.asarray(Image.open(tmp_path / name)) for name in row["videos"][0]]
        np.testing.assert_array_equal(np.stack(frames), clip.frames_THWC)


def test_preparing_again_gives_the_same_without_decoding(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_examples(clips, [example(0), example(2)])
    first = prepare_rows(clips, preparation(), tmp_path)
    monkeypatch.setattr("finetune.prepare.read_cached", None)
    assert prepare_rows(clips, preparation(), tmp_path) == first
    write_examples(clips, [example(0, labels={"ah": "yes"}), example(2)])
    relabelled = prepare_rows(clips, preparation(), tmp_path)
    assert relabelled["answers"] == {"no": 1, "yes": 1}


def test_cached_clips_make_the_same_rows_without_decoding(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_examples(clips, [example(0), example(1)])
    cache = ClipCache.open(tmp_path / "cache")
    plain = prepare_rows(clips, preparation(), tmp_path / "plain")
    assert prepare_rows(clips, preparation(), tmp_path / "filling", cache=cache) == plain
    monkeypatch.setattr("mllm_affect.media.isolation.isolated_video.IsolatedVideo.read", None)
    assert prepare_rows(clips, preparation(), tmp_path / "cached", cache=cache) == plain
    media = {
        folder: {
            path.relative_to(tmp_path / folder): path.read_bytes()
            for path in (tmp_path / folder / "clips").rglob("*.*")
        }
        for folder in ("plain", "cached")
    }
    assert media["plain"]
    assert media["plain"] == media["cached"]


def test_lost_media_are_written_again(clips: Path, tmp_path: Path) -> None:
    write_examples(clips, [example(0)])
    prepare_rows(clips, preparation(), tmp_path)
    name = tmp_path / read_jsonl(tmp_path / "rows.jsonl")[0]["videos"][0][0]
    for path in name.parent.iterdir():
        path.unlink()
    name.parent.rmdir()
    prepare_rows(clips, preparation(), tmp_path)
    assert name.is_file()


def test_several_tasks_share_media_and_skip_missing_labels(clips: Path, tmp_path: Path) -> None:
    both = {"ah": "yes", "ah_demo": "no"}
    write_examples(clips, [example(0, labels=both), example(2, labels={"other": "yes"})])
    manifest = prepare_rows(clips, preparation("ah", "ah_demo"), tmp_path)
    rows = read_jsonl(tmp_path / "rows.jsonl")
    assert [row["messages"][-1]["content"] for row in rows] == ["yes", "no"]
    assert rows[0]["videos"] == rows[1]["videos"]
    assert rows[0]["messages"][0] != rows[1]["messages"][0]
    assert manifest["videos_without_label"] == 1


@pytest.mark.parametrize(
    ("examples", "code", "says"),
    [
        ([example(0, "test")], "bad_data", "test"),
        ([example(0), example(9)], "bad_data", "videos/9.mp4"),
        ([example(0, labels={"ah": "maybe"})], "bad_data", "maybe"),
        ([example(0, labels={})], "bad_data", "ah"),
        (
            [example(0), example(2, "test", participant="p0")],
            "participant_leak",
            "'p0' in test and train",
        ),
        (
            [example(0, voice="v"), example(2, "test", voice="v")],
            "participant_leak",
            "'v' in test and train",
        ),
    ],
)
def test_unusable_data_are_refused_and_leave_no_rows(
    examples: list[Example], code: str, says: str, clips: Path, tmp_path: Path
) -> None:
    write_examples(clips, examples)
    with pytest.raises(UserError) as caught:
        prepare_rows(clips, preparation(), tmp_path)
    assert caught.value.code == code
    assert says in caught.value.sentence
    assert not (tmp_path / "rows.jsonl").exists()
    assert not (tmp_path / "manifest.json").exists()


def test_a_video_that_is_none_is_named(clips: Path, tmp_path: Path) -> None:
    (clips / "videos/text.mp4").write_text("not a video")
    write_examples(clips, [example(0), example(5, video="videos/text.mp4")])
    with pytest.raises(UserError) as caught:
        prepare_rows(clips, preparation(), tmp_path)
    assert "text.mp4" in caught.value.sentence
    assert not (tmp_path / "rows.jsonl").exists()

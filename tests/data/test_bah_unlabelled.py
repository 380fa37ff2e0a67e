"""Splits without labels: placeholders are not labels, header lines are no videos."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_bah import write_release_texts
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.data.bah.made_plan import ReleasePlan
from mllm_affect.data.bah.release import read_release
from mllm_affect.data.bah.row_lists import has_header
from mllm_affect.data.bah.unlabelled import StatedLabels
from mllm_affect.data.corpus import find_videos
from mllm_affect.data.examples import Example, write_examples
from mllm_affect.data.labelled import read_labelled
from mllm_affect.errors import UserError

PLAN = ReleasePlan(participants=(6, 2, 2), videos_each=2, seed=3, private=2)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "bah"
    write_release_texts(folder, PLAN)
    return folder


def of_split(folder: Path, split: str, stated: StatedLabels | None = None) -> list[Example]:
    found = read_labelled(folder, stated) if stated else read_labelled(folder)
    return [example for example in found.examples if example.split == split]


def test_placeholders_are_not_labels_and_everything_else_is_known(release: Path) -> None:
    text = (release / "split/private.txt").read_text()
    assert text.startswith("path,label,transcript\n")
    assert text.count(",0,") == 4
    read = read_labelled(release)
    assert read.unlabelled == {"private": "every line says 0 and none of its videos is annotated"}
    private = of_split(release, "private")
    assert len(private) == 4
    for example in private:
        assert (example.labels, example.spans, example.frame_spans) == ({}, {}, {})
        assert (release / example.video).is_file()
        assert example.transcript
        assert example.words, "from transcription/, for it is not annotated"
        assert example.topic
    assert all(item.labels for item in read.examples if item.split != "private")
    with pytest.raises(UserError) as caught:
        read.refuse_unlabelled("private", "nothing can be scored")
    assert caught.value.code == "unlabelled_split"
    assert "predict --split private" in caught.value.sentence


def test_the_labels_of_other_splits_do_not_hang_on_it(release: Path) -> None:
    private = release / "split/private.txt"
    before = read_labelled(release)
    private.unlink()
    after = read_labelled(release)
    assert [e for e in before.examples if e.split != "private"] == list(after.examples)
    assert after.unlabelled == {}


def test_a_private_set_of_its_own_is_a_release_whatever_its_list_is_called(release: Path) -> None:
    (release / "video_annotation_transcript.yaml").unlink()
    for split in ("train", "val", "test"):
        (release / "split" / f"{split}.txt").unlink()
    assert set(read_labelled(release).unlabelled) == {"private"}
    (release / "split/private.txt").rename(release / "split/test.txt")
    assert set(read_labelled(release).unlabelled) == {"test"}


@pytest.mark.parametrize("label", ["", "-1", "?"])
def test_labels_that_are_left_open_are_none(release: Path, label: str) -> None:
    path = release / "split/private.txt"
    path.write_text(path.read_text().replace(",0,", f",{label},"))
    assert read_labelled(release).unlabelled == {"private": "no line of its list has a label"}
    assert len(of_split(release, "private")) == 4


def test_one_positive_or_one_annotated_video_makes_labels_real(release: Path) -> None:
    path = release / "split/private.txt"
    text = path.read_text()
    path.write_text(text.replace(",0,", ",1,", 1))
    assert [e.labels["ah"] for e in of_split(release, "private")] == ["yes", "no", "no", "no"]
    path.write_text(text)
    (release / "split/test.txt").write_text(
        (release / "split/test.txt").read_text().replace(",1,", ",0,")
    )
    assert set(read_labelled(release).unlabelled) == {"private"}, "test is annotated"


def test_the_user_s_word_counts_before_the_files(release: Path) -> None:
    real = StatedLabels(labelled=frozenset({"private"}))
    assert [e.labels for e in of_split(release, "private", real)] == [{"ah": "no"}] * 4
    open_ = StatedLabels(unlabelled=frozenset({"test"}))
    for example in of_split(release, "test", open_):
        assert (example.labels, example.spans, example.frame_spans) == ({}, {}, {})
    for wrong in (
        StatedLabels(frozenset({"nowhere"})),
        StatedLabels(frozenset({"test"}), frozenset({"test"})),
    ):
        with pytest.raises(UserError) as caught:
            read_labelled(release, wrong)
        assert caught.value.code == "bad_options"


def test_examples_without_labels_are_a_split_without_labels(tmp_path: Path) -> None:
    made = [
        Example(video=f"{n}.mp4", participant=str(n), split=split, labels=labels)
        for n, (split, labels) in enumerate(
            [("a", {"ah": "no"}), ("a", {}), ("b", {}), ("c", {"other": "x"})]
        )
    ]
    write_examples(tmp_path, made)
    assert read_labelled(tmp_path).unlabelled == {"b": "no example has any"}
    stated = StatedLabels(unlabelled=frozenset({"a"}))
    assert list(read_labelled(tmp_path, stated).unlabelled) == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        (["path", "Videos/a.mp4"], True),
        (["Video_ID", "a", "b"], True),
        (["clips of the set", "Videos/a.mp4", "b.mp4"], True),
        (["Videos/a.mp4", "b.mp4"], False),
        (["a", "b"], False),
        (["a", "Videos/b.mp4", "c"], False),
        (["a.mp4"], False),
        (["a"], False),
        (["filename"], True),
        ([], False),
    ],
)
def test_a_header_is_told_from_a_row(fields: list[str], header: bool) -> None:
    assert has_header(fields) is header


def test_headers_of_the_other_lists_are_passed_over_too(release: Path) -> None:
    before = read_labelled(release).examples
    for path in (release / "split/train.txt", release / "split-frames/train.txt"):
        path.write_text("video,label,transcript\n" + path.read_text())
    assert read_labelled(release).examples == before
    notes = read_release(release).notes
    assert {note.code for note in notes} == {"header_line"}
    assert not any(note.fault for note in notes)


def test_a_text_that_lists_no_video_is_no_split(release: Path) -> None:
    (release / "split/README.txt").write_text("Lists of the splits,\none line a video.\n")
    assert {example.split for example in read_labelled(release).examples} == {
        "train", "val", "test", "private",
    }  # fmt: skip
    assert "no_list" in {note.code for note in read_release(release).notes}


def test_a_corpus_can_be_one_split(release: Path, tmp_path: Path) -> None:
    found = find_videos(release, tmp_path / "out", split="private")
    assert list(found.videos) == [example.video for example in of_split(release, "private")]
    assert found.examples[found.videos[0]].transcript
    assert len(find_videos(release, tmp_path / "out").videos) == 24
    with pytest.raises(UserError, match="it has train, val, test, private"):
        find_videos(release, tmp_path / "out", split="secret")
    with pytest.raises(UserError, match="no labelled set"):
        find_videos(tmp_path, tmp_path / "out", split="private")


def validated(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    words = ["validate", "bah", str(folder), "--trusted", "--json", *options]
    result = CliRunner().invoke(app, words)
    report: dict[str, Any] = json.loads(result.output)
    return result.exit_code, report


def test_validate_says_so_and_finds_no_fault_in_it(release: Path) -> None:
    _, report = validated(release)
    (check,) = [one for one in report["checks"] if one["check"] == "splits have labels"]
    (notice,) = check["notices"]
    assert (notice["code"], notice["where"]) == ("unlabelled_split", "split/private.txt")
    assert "predict" in notice["sentence"]
    assert "4 videos" in notice["sentence"]
    noticed = [n for one in report["checks"] for n in one["notices"]]
    assert [n["where"] for n in noticed if n["code"] == "header_line"] == [
        "split/private.txt, line 1"
    ]
    agree = next(one for one in report["checks"] if one["check"] == "labels agree")
    assert agree["faults"] == []
    assert not [n for n in agree["notices"] if "Videos/M01" in n["where"]]
    status, report = validated(release, "--unlabelled", "nowhere")
    assert (status, report["error"]["code"]) == (2, "bad_options")
    _, report = validated(release, "--labelled", "private")
    agree = next(one for one in report["checks"] if one["check"] == "labels agree")
    assert len([n for n in agree["notices"] if n["code"] == "no_annotation"]) == 4

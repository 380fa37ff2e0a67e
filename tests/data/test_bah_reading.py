"""Reading a BAH-shaped release: every quirk of names, lists and annotations, and no code run."""

import json
import unicodedata
from pathlib import Path

import pytest
import yaml
from made_bah import SMALL, write_release_texts

from mllm_affect.data.bah import index as index_module
from mllm_affect.data.bah.index import INDEX_NAME, read_index
from mllm_affect.data.bah.layout import frame_of, key_of, participant_of, question_of
from mllm_affect.data.bah.made_plan import plan_release
from mllm_affect.data.bah.release import read_release
from mllm_affect.data.bah.safe_yaml import entries
from mllm_affect.data.labelled import read_labelled
from mllm_affect.errors import UserError


@pytest.fixture
def release(tmp_path: Path) -> Path:
    write_release_texts(tmp_path)
    return tmp_path


def test_every_listed_video_becomes_an_example_with_what_was_annotated(release: Path) -> None:
    planned = plan_release(SMALL)
    read = read_labelled(release)
    assert read.kind == "bah"
    assert len(read.examples) == len(planned) == 20
    for example, video in zip(read.examples, planned, strict=True):
        assert (release / example.video).is_file()
        assert example.participant == video.participant
        assert example.split == video.split
        assert example.labels == {"ah": "yes" if video.label else "no"}
        assert example.topic == video.question
        assert example.transcript == video.text
        assert example.frame_spans["ah"] == video.interview.frame_spans
        for read_span, span in zip(example.spans["ah"], video.interview.spans_s, strict=True):
            assert read_span == pytest.approx(span, abs=1e-3)
    assert {"neutral", "hesitant"} <= {example.asked for example in read.examples}


def test_odd_names_and_the_keys_of_the_eighth_challenge_are_found(release: Path) -> None:
    names = [example.video for example in read_labelled(release).examples]
    assert any("Visite 1/" in name for name in names)
    assert any("-DESKTOP-" in name for name in names)
    assert any(" (copie)" in name for name in names)
    assert any("été" in name for name in names)
    lists = release / "split/train.txt"
    # The same lists as another version would spell them: no leading folder, other spaces, letters
    # taken apart.
    text = lists.read_text(encoding="utf-8").replace("Videos/", "").replace("Visite_1", "Visite 1")
    lists.write_text(unicodedata.normalize("NFD", text), encoding="utf-8")
    assert [example.video for example in read_labelled(release).examples] == names


def test_names_tell_participant_question_and_frame() -> None:
    key = key_of("Videos/P 1/Visite 1/P 1_Question_4_2031-01-01_Video-DESKTOP-X.mp4")
    assert key == "P_1/Visite_1/P_1_Question_4_2031-01-01_Video-DESKTOP-X.mp4"
    assert participant_of(key) == "P_1"
    assert question_of(key) == "4"
    assert question_of("P_1/Visite_1/other.mp4") is None
    assert frame_of("a/b.mp4/frame-0012.jpg") == ("a/b.mp4", 12)
    assert frame_of("a/b.mp4/picture.jpg") is None


def test_seconds_and_frames_are_never_derived_from_each_other(release: Path) -> None:
    path = release / "video_annotation_transcript.yaml"
    text = path.read_text(encoding="utf-8")
    read = {example.video: example for example in read_labelled(release).examples}
    video = next(name for name, example in read.items() if example.spans["ah"])
    first, last = read[video].frame_spans["ah"][0]
    head, tail = text.split(f"{video}:\n", 1)
    tail = tail.replace(f"- - {first}\n    - {last}\n", f"- - {first + 3}\n    - {last}\n", 1)
    path.write_text(f"{head}{video}:\n{tail}", encoding="utf-8")
    changed = next(e for e in read_labelled(release).examples if e.video == video)
    assert changed.frame_spans["ah"][0] == (first + 3, last)
    assert changed.spans == read[video].spans


def test_who_refused_the_use_in_challenges_is_left_out_and_counted(release: Path) -> None:
    before = read_labelled(release)
    assert not before.left_out
    people = release / "meta_data.yml"
    text = people.read_text(encoding="utf-8")
    text = text.replace("M001:\n  Use in challenges: 'Yes'", "M001:\n  Use in challenges: no")
    people.write_text(text, encoding="utf-8")
    after = read_labelled(release)
    assert after.left_out == {"consent: not for challenges": 2}
    assert "2 (consent" in after.sentence()
    assert {e.participant for e in before.examples} - {e.participant for e in after.examples} == {
        "M001"
    }
    assert after.sha256 != before.sha256


def test_clocks_that_restart_become_one_timeline(tmp_path: Path) -> None:
    from dataclasses import replace

    plan = replace(SMALL, participants=(12, 2, 2), videos_each=6)
    planned = write_release_texts(tmp_path, plan)
    longer = [n for n, video in enumerate(planned) if video.interview.frames > 12 * 34]
    assert longer, "the plan has no video that outlasts a window"
    read = read_labelled(tmp_path).examples
    for number in longer:
        starts = [start for start, _, _ in read[number].words]
        assert starts == sorted(starts)
        assert read[number].words[-1][1] > 30.0
        assert [text.strip() for _, _, text in read[number].words] == [
            text for text, _, _ in planned[number].chunks
        ]


def test_marks_and_line_ends_are_tolerated_and_noted(release: Path) -> None:
    before = read_labelled(release).examples
    path = release / "split/train.txt"
    text = path.read_text(encoding="utf-8")
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_labelled(release).examples == before
    notes = read_release(release).notes
    assert {note.code for note in notes} == {"byte_order_mark", "windows_line_ends"}
    assert {note.where for note in notes} == {"split/train.txt"}


def test_the_index_is_kept_while_the_annotations_stay_the_same(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_index(release)
    assert (release / INDEX_NAME).is_file()
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "entries", None)
        assert read_index(release) == first
    path = release / "video_annotation_transcript.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("pause", "breath"), encoding="utf-8")
    again = read_index(release)
    assert again is not None
    assert again != first
    (release / INDEX_NAME).write_text("{", encoding="utf-8")
    assert read_index(release) == again


def test_runs_keep_every_frame_label_and_every_gap(release: Path) -> None:
    annotations = yaml.load(
        (release / "video_annotation_transcript.yaml").read_text(encoding="utf-8"), _WithTuples
    )
    index = read_index(release)
    assert index is not None
    gaps = 0
    for item in index.videos:
        expected = {
            frame_of(path)[1]: label  # type: ignore[index]
            for path, label in annotations[item.written]["frame_annotation"]
        }
        unrolled = {
            frame: label
            for first, last, label in item.frame_runs
            for frame in range(first, last + 1)
        }
        assert unrolled == expected
        gaps += len(expected) != max(expected) + 1
        assert not item.problems
    assert gaps


class _WithTuples(yaml.CSafeLoader):
    pass


_WithTuples.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)),
)


VALUES = """
a: {n: 12, f: 1.5, t: true, z: null, s: 'true', d: '00:00:01.5', clock: 0x1f, empty: }
"b c": [1, [2, three], !!python/tuple [0.0, null], "x,y", -7, 1e3, 1.0e+3, ~, .5]
c: &shared [1, 2]
d: *shared
e: !!str 5
f: |
  two
  lines
"""


def test_plain_values_are_read_as_the_safe_loader_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(VALUES, encoding="utf-8")
    assert dict(entries(path)) == yaml.load(VALUES, _WithTuples)


def test_keys_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "people.yml"
    path.write_text("0123: {x: 1}\n0123: {x: 2}\nyes: 3\n", encoding="utf-8")
    assert list(entries(path)) == [("0123", {"x": 1}), ("0123", {"x": 2}), ("yes", 3)]


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.mkdir [{mark}]",
        "!!python/object/new:os.mkdir [{mark}]",
        "!!python/name:os.mkdir",
        "!!python/object:pathlib.Path {{}}",
        "!mine [1]",
    ],
)
def test_objects_in_yaml_are_refused_and_not_run(value: str, release: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    path = release / "video_annotation_transcript.yaml"
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"x.mp4:\n  global_ah: {value.format(mark=mark)}\n")
    with pytest.raises(UserError) as caught:
        read_labelled(release)
    assert caught.value.code == "unsafe_yaml"
    assert "line" in caught.value.sentence
    assert not mark.exists()
    assert not (release / INDEX_NAME).exists()


@pytest.mark.parametrize(
    "text", ["- 1\n", "a: [1\n", "a: *gone\n", "a: " + "[" * 60, "? [1]\n: 2\n"]
)
def test_what_is_no_mapping_is_bad_yaml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        list(entries(path))
    assert caught.value.code == "bad_yaml"


def test_a_plain_list_still_opens_by_the_same_door(tmp_path: Path) -> None:
    line = {"video": "a.mp4", "participant": "p", "split": "train", "labels": {"ah": "no"}}
    (tmp_path / "examples.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    read = read_labelled(tmp_path)
    assert read.kind == "examples"
    assert [example.video for example in read.examples] == ["a.mp4"]
    with pytest.raises(UserError) as caught:
        read_labelled(tmp_path / "nowhere")
    assert caught.value.code == "no_examples"


def test_words_come_from_the_transcripts_own_files_where_annotations_have_none(
    release: Path,
) -> None:
    before = read_labelled(release)
    (release / "video_annotation_transcript.yaml").unlink()
    after = read_labelled(release)
    for with_both, with_files in zip(before.examples, after.examples, strict=True):
        assert with_files.words == with_both.words != ()
    files = sorted((release / "transcription").rglob("*.yml"))
    files[0].write_text("chunks: no list\n", encoding="utf-8")
    files[1].unlink()
    silent = [example for example in read_labelled(release).examples if not example.words]
    assert len(silent) == 2
    assert list(read_release(release).transcripts.problems) == [
        files[0].relative_to(release).as_posix()
    ]
    assert read_labelled(release).sha256 != after.sha256


def test_who_may_be_shown_reaches_the_examples(release: Path) -> None:
    people = release / "meta_data.yml"
    text = people.read_text(encoding="utf-8")
    text = text.replace(
        "M001:\n  Use in challenges: 'Yes'\n  Use in publications: 'Yes'",
        "M001:\n  Use in challenges: 'Yes'\n  Use in publications: 'No'",
    )
    text = text.replace("M002:\n  Use in challenges: 'Yes'\n  Use in publications: 'Yes'\n", "")
    people.write_text(text, encoding="utf-8")
    shown = {
        example.participant: example.publishable for example in read_labelled(release).examples
    }
    assert (shown["M001"], shown["M002"], shown["M003"]) == (False, False, True)

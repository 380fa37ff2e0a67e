"""What `validate bah` says of a release's text files: counts, sentences, and what is no fault."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_bah import SMALL, write_release_texts

from mllm_affect.data.bah.checks import PUBLISHED, check_release
from mllm_affect.data.bah.findings import Finding
from mllm_affect.data.bah.layout import find_videos, is_release
from mllm_affect.data.bah.made_plan import plan_release
from mllm_affect.data.bah.made_release import path_of
from mllm_affect.data.bah.safe_yaml import DEEPEST, entries
from mllm_affect.errors import UserError

VIDEOS = plan_release(SMALL)
PATHS = [path_of(video, number) for number, video in enumerate(VIDEOS)]
OF_TRAIN = sum(video.split == "train" for video in VIDEOS)
ANNOTATIONS = "video_annotation_transcript.yaml"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    write_release_texts(tmp_path)
    return tmp_path


@dataclass
class Checked:
    """Findings and the number of things looked at, by check."""

    looked_at: dict[str, int]
    findings: dict[str, tuple[Finding, ...]]

    def said(self, check: str) -> list[tuple[str, str, str, bool]]:
        return [(f.code, f.where, f.sentence, f.fault) for f in self.findings[check]]


def checked(folder: Path, *version: str) -> Checked:
    verdicts = check_release(folder, *version, trusted=True)  # type: ignore[arg-type]
    return Checked(
        {verdict.check: verdict.looked_at for verdict in verdicts},
        {verdict.check: verdict.findings for verdict in verdicts},
    )


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def test_every_check_says_how_much_it_looked_at(release: Path) -> None:
    found = checked(release).looked_at
    assert found == {
        "lists are clean": 20,
        "annotations are readable": 21,  # the one who refused is annotated and in no list
        "transcripts are readable": 21,
        "every video is named once": 20,
        "splits share no participant": 10,
        "splits have labels": 3,
        "labels agree": 20,
        "every listed video opens": 20,
        "times lie within their videos": 20,
        "consent is honoured": 11,
        "counts (other)": 20,
    }


def test_a_video_in_two_folders_or_annotated_twice_is_named_with_its_count(release: Path) -> None:
    path = next(path for path in PATHS if "Visite_1" in path)
    copy = release / path.replace("Visite_1", "Visite 1")
    copy.parent.mkdir()
    copy.touch()
    rewrite(release / ANNOTATIONS, lambda text: text + f"{PATHS[0]}:\n  global_ah: 0\n" * 2)
    keys = [name.removeprefix("Videos/").replace(" ", "_") for name in (PATHS[0], path)]
    assert checked(release).said("every video is named once") == [
        ("duplicate_id", ANNOTATIONS, f"holds {keys[0]} 3 times", True),
        ("duplicate_id", "the folder of videos", f"holds {keys[1]} 2 times", True),
    ]


def test_a_line_that_stands_thrice_is_told_twice_with_its_first_place(release: Path) -> None:
    rewrite(release / "split/train.txt", lambda text: text + 2 * (text.splitlines()[1] + "\n"))
    found = checked(release).said("every video is named once")
    assert [(where, fault) for _, where, _, fault in found] == [
        (f"split/train.txt, line {OF_TRAIN + 1}", True),
        (f"split/train.txt, line {OF_TRAIN + 2}", True),
    ]
    assert all(said.endswith("again, after split/train.txt, line 2") for _, _, said, _ in found)


def test_frame_lists_of_another_split_and_with_another_label_are_told(release: Path) -> None:
    negative = next(n for n, v in enumerate(VIDEOS) if v.split == "train" and not v.label)
    path = PATHS[negative]
    lists = release / "split-frames"
    line = f"{path}/frame-0.jpg,"
    rewrite(lists / "train.txt", lambda text: text.replace(f"{line}0\n", f"{line}1\n"))
    rewrite(lists / "val.txt", lambda text: text + f"{line}0\n")
    assert checked(release).said("labels agree") == [
        (
            "label_mismatch", path,
            "has label 0, its frames in split-frames/train.txt say otherwise", True,
        ),
        (
            "label_mismatch", path,
            "has 1 frames with another label in split-frames/train.txt than in frame_annotation",
            True,
        ),
        (
            "participant_leak", path,
            f"is in split-frames/val.txt but in split/train.txt, line {negative + 1}", True,
        ),
    ]  # fmt: skip


def test_a_listed_video_without_annotation_is_no_fault(release: Path) -> None:
    rewrite(release / ANNOTATIONS, lambda text: text.replace(f"{PATHS[0]}:\n", "Videos/x.mp4:\n"))
    found = checked(release)
    assert [("no_annotation", PATHS[0], "is listed and not annotated", False)] == [
        told for told in found.said("labels agree") if told[0] == "no_annotation"
    ]
    (release / ANNOTATIONS).unlink()
    assert checked(release).said("labels agree") == []


def test_who_is_not_asked_or_said_no_is_told_by_name(release: Path) -> None:
    people = [video.participant for video in VIDEOS]
    first, other = people[0], people[2]
    agreed = "  Use in challenges: 'Yes'\n  Use in publications: 'Yes'\n"
    rewrite(release / "meta_data.yml", lambda text: text.replace(f"{first}:\n{agreed}", ""))
    before = checked(release).said("consent is honoured")
    assert ("consent_unknown", first, "is not in meta_data.yml", False) in before
    refused = agreed.replace("publications: 'Yes'", "publications: ' NO '")
    rewrite(
        release / "meta_data.yml",
        lambda text: text.replace(f"{other}:\n{agreed}", f"{other}:\n{refused}"),
    )
    (notice,) = [
        told for told in checked(release).said("consent is honoured")
        if told[0] == "not_for_publications"
    ]  # fmt: skip
    assert notice[1].split(", ")[0] == other
    assert (notice[2].split()[0], notice[3]) == (str(len(notice[1].split(", "))), False)
    (release / "meta_data.yml").unlink()
    assert checked(release).said("consent is honoured") == []


def test_counts_name_people_videos_and_positives(release: Path) -> None:
    found = checked(release, "v2").said("counts (v2)")
    positive = {
        split: sum(v.label for v in VIDEOS if v.split == split) for split in PUBLISHED["v2"].videos
    }
    videos = {split: sum(v.split == split for v in VIDEOS) for split in PUBLISHED["v2"].videos}
    wanted = [("wrong_count", "participants", "10 participants, published are 300", True)]
    for split, (count, rate) in {"train": (778, 385), "val": (124, 75), "test": (525, 318)}.items():
        said = f"{videos[split]} videos, published are {count}"
        wanted.append(("wrong_count", split, said, True))
        said = f"{positive[split]} positive videos, published are {rate}"
        wanted.append(("wrong_count", split, said, True))
    assert found == wanted
    assert [said for _, _, said, _ in checked(release, "v1").said("counts (v1)")] == [
        "10 participants, published are 224", f"{videos['train']} videos, published are 616",
        f"{videos['val']} videos, published are 110", f"{videos['test']} videos, published are 392",
    ]  # fmt: skip


def test_a_release_is_told_by_its_lists_and_its_folder_of_videos(release: Path) -> None:
    assert is_release(release)
    assert [path for _, path in find_videos(release)][:1] == [min(PATHS)]
    (release / "Videos").rename(release / "Clips")
    assert not is_release(release)
    (release / "Clips").rename(release / "Videos")
    (release / "split").rename(release / "lists")
    assert not is_release(release)


def test_yaml_may_be_nested_as_deeply_as_is_allowed_and_no_deeper(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    for opened, closed in (("[", "]"), ("{a: ", "}")):
        inner = "1" if opened != "[" else ""
        path.write_text(f"k: {opened * DEEPEST}{inner}{closed * DEEPEST}\n", encoding="utf-8")
        assert len(list(entries(path))) == 1
        deeper = DEEPEST + 1
        path.write_text(f"k: {opened * deeper}{inner}{closed * deeper}\n", encoding="utf-8")
        with pytest.raises(UserError, match="line 1 is nested too deeply") as caught:
            list(entries(path))
        assert caught.value.code == "bad_yaml"

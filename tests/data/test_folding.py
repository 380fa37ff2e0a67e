"""Folds: everybody is tested once, by what others taught."""

from pathlib import Path

import pytest

from mllm_affect.data.examples import Example, read_examples, write_examples
from mllm_affect.data.folding import folded_examples, write_folds
from mllm_affect.errors import UserError


def examples(people: tuple[str, ...], each: int = 2) -> list[Example]:
    return [
        Example(
            video=f"videos/{person.replace('/', '-')}-{number}.mp4",
            participant=person,
            split="all",
            labels={"action_units": "1"},
        )
        for person in people
        for number in range(each)
    ]


PEOPLE = ("a/1", "a/2", "a/3", "b/1", "b/2", "c/1")


@pytest.mark.parametrize(("by", "count"), [("participant", 6), ("dataset", 3)])
def test_everybody_is_tested_once_and_is_nowhere_else_in_that_fold(by: str, count: int) -> None:
    folds = folded_examples(examples(PEOPLE), by)  # type: ignore[arg-type]
    assert len(folds) == count
    tested = [item.video for fold in folds.values() for item in fold if item.split == "test"]
    assert sorted(tested) == sorted(item.video for item in examples(PEOPLE))
    for fold in folds.values():
        people = {
            split: {item.participant for item in fold if item.split == split}
            for split in ("train", "val", "test")
        }
        assert all(people.values())
        assert not people["test"] & (people["train"] | people["val"])
        assert not people["train"] & people["val"]


def test_a_dataset_needs_a_name_and_folds_need_two() -> None:
    with pytest.raises(UserError, match="names no dataset"):
        folded_examples(examples(("1", "2")), "dataset")
    with pytest.raises(UserError, match="leaving one out needs two"):
        folded_examples(examples(("a/1", "a/2")), "dataset")
    with pytest.raises(UserError, match="training and thresholds"):
        folded_examples(examples(("1", "2")), "participant")


def test_fold_folders_link_the_videos(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "videos").mkdir(parents=True)
    made = examples(PEOPLE)
    for item in made:
        (data / item.video).write_bytes(item.video.encode())
    write_examples(data, made)
    folders = write_folds(data, tmp_path / "folds", "participant")
    assert sorted(folders) == sorted(PEOPLE)
    for name, folder in folders.items():
        read = read_examples(folder)
        assert {item.participant for item in read if item.split == "test"} == {name}
        assert all((folder / item.video).read_bytes() == item.video.encode() for item in read)
    with pytest.raises(UserError, match="not an empty folder"):
        write_folds(data, tmp_path / "folds", "participant")

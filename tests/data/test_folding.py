"""Folds: everybody is tested once, by what others taught."""

from pathlib import Path

import pytest
from made_bah import write_release_texts

from mllm_affect.data.bah.made_plan import ReleasePlan
from mllm_affect.data.examples import Example, read_examples, write_examples
from mllm_affect.data.folding import folded_examples, write_folds
from mllm_affect.data.labelled import read_labelled
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
    folders = write_folds(data, tmp_path / "folds", "participant").folders
    assert sorted(folders) == sorted(PEOPLE)
    for name, folder in folders.items():
        read = read_examples(folder)
        assert {item.participant for item in read if item.split == "test"} == {name}
        assert all((folder / item.video).read_bytes() == item.video.encode() for item in read)
    with pytest.raises(UserError, match="not an empty folder"):
        write_folds(data, tmp_path / "folds", "participant")


def test_people_go_together_into_folds_of_about_one_size() -> None:
    made = [item for number in range(23) for item in examples((f"p{number}",), each=1 + number % 4)]
    folds = folded_examples(made, "participant", count=5, seed=1)
    assert sorted(folds) == [f"fold-{number}" for number in range(1, 6)]
    tested = {name: [item for item in fold if item.split == "test"] for name, fold in folds.items()}
    sizes = [len(items) for items in tested.values()]
    assert max(sizes) - min(sizes) <= 4
    assert sum(sizes) == len(made)
    people = [{item.participant for item in items} for items in tested.values()]
    assert len(set.union(*people)) == sum(map(len, people)) == 23
    other = folded_examples(made, "participant", count=5, seed=2)
    assert other != folds
    assert folded_examples(made, "participant", count=5, seed=1) == folds
    for count in (1, 24):
        with pytest.raises(UserError, match=f"cannot make {count} folds"):
            folded_examples(made, "participant", count=count)


def test_a_release_of_bah_folds_by_participant_and_stays_bah(tmp_path: Path) -> None:
    data = tmp_path / "bah"
    write_release_texts(data, ReleasePlan(participants=(6, 2, 2), videos_each=2, seed=3))
    whole = read_labelled(data)
    made = write_folds(data, tmp_path / "folds", "participant", count=3)
    tested: list[str] = []
    for folder in made.folders.values():
        fold = read_labelled(folder)
        assert fold.kind == "bah"
        assert all((folder / item.video).is_file() for item in fold.examples)
        by_video = {item.video: item for item in whole.examples}
        for item in fold.examples:
            assert item == by_video[item.video].model_copy(update={"split": item.split})
        tested += [item.video for item in fold.examples if item.split == "test"]
    assert sorted(tested) == sorted(item.video for item in whole.examples)
    (folder / "dataset.json").write_text("[]")
    with pytest.raises(UserError, match=r"dataset\.json"):
        read_labelled(folder)

"""The plan of a made release: nothing but voice and face together tells the label."""

from collections import Counter
from dataclasses import replace

import pytest

from mllm_affect.data.bah.made_plan import HEDGES, PlannedVideo, ReleasePlan, plan_release
from mllm_affect.data.bah.made_release import Written, _frames
from mllm_affect.errors import UserError

VIDEOS = plan_release(ReleasePlan())


def of_split(split: str) -> list[PlannedVideo]:
    return [video for video in VIDEOS if video.split == split]


def event(video: PlannedVideo) -> str:
    """What the face shows in the events: `negative`, or what goes against halting speech."""
    shown = {scene.emotion == "negative" for scene in video.interview.scenes[1::2]}
    assert len(shown) == 1
    return "negative" if shown.pop() else "against halting"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_question_voice_and_face_are_each_as_often_yes_as_no(split: str) -> None:
    videos = of_split(split)
    assert abs(2 * sum(video.label for video in videos) - len(videos)) <= 2
    for tell in (
        lambda video: video.question,
        lambda video: video.interview.scenes[0].halting,
        event,
    ):
        counts = Counter((tell(video), video.label) for video in videos)
        for value in {tell(video) for video in videos}:
            assert abs(counts[value, 0] - counts[value, 1]) <= 2


def test_voice_and_face_together_decide_and_calm_parts_are_calm() -> None:
    for video in VIDEOS:
        halting = video.interview.scenes[0].halting
        assert video.label == int(halting != (event(video) == "negative"))
        assert not any(scene.ambivalent for scene in video.interview.scenes[0::2])
        spanned = sum(end - start for start, end in video.interview.spans_s)
        assert bool(spanned) == bool(video.label)
        assert spanned < 0.8 * video.interview.frames / 12


def test_everyone_is_in_one_split_and_is_asked_a_question_once() -> None:
    splits: dict[str, set[str]] = {}
    people: dict[tuple[str, int], set[str]] = {}
    for video in VIDEOS:
        splits.setdefault(video.participant, set()).add(video.split)
        scene = video.interview.scenes[0]
        assert scene.face == scene.voice >= 1000
        people.setdefault((scene.split, scene.face), set()).add(video.participant)
    assert len(splits) == 56
    assert all(len(where) == 1 for where in splits.values())
    assert all(len(names) == 1 for names in people.values())
    asked = Counter((video.participant, video.question) for video in VIDEOS)
    assert max(asked.values()) == 1


def test_words_hedge_but_say_nothing_about_the_label() -> None:
    def hedges(label: int) -> float:
        texts = [video.text.lower() for video in VIDEOS if video.label == label]
        return sum(text.count(hedge.lower()) for text in texts for hedge in HEDGES) / len(texts)

    assert hedges(0) > 0.5
    assert hedges(1) / hedges(0) == pytest.approx(1.0, abs=0.4)
    assert all("," in video.text for video in VIDEOS)
    words = sum(len(video.text.split()) for video in VIDEOS)
    hedged = sum(video.text.lower().count(hedge.lower()) for video in VIDEOS for hedge in HEDGES)
    assert hedged < words / 4, "hedges are the exception"


def test_a_face_is_not_found_in_five_frames_of_some_videos() -> None:
    lengths = set()
    for video in VIDEOS:
        frames = [path for path, _ in _frames(Written(video, "a.mp4"))]
        lost = video.interview.frames - len(frames)
        assert 0 <= lost <= 5
        lengths.add(lost)
        if lost == 5:
            numbers = [int(path.split("-")[-1].removesuffix(".jpg")) for path in frames]
            gap = set(range(video.interview.frames)) - set(numbers)
            assert gap == set(range(min(gap), min(gap) + 5)), "in a row"
    assert {0, 5} <= lengths


def test_the_same_seed_gives_the_same_and_another_seed_other_people() -> None:
    assert plan_release(ReleasePlan()) == VIDEOS
    other = plan_release(replace(ReleasePlan(), seed=1))
    assert {v.interview.scenes[0].face for v in other}.isdisjoint(
        {v.interview.scenes[0].face for v in VIDEOS}
    )
    with pytest.raises(UserError) as caught:
        plan_release(ReleasePlan((1, 0, 1)))
    assert caught.value.code == "bad_count"


def test_labels_are_balanced_also_where_every_question_comes_once() -> None:
    for seed in range(4):
        videos = plan_release(ReleasePlan(participants=(7, 7, 7), videos_each=1, seed=seed))
        for split in ("train", "val", "test"):
            labels = {video.question: video.label for video in videos if video.split == split}
            assert len(labels) == 7
            assert sum(labels.values()) in (3, 4)

"""What a made BAH release promises about names, transcripts, annotations and consent."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from made_bah import SMALL, write_release_texts

from mllm_affect.data.bah.consent import CHALLENGES, PUBLICATIONS
from mllm_affect.data.bah.layout import ANNOTATIONS, PARTICIPANTS, QUESTIONS
from mllm_affect.data.bah.made_plan import HEDGES, PlannedVideo, ReleasePlan, plan_release
from mllm_affect.data.bah.made_release import (
    REFUSED,
    annotation_of,
    dumped,
    path_of,
    with_paths,
)
from mllm_affect.errors import UserError

VIDEOS = plan_release(ReleasePlan())


def seconds_of(video: PlannedVideo) -> float:
    return video.interview.frames / 12


def test_a_release_has_the_people_and_videos_of_its_plan() -> None:
    assert VIDEOS[0].participant == "M001"
    for split, people in zip(("train", "val", "test"), (28, 14, 14), strict=True):
        named = [video.participant for video in VIDEOS if video.split == split]
        assert len(set(named)) == people
        assert all(named.count(name) == 3 for name in named)
    assert sum(video.split == "private" for video in plan_release(ReleasePlan(private=2))) == 6
    regions = {(video.split, video.interview.scenes[0].split) for video in VIDEOS}
    assert regions == {("train", "train"), ("val", "test"), ("test", "test")}
    assert len({video.interview.scenes[0].face for video in VIDEOS}) == 56


@pytest.mark.parametrize("each", [0, len(QUESTIONS) + 1])
def test_nobody_is_asked_no_question_or_one_twice(each: int) -> None:
    with pytest.raises(UserError) as caught:
        plan_release(replace(SMALL, videos_each=each))
    assert caught.value.code == "bad_count"
    assert len(plan_release(replace(SMALL, videos_each=len(QUESTIONS)))) == 10 * len(QUESTIONS)


def test_speech_fills_the_video_and_chunks_end_where_the_clock_restarts() -> None:
    long = [video for video in VIDEOS if seconds_of(video) > 30]
    assert 0 < len(long) < len(VIDEOS) / 4, "few transcripts outlast a window"
    for video in VIDEOS:
        before_s = 0.0
        for text, start_s, end_s in video.chunks:
            assert before_s <= start_s < end_s <= seconds_of(video) + 0.01
            assert start_s - before_s <= 0.81
            assert end_s - start_s <= 6.01
            assert start_s // 30 == (end_s - 0.02) // 30
            assert re.fullmatch(r"[A-Z][^.]*\.", text)
            assert "  " not in text
            before_s = end_s
        assert seconds_of(video) - before_s < 1.0 + 0.81
        words = sum(len(text.split()) for text, _, _ in video.chunks)
        assert 1.0 <= words / seconds_of(video) <= 3.5
        assert video.text == " ".join(text for text, _, _ in video.chunks)
    counts = [
        sum(video.text.lower().count(hedge.lower()) for hedge in HEDGES)
        / len(video.text.split()) for video in VIDEOS
    ]  # fmt: skip
    assert min(counts) < 0.02
    assert 0.1 < max(counts) < 0.3, "some people hedge often, nobody always"


def test_names_have_a_date_and_a_clock_and_each_quirk_its_turn() -> None:
    paths = [path_of(video, number) for number, video in enumerate(VIDEOS)]
    assert len(set(paths)) == len(paths)
    for path, video in zip(paths, VIDEOS, strict=True):
        found = re.fullmatch(
            rf"Videos/{video.participant}/Visite([_ ])1/{video.participant}_Question_"
            rf"{video.question}_([-0-9]+_[0-9]+)_Video(|-DESKTOP-MADE0| \(copie\)|_été)\.mp4",
            path,
        )
        assert found is not None
        assert (found[1] == " ") == video.participant.endswith("5")
        assert 8 <= datetime.strptime(found[2], "%Y-%m-%d_%H%M%S").hour < 18
    named = [path_of(VIDEOS[0], number) for number in range(11)]
    for quirk in ("-DESKTOP-MADE0", " (copie)", "_été"):
        assert sum(quirk in path for path in named) == 1
    assert len({path_of(VIDEOS[0], number)[:60] for number in range(12)}) == 12


def test_annotations_state_the_same_in_seconds_frames_and_labels() -> None:
    gaps = 0
    for item in with_paths(VIDEOS):
        told, interview = annotation_of(item), item.video.interview
        spans = [
            tuple(sum(float(x) * y for x, y in zip(clock.split(":"), (3600, 60, 1), strict=True))
                  for clock in span)
            for span in told["time_detailed_ah"]
        ]  # fmt: skip
        for clock in (clock for span in told["time_detailed_ah"] for clock in span):
            assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", clock)
        for span, planned in zip(spans, interview.spans_s, strict=True):
            assert span == pytest.approx(planned, abs=1e-3)
        assert [tuple(span) for span in told["fr_detailed_ah"]] == list(interview.frame_spans)
        assert len(told["all_cues"]) == len(told["certainty_ah"]) == len(spans)
        assert told["global_ah"] == int(bool(spans)) == item.video.label
        assert told["annotator_id"] in (1, 2, 3)
        numbers = [int(path.rsplit("-", 1)[1].removesuffix(".jpg"))
                   for path, _ in told["frame_annotation"]]  # fmt: skip
        labels = [label for _, label in told["frame_annotation"]]
        inside = [any(a <= n <= b for a, b in interview.frame_spans) for n in numbers]
        assert labels == [int(one) for one in inside]
        missing = sorted(set(range(interview.frames)) - set(numbers))
        assert len(missing) <= 5
        assert numbers == sorted(numbers)
        if len(missing) == 5:
            assert missing == list(range(missing[0], missing[0] + 5))
        gaps += bool(missing)
    assert 0 < gaps < len(VIDEOS) / 2, "a face is not found now and then"


def test_the_transcripts_clock_restarts_and_some_last_ends_are_unknown() -> None:
    unknown = 0
    for item in with_paths(VIDEOS):
        chunks = annotation_of(item)["transcript"]["chunks"]
        times = [chunk["timestamp"] for chunk in chunks]
        for (start_s, end_s), (text, true_start_s, true_end_s), chunk in zip(
            times, item.video.chunks, chunks, strict=True
        ):
            assert chunk["text"] == f" {text}"
            assert start_s == pytest.approx(true_start_s % 30, abs=0.011)
            assert 0 <= start_s < 30
            if end_s is not None:
                assert end_s - start_s == pytest.approx(true_end_s - true_start_s, abs=0.011)
        assert all(end_s is not None for _, end_s in times[:-1])
        unknown += times[-1][1] is None
    assert 0.2 < unknown / len(VIDEOS) < 0.8
    assert "!!python/tuple" in dumped({"timestamp": (1.0, None)})
    shared = ["x"]
    assert "&" not in dumped([shared, shared])


def test_all_agree_but_who_refused_and_every_ninth_to_pictures(tmp_path: Path) -> None:
    write_release_texts(tmp_path)
    told = yaml.safe_load((tmp_path / PARTICIPANTS).read_text())
    assert list(told) == [f"M{n:03d}" for n in range(1, 11)] + [REFUSED]
    assert [name for name, facts in told.items() if facts[CHALLENGES] != "Yes"] == [REFUSED]
    assert [name for name, facts in told.items() if facts[PUBLICATIONS] != "Yes"] == [
        "M009", REFUSED,
    ]  # fmt: skip
    assert REFUSED in (tmp_path / ANNOTATIONS).read_text(encoding="utf-8")
    lists = list((tmp_path / "split").rglob("*.txt"))
    assert len(lists) >= 3
    assert not any(REFUSED in path.read_text(encoding="utf-8") for path in lists)

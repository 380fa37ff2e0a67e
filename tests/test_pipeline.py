"""From a video file to an answer, with an engine without a model."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scoring_entry import entry

from mllm_affect.data.made.clips import FRAME_RATE
from mllm_affect.data.made.folders import write_video
from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.types import AnswerScores
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.probe import probe
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.pipeline import answer_video
from mllm_affect.scoring.abstention import Abstention
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer
from mllm_affect.scoring.calibration import Calibration
from mllm_affect.scoring.scoring_file import ScoringFile
from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.prompts import load_task, question_task

SECONDS = 12.0
SMALL = Sampling(fps=4.0, max_pixels=4096)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds: noise to look at, and to hear only in the first five."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (round(SECONDS * FRAME_RATE), 64, 64, 3), dtype=np.uint8)
    sound = random.normal(0, 3000, 16_000 * 4).astype(np.int16)
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    write_video(frames, sound, path)
    return path


class Watching(EchoEngine):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[ModelInput] = []

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        self.inputs += inputs
        return super().score(inputs, answers)


def codes(answer: VideoAnswer) -> list[str]:
    return [remark.code for remark in answer.warnings]


def test_every_segment_is_asked_about_and_pooled(video: Path) -> None:
    engine = Watching()
    done: list[SegmentAnswer] = []
    answer = answer_video(video, load_task("ah"), engine, on_segment=done.append)
    assert [part.index for part in answer.segments] == [0, 1, 2]
    assert answer.segments[0].start_s == 0.0
    assert answer.segments[-1].end_s == pytest.approx(SECONDS)
    assert all(a.end_s == b.start_s for a, b in pairwise(answer.segments))
    assert max(part.duration_s for part in answer.segments) <= 5.0
    expected = sum(p.probabilities["yes"] * p.duration_s for p in answer.segments) / SECONDS
    assert answer.probabilities["yes"] == pytest.approx(expected)
    assert answer.answer == ("yes" if expected >= 0.5 else "no")
    assert done == list(answer.segments)
    assert [made.task_id for made in engine.inputs] == ["ah"] * 3


def test_an_answer_carries_all_it_depends_on(video: Path) -> None:
    task = load_task("ah")
    answer = answer_video(video, task, EchoEngine(), max_seconds=2.0)
    assert answer.source_sha256 == probe(video).sha256
    assert (answer.task, answer.prompt_hash, answer.model) == ("ah", task.prompt_hash, "echo")
    assert (answer.sampling, answer.max_seconds) == (task.sampling, 2.0)
    assert len(answer.segments) == 6
    assert set(answer.timings_s) == {"probe", "read", "model", "total"}
    assert VideoAnswer.model_validate(answer.as_dict()) == answer


def test_the_profile_of_the_checkpoint_decides_the_sampling(video: Path) -> None:
    engine = Watching()
    profile = ModelProfile(
        kind="miniature", sampling=SMALL, prompt_hashes={"other": "0"}, note="A toy."
    )
    answer = answer_video(video, load_task("ah"), engine, profile)
    assert {made.fps for made in engine.inputs} == {4.0}
    assert {made.frames_THWC.shape[1:] for made in engine.inputs} == {(64, 64, 3)}
    assert codes(answer) == [
        "partly_no_audio",
        "uncalibrated",
        "unfamiliar_question",
        "model_miniature",
    ]
    assert answer.warnings[-1].sentence == "A toy."


def test_the_checkpoint_decides_how_long_segments_are(video: Path) -> None:
    learned = ModelProfile(sampling=SMALL, max_seconds=2.0)
    answer = answer_video(video, load_task("ah"), EchoEngine(), learned)
    assert (answer.max_seconds, len(answer.segments)) == (2.0, 6)
    assert max(part.duration_s for part in answer.segments) <= 2.0
    with pytest.raises(UserError, match="trained on segments of at most 2 s, not 5 s") as caught:
        answer_video(video, load_task("ah"), EchoEngine(), learned, 5.0)
    assert caught.value.code == "other_segments"
    forced = answer_video(video, load_task("ah"), EchoEngine(), learned, 5.0, force=True)
    assert forced.max_seconds == 5.0
    fitted = ScoringFile().with_task(entry(sampling=SMALL, max_seconds=5.0))
    with pytest.raises(UserError, match="another segmenter"):
        answer_video(video, load_task("ah"), EchoEngine(), learned, scorings=fitted)


def test_missing_sound_is_a_warning_and_not_an_error(video: Path) -> None:
    answer = answer_video(video, load_task("ah"), EchoEngine())
    assert [part.has_audio for part in answer.segments] == [True, False, False]
    silent = answer_video(
        video, load_task("ah"), EchoEngine(), change_clip=lambda c: replace(c, audio_S=None)
    )
    assert "no_audio" in codes(silent)


def test_a_checkpoint_is_not_asked_in_another_wording_than_it_learned(video: Path) -> None:
    learned_otherwise = ModelProfile(sampling=SMALL, prompt_hashes={"ah": "0" * 64})
    with pytest.raises(UserError) as caught:
        answer_video(video, load_task("ah"), EchoEngine(), learned_otherwise)
    assert caught.value.code == "other_prompt"
    forced = answer_video(video, load_task("ah"), EchoEngine(), learned_otherwise, force=True)
    assert "unfamiliar_question" in codes(forced)
    answer_video(video, question_task("Is it day?", ("yes", "no")), EchoEngine(), learned_otherwise)


def test_a_scoring_beside_the_checkpoint_decides_and_its_id_travels(video: Path) -> None:
    scoring = entry(pooling="max", temperature=2.0, abstention=Abstention(most_without_sound=1))
    found = ScoringFile().with_task(scoring)
    answer = answer_video(video, load_task("ah"), EchoEngine(), scorings=found)
    highest = max(part.probabilities["yes"] for part in answer.segments)
    assert answer.uncalibrated["yes"] == pytest.approx(highest)
    assert answer.probabilities["yes"] == pytest.approx(Calibration(2.0, 0.2).apply(highest))
    assert (answer.calibration, answer.pooling) == (scoring.id, "max")
    assert "uncalibrated" not in codes(answer)
    bare = answer_video(video, load_task("ah"), EchoEngine())
    assert bare.calibration is None
    assert "uncalibrated" in codes(bare)
    assert [part.probabilities for part in bare.segments] == [
        part.probabilities for part in answer.segments
    ]
    with pytest.raises(UserError, match=r"scoring\.json"):
        answer_video(video, load_task("ah"), EchoEngine(), max_seconds=2.0, scorings=found)


def test_a_video_without_most_of_its_sound_gets_no_answer_but_a_probability(video: Path) -> None:
    found = ScoringFile().with_task(entry())
    answer = answer_video(video, load_task("ah"), EchoEngine(), scorings=found)
    assert answer.answer is None
    assert answer.abstained
    assert [reason.code for reason in answer.abstained_because] == ["missing_audio"]
    assert answer.probabilities["yes"] > 0
    assert VideoAnswer.model_validate(answer.as_dict()) == answer


def test_clips_can_be_changed_before_the_model_sees_them(video: Path) -> None:
    def grey(clip: Clip) -> Clip:
        return replace(clip, frames_THWC=np.full_like(clip.frames_THWC, 128))

    engine = Watching()
    answer_video(video, load_task("ah"), engine, change_clip=grey)
    assert all((made.frames_THWC == 128).all() for made in engine.inputs)


def test_free_text_is_given_for_each_segment(video: Path) -> None:
    answer = answer_video(video, question_task("What does she do?"), EchoEngine())
    assert answer.answer is None
    assert answer.probabilities == {}
    assert {part.answer for part in answer.segments} == {"What does she do?"}
    assert "answers_by_segment" in codes(answer)


def test_a_task_that_cannot_be_pooled_is_refused_before_reading(tmp_path: Path) -> None:
    task = load_task("ah").model_copy(update={"pooling": "median"})
    with pytest.raises(UserError) as caught:
        answer_video(tmp_path / "missing.mp4", task, EchoEngine())
    assert caught.value.code == "unknown_pooling"


def test_errors_of_the_video_and_of_the_engine_come_through(video: Path, tmp_path: Path) -> None:
    class Broken(EchoEngine):
        def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
            raise EngineError("engine_away", "away")

    with pytest.raises(EngineError):
        answer_video(video, load_task("ah"), Broken())
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(UserError) as caught:
        answer_video(text, load_task("ah"), EchoEngine())
    assert caught.value.code == "unsupported_container"


def test_a_video_without_a_face_is_not_answered_where_the_rule_looks_for_one(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = ScoringFile().with_task(entry(abstention=Abstention(most_without_sound=1)))
    looking = ScoringFile().with_task(
        entry(abstention=Abstention(most_without_sound=1, looks_for_faces=3))
    )
    assert answer_video(video, load_task("ah"), EchoEngine(), scorings=blind).answer is not None
    noise = answer_video(video, load_task("ah"), EchoEngine(), scorings=looking)
    assert [remark.code for remark in noise.abstained_because] == ["mostly_no_face"]
    looks: list[int] = []

    def every_other(frame_HWC: np.ndarray, *_: object) -> list[object]:
        looks.append(len(frame_HWC))
        return [object()] if len(looks) % 2 else []

    monkeypatch.setattr("mllm_affect.media.face.share.detect", every_other)
    seen = answer_video(video, load_task("ah"), EchoEngine(), scorings=looking)
    shares = [part.quality.face_share for part in seen.segments if part.quality]
    assert shares == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    assert seen.answer is not None
    assert len(looks) == 9

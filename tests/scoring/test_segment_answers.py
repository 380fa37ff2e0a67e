"""What an answer about a segment and about a video says, however it is sent."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scoring_entry import SEGMENTER

from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.scoring.abstention import Quality
from mllm_affect.scoring.answers import SegmentAnswer, VideoAnswer, VideoVerdict, segment_answer
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.task import Task

AH = load_task("ah")
GREY_THWC = np.full((2, 32, 32, 3), 102, np.uint8)


def clip(audio_S: np.ndarray | None) -> Clip:
    return Clip(
        Segment("s", 3, 10.0, 14.5, 250, 362, True), Sampling(), GREY_THWC, np.zeros(2), audio_S
    )


def free_text() -> Task:
    return AH.model_copy(update={"positive": None})


def test_a_segment_keeps_its_place_its_measures_and_its_logit() -> None:
    found = segment_answer(clip(np.ones(16, np.int16)), AH, "yes", {"yes": 0.8, "no": 0.2})
    assert (found.index, found.start_s, found.end_s, found.duration_s) == (3, 10.0, 14.5, 4.5)
    assert found.logit == pytest.approx(np.log(4))
    assert found.quality == Quality(brightness=0.4, has_sound=True)
    assert found.has_audio
    assert not segment_answer(clip(None), AH, "yes", {"yes": 0.8, "no": 0.2}).has_audio


def test_there_is_no_logit_without_probabilities_or_a_positive_answer() -> None:
    assert segment_answer(clip(None), AH, "she hesitates", {}).logit is None
    assert segment_answer(clip(None), free_text(), "yes", {"yes": 0.8, "no": 0.2}).logit is None


def test_a_face_found_later_is_added_to_the_measures() -> None:
    found = segment_answer(clip(None), AH, "yes", {"yes": 0.8, "no": 0.2})
    seen = found.with_face_share(0.25)
    assert seen.quality == Quality(brightness=0.4, has_sound=False, face_share=0.25)
    assert seen.model_copy(update={"quality": found.quality}) == found
    bare = found.model_copy(update={"quality": None})
    assert bare.with_face_share(0.25).quality is None


def answer() -> VideoAnswer:
    segment = segment_answer(clip(None), AH, "yes", {"yes": 0.8, "no": 0.2})
    return VideoAnswer(
        answer="yes", probabilities={"yes": 0.8, "no": 0.2}, task="ah", question="?",
        prompt_hash="0", pooling="max", positive="yes", threshold=0.5, model="m",
        sampling=Sampling(), segmenter=SEGMENTER, max_seconds=5.0, source_sha256="1",
        duration_s=4.5, timings_s={}, segments=(segment,),
    )  # fmt: skip


def test_an_answer_without_segments_is_the_same_in_all_else() -> None:
    whole = answer()
    bare = whole.verdict()
    assert type(bare) is VideoVerdict
    assert bare.model_dump() == {
        name: value for name, value in whole.model_dump().items() if name != "segments"
    }


def test_an_answer_that_says_nothing_of_abstaining_did_not_abstain() -> None:
    assert not answer().abstained
    assert answer().calibration is None


def test_an_answer_can_neither_be_changed_nor_hold_more_than_is_described() -> None:
    found = answer()
    with pytest.raises(ValidationError):
        found.answer = "no"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        found.segments[0].answer = "no"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        SegmentAnswer.model_validate({**found.segments[0].model_dump(), "mood": "fine"})


def test_the_json_form_is_read_back_as_it_was(tmp_path: Path) -> None:
    found = answer()
    assert VideoAnswer.model_validate(found.as_dict()) == found

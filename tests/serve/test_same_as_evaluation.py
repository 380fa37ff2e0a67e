"""One checkpoint, one scoring.json: evaluation and service give the same answer about a file."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from scoring_entry import entry
from service_in_process import Service

from eval.answerers import open_answerer
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.profile import read_profile
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.scoring.scoring_file import read_scoring, write_scoring
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.video_context import UNKNOWN


class ReadyTransformers(TransformersEngine):
    def is_ready(self) -> bool:
        return True


def without_numbers(answer: VideoAnswer) -> VideoAnswer:
    """The answer without what threads may change in its last places, and without times taken."""
    bare = {"probabilities": {}, "logit": None}
    segments = tuple(part.model_copy(update=bare) for part in answer.segments)
    gone = {"timings_s": {}, "probabilities": {}, "uncalibrated": {}, "segments": segments}
    return answer.model_copy(update=gone)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored") / "miniature"
    shutil.copytree(embedded_checkpoint(), folder)
    sampling = read_profile(folder).sampling
    write_scoring(folder, entry(pooling="log_sum_exp:4", temperature=3.0, sampling=sampling))
    return folder


def test_the_service_answers_as_evaluation_does(checkpoint: Path, video: Path) -> None:
    task = load_task("ah")
    with open_answerer(task, checkpoint, None, None) as answerer:
        evaluated = VideoAnswer.model_validate(answerer.ask(video, UNKNOWN))
        assert answerer.settings["calibration"] == evaluated.calibration
    engine = ReadyTransformers(checkpoint)
    scorings = read_scoring(checkpoint)
    service = Service(profile=read_profile(checkpoint), scorings=scorings, engine=engine)
    response: Any = service.ask(video, task="ah")
    served = VideoAnswer.model_validate(json.loads(response.text))
    engine.close()
    assert served.calibration == scorings.tasks["ah"].id
    assert served.probabilities["yes"] == pytest.approx(evaluated.probabilities["yes"], abs=1e-6)
    assert [s.logit for s in served.segments] == pytest.approx(
        [s.logit for s in evaluated.segments], abs=1e-5
    )
    assert without_numbers(served) == without_numbers(evaluated)
    assert served.probabilities != served.uncalibrated


def test_what_is_taken_away_on_purpose_is_no_reason_to_abstain(
    checkpoint: Path, video: Path
) -> None:
    with open_answerer(load_task("ah"), checkpoint, None, "audio") as answerer:
        deaf = VideoAnswer.model_validate(answerer.ask(video, UNKNOWN))
        assert answerer.settings["calibration"] == deaf.calibration
    assert not deaf.abstained
    assert [part.quality.has_sound for part in deaf.segments if part.quality] == [False, False]
    assert deaf.calibration != read_scoring(checkpoint).tasks["ah"].id

"""A clip asked and a video scanned give the same with vLLM as with transformers."""

from collections.abc import Iterator

import pytest
from engine_server import RunningEngine

from mllm_affect.data.megc.clip_folders import ClipFinder
from mllm_affect.data.megc.made_faces import MadeFace, Movement, write_frames
from mllm_affect.data.megc.questions import Asked, Kind
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.expressions.viewer import Viewer
from mllm_affect.model.profile import read_profile
from mllm_affect.scoring.video_events import EventRule
from mllm_affect.tasks.clip_tasks import clip_tasks
from mllm_affect.tasks.prompts import load_family

pytestmark = [pytest.mark.engine, pytest.mark.rebuild]

WITHIN = 1e-3
LOOK_CLOSER = EventRule(threshold=0.9, floor=1e-9)
"""Every window is asked everything."""


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> ClipFinder:
    folder = tmp_path_factory.mktemp("both")
    smile = Movement(("lip corner puller",), "happiness", 0.2, 0.4, 0.6, 0.8)
    face = MadeFace("test", 3, 5, rate_fps=30.0, seconds=1.0, movements=(smile,))
    write_frames(folder / "clip", face)
    return ClipFinder(folder)


@pytest.fixture(scope="module")
def transformers(running_engine: RunningEngine) -> Iterator[Viewer]:
    engine = TransformersEngine(running_engine.checkpoint)
    yield Viewer(engine, read_profile(running_engine.checkpoint), trusted=True)
    engine.close()


def test_both_engines_say_the_same(
    running_engine: RunningEngine,
    vllm_engine: VllmEngine,
    transformers: Viewer,
    finder: ClipFinder,
) -> None:
    vllm = Viewer(vllm_engine, read_profile(running_engine.checkpoint), trusted=True)
    files = finder.find("clip")
    asking = load_family("me_vqa")
    tasks = clip_tasks([Asked(Kind.unit)], asking)
    here, there = (viewer.ask(files, "casme3", asking, tasks) for viewer in (transformers, vllm))
    assert here.keys() == there.keys()
    for asked, probabilities in here.items():
        assert there[asked] == pytest.approx(probabilities, abs=WITHIN), asked
    family = load_family("me_lvqa")
    scans = [viewer.scan(files, "casme3", family, LOOK_CLOSER) for viewer in (transformers, vllm)]
    assert len(scans[0]) == len(scans[1]) >= 3
    for one, other in zip(*scans, strict=True):
        assert (one.start_s, one.end_s) == (other.start_s, other.end_s)
        assert other.probability == pytest.approx(one.probability, abs=WITHIN)
        assert other.units == pytest.approx(one.units, abs=WITHIN)
        assert other.micro == pytest.approx(one.micro, abs=WITHIN)

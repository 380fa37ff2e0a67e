"""A checkpoint with evidence learns the micro-expression tasks; its answers rest on evidence."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from finetune.recipe import load_recipe
from finetune.run import run
from mllm_affect.data.megc.clip_folders import ClipFinder
from mllm_affect.data.megc.made_data import make_megc
from mllm_affect.data.megc.made_plan import MegcPlan, plan_train
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.expressions.viewer import Viewer
from mllm_affect.files import read_jsonl
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.clip_tasks import clip_tasks
from mllm_affect.tasks.prompts import load_family

PLAN = MegcPlan(seed=3, subjects=2, clips_each=2, test_clips=2, long_videos=1,
                long_s=(8.0, 9.0), events=(2, 2))  # fmt: skip
STEPS = 12


@pytest.mark.rebuild
@pytest.mark.timeout(900)
def test_expressions_are_answered_from_evidence(composite: Path, tmp_path: Path) -> None:
    make_megc(tmp_path / "made", PLAN)
    changes = {"data": tmp_path / "made", "model": str(composite), "max_steps": STEPS}
    done = run(load_recipe("miniature-me", changes), tmp_path / "out", trusted=True)
    losses = [line["loss"] for line in read_jsonl(tmp_path / "out/steps.jsonl") if "loss" in line]
    assert losses[-1] < losses[0]
    told = {row["units"] for row in read_jsonl(tmp_path / "out/rows/rows.jsonl")}
    assert "" in told, "calm windows"
    assert any(units not in ("", "?") for units in told)

    engine = TransformersEngine(done.checkpoint)
    viewer = Viewer(engine, read_profile(done.checkpoint), trusted=True)
    family, clip = load_family("me_vqa"), plan_train(PLAN)[0]
    files = ClipFinder(tmp_path / "made/clips").find(clip.name, clip.subject)
    tasks = clip_tasks([], family)

    def said() -> NDArray[np.float64]:
        answers = viewer.ask(files, clip.dataset, family, tasks)
        return np.array([value for of_task in answers.values() for value in of_task.values()])

    whole = said()
    engine._model.thinker.evidence_projector.muted = frozenset({"content", "instruction"})
    assert np.abs(said() - whole).max() > 0.01

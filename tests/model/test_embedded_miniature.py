"""The checkpoint inside the package: intact, and as good as its manifest says."""

import json
from pathlib import Path

import pytest
import torch

from mllm_affect.data.examples import read_examples
from mllm_affect.data.made.clips import plan_clips
from mllm_affect.data.made.folders import make_folders
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.model.encode import encode
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.miniature.build import figures_on
from mllm_affect.model.miniature.check import check_files
from mllm_affect.model.miniature.checkpoint import load_checkpoint
from mllm_affect.model.miniature.clip_set import make_clip_set
from mllm_affect.model.profile import read_profile
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.prompts import load_task

CHANCE_AT_MOST = 0.60


def test_every_file_is_the_one_in_the_manifest() -> None:
    assert check_files(embedded_checkpoint()) == []


def test_it_is_small_and_promises_enough() -> None:
    folder = embedded_checkpoint()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4_500_000
    figures = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["figures"]
    assert figures["ah"] >= 0.92
    assert figures["ah_without_audio"] <= CHANCE_AT_MOST
    assert figures["ah_without_video"] <= CHANCE_AT_MOST


@pytest.mark.rebuild
def test_it_keeps_its_promise_on_new_clips_in_memory() -> None:
    model, processor = load_checkpoint(embedded_checkpoint())
    clips = make_clip_set(plan_clips(160, "test", 77), processor.feature_extractor)
    figures = figures_on(model, processor.tokenizer, clips)
    assert figures["ah"] >= 0.90
    assert figures["emotion"] >= 0.75
    assert figures["voice"] >= 0.90
    assert figures["ah_without_audio"] <= CHANCE_AT_MOST
    assert figures["ah_without_video"] <= CHANCE_AT_MOST


@pytest.mark.rebuild
def test_it_keeps_its_promise_on_video_files(tmp_path: Path) -> None:
    """Through the reader, the one model input and the reference encoding, as serving does."""
    folder = embedded_checkpoint()
    model, processor = load_checkpoint(folder)
    task = read_profile(folder).fit(load_task("ah"))
    answers = [processor.tokenizer(answer)["input_ids"][0] for answer in task.answers]
    make_folders(tmp_path / "clips", {"test": 60}, seed=78)
    right = 0
    for example in read_examples(tmp_path / "clips"):
        source = probe(tmp_path / "clips" / example.video)
        (clip,) = read_clips(source, segment(source), task.sampling)
        with torch.inference_mode():
            logits = model.thinker(**encode(processor, model_input(clip, task))).logits
        right += task.answers[int(logits[0, -1, answers].argmax())] == example.labels["ah"]
    assert right / 60 >= 0.88

"""Fixtures of the fine-tuning tests."""

from pathlib import Path

import pytest

UNITS_OF = {"positive": "6,12", "negative": "4,15", "surprised": "1,2,5,26", "neutral": ""}


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature Qwen3-Omni with random weights."""
    from mllm_affect.model.miniature.checkpoint import write_untrained

    folder = tmp_path_factory.mktemp("untrained")
    write_untrained(folder, seed=3)
    return folder


@pytest.fixture(scope="session")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, each with the action units of the face that it shows."""
    from mllm_affect.data.examples import read_examples, write_examples
    from mllm_affect.data.made.clips import plan_clips
    from mllm_affect.data.made.folders import make_folders
    from mllm_affect.data.unit_labels import UNITS_LABEL

    folder = tmp_path_factory.mktemp("coded")
    make_folders(folder, {"train": 4}, seed=5)
    specs = plan_clips(4, "train", 5)
    examples = [
        example.model_copy(
            update={"labels": example.labels | {UNITS_LABEL: UNITS_OF[spec.emotion]}}
        )
        for example, spec in zip(read_examples(folder), specs, strict=True)
    ]
    write_examples(folder, examples)
    return folder

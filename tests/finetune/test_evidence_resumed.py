"""A training with evidence that was killed ends with the same weights, and stock vLLM serves them.

What is served is what was trained: vLLM answers as transformers does, and otherwise than the
checkpoint did before the training.
"""

from pathlib import Path

import pytest
from killed_training import undisturbed_and_killed
from noise_inputs import noise_input

from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_server import VllmServer
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.model.profile import read_profile

STEPS = 16
WITHIN = 0.02
ANSWERS = ("yes", "no")
KEPT = {"lora": "merged", "full": "model"}


@pytest.mark.rebuild
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("points", [1, pytest.param(5, marks=pytest.mark.trial)])
def test_killed_resumed_merged_and_served(
    method: str, points: int, coded: Path, composite: Path, tmp_path: Path
) -> None:
    words = ["--config", "miniature-evidence", "--data", str(coded), "--model", str(composite)]
    settings = (f"method={method}", "save_steps=2", "batch_size=4", "learning_rate=2.0e-3")
    for setting in (*settings, *(("lora_dropout=0.1",) if method == "lora" else ())):
        words += ["--set", setting]
    whole, killed = undisturbed_and_killed(words, STEPS, points, tmp_path, f"evidence {method}")
    checkpoint = KEPT[method]
    weights = sorted(path.relative_to(whole) for path in (whole / checkpoint).glob("*.safetensors"))
    assert weights
    for name in weights:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    check_served(killed / checkpoint, composite, tmp_path / "vllm.log")


def check_served(trained: Path, before: Path, log: Path) -> None:
    inputs = [noise_input(n, frames=2 * n, samples=None) for n in range(2, 10)]
    here, untrained = (
        [
            scores.log_probabilities["yes"]
            for scores in TransformersEngine(folder).score(inputs, ANSWERS)
        ]
        for folder in (trained, before)
    )
    sampling = read_profile(trained).sampling
    assert sampling is not None
    with VllmServer(trained, sampling, log) as server:
        server.wait_ready()
        vocabulary = Vocabulary.of_checkpoint(trained)
        client = VllmEngine(server.url, sampling.fps, trained.name, vocabulary=vocabulary)
        served = [scores.log_probabilities["yes"] for scores in client.score(inputs, ANSWERS)]
        client.close()
    assert served == pytest.approx(here, abs=WITHIN)
    assert max(abs(one - other) for one, other in zip(served, untrained, strict=True)) > 5 * WITHIN

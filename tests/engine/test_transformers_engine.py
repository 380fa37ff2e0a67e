"""The offline engine on the embedded miniature."""

import math
from pathlib import Path

import pytest
from noise_inputs import noise_input

from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.errors import UserError
from mllm_affect.model.miniature import embedded_checkpoint

SHARING_BEGINNINGS = ("sad", "sadness", "surprise", "surprised")


@pytest.fixture(scope="module")
def engine() -> TransformersEngine:
    return TransformersEngine(embedded_checkpoint())


def test_a_batch_answers_as_each_input_alone(engine: TransformersEngine) -> None:
    inputs = [
        noise_input(1, frames=2, samples=16_000),
        noise_input(2, frames=20, samples=None),
        noise_input(3, frames=6, samples=20_960),
        noise_input(4, frames=20, samples=80_000),
        noise_input(5, frames=2, samples=None, question="Where does the person look?"),
    ]
    together = engine.score(inputs, ("yes", "no"))
    for made, scores in zip(inputs, together, strict=True):
        (alone,) = engine.score([made], ("yes", "no"))
        assert scores.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)


def test_probabilities_follow_from_the_first_token(engine: TransformersEngine) -> None:
    made = noise_input(6)
    (scores,) = engine.score([made], ("yes", "no"))
    log_probabilities_V = engine.first_log_probabilities(made)
    vocabulary = engine._processor.tokenizer.get_vocab()
    weights = {
        answer: sum(
            math.exp(float(log_probabilities_V[vocabulary[answer[:n]]]))
            for n in range(1, len(answer) + 1)
            if answer[:n] in vocabulary
        )
        for answer in ("yes", "no")
    }
    total = sum(weights.values())
    assert scores.probabilities == pytest.approx(
        {a: w / total for a, w in weights.items()}, rel=1e-4
    )


def test_answers_that_begin_each_other(engine: TransformersEngine) -> None:
    (scores,) = engine.score([noise_input(7)], SHARING_BEGINNINGS)
    assert sum(scores.probabilities.values()) == pytest.approx(1.0)
    assert all(value > 0 for value in scores.probabilities.values())


def test_what_is_written_is_the_best_known_answer(engine: TransformersEngine) -> None:
    made = noise_input(8)
    (text,) = engine.generate([made], 8)
    (scores,) = engine.score([made], ("yes", "no"))
    assert text == scores.best


def test_folders_that_are_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_omni_moe"}')
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError) as caught:
            TransformersEngine(folder)
        assert caught.value.code == "bad_checkpoint"
        assert "\n" not in caught.value.sentence

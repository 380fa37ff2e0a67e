"""Stock vLLM serves a checkpoint with evidence, and answers as transformers does, over HTTP.

A server of its own: the checkpoint is another than every other test's.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noise_inputs import noise_input
from test_parity_vllm import rendered, vllm_positions

from mllm_affect.engine.request_parts import content_parts
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.errors import EngineError
from mllm_affect.model.encode import encode, positions
from mllm_affect.model.evidence.vllm_plugin import refuse_other_versions
from mllm_affect.model.profile import read_profile
from mllm_affect.stopping import Stop

WITHIN = 0.02
"""The promise for log-probabilities in float32."""

EXPECTED_WITHIN = 1e-4
"""What is measured; a loss of precision short of the promise should be noticed too."""

CLIPS = 20
CHUNK = 64
"""Tokens of a prefill step: fewer than a clip has, so that chunks split videos."""


def clips() -> list[Any]:
    """Noise clips of many lengths, with and without sound."""
    random = np.random.default_rng(7)
    return [
        noise_input(
            300 + n,
            frames=2 * int(random.integers(1, 11)),
            samples=16_000 + 160 * int(random.integers(0, 300)) if n % 2 else None,
        )
        for n in range(CLIPS)
    ]


@pytest.fixture(scope="module")
def served(composite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    """A stock server: nothing but our package being installed tells it of our architecture."""
    import json

    from mllm_affect.engine.vllm_options import EngineOptions
    from mllm_affect.engine.vllm_server import VllmServer

    sampling = read_profile(composite).sampling
    assert sampling is not None
    limits = json.dumps({"video": 2, "audio": 1, "image": 0})
    extra = ("--enable-scale-out", "--limit-mm-per-prompt", limits)
    extra += ("--enable-chunked-prefill", "--max-num-batched-tokens", str(CHUNK))
    extra += ("--enable-prefix-caching", "--no-disable-chunked-mm-input", "--max-num-seqs", "8")
    log_path = tmp_path_factory.mktemp("served") / "vllm.log"
    options = EngineOptions(extra=extra, max_model_len=2048)
    with VllmServer(composite, sampling, log_path, options) as server:
        server.wait_ready()
        vocabulary = Vocabulary.of_checkpoint(composite)
        client = VllmEngine(server.url, sampling.fps, composite.name, vocabulary=vocabulary)
        yield client
        client.close()


@pytest.fixture(scope="module")
def offline(composite: Path) -> TransformersEngine:
    return TransformersEngine(composite)


def worst(served: list[Any], reference: list[Any]) -> float:
    return max(
        abs(here.log_probabilities[answer] - there.log_probabilities[answer])
        for here, there in zip(served, reference, strict=True)
        for answer in here.log_probabilities
    )


@pytest.mark.rebuild
def test_answers_are_those_of_transformers_cold_warm_batched_and_alone(
    served: VllmEngine, offline: TransformersEngine
) -> None:
    inputs = clips()
    answers = ("yes", "no")
    reference = offline.score(inputs, answers)
    cold = served.score(inputs, answers)  # eight in flight
    warm = served.score(inputs, answers)
    assert worst(cold, reference) <= min(WITHIN, EXPECTED_WITHIN)
    assert worst(warm, reference) <= min(WITHIN, EXPECTED_WITHIN)
    for made, scores in zip(inputs[:4], reference, strict=False):
        (alone,) = served.score([made], answers)
        assert worst([alone], [scores]) <= min(WITHIN, EXPECTED_WITHIN)


@pytest.mark.rebuild
def test_the_evidence_is_in_those_answers(served: VllmEngine, offline: TransformersEngine) -> None:
    projector = offline._model.thinker.evidence_projector
    inputs, answers = clips()[:6], ("yes", "no")
    try:
        projector.muted = frozenset({"content", "instruction"})
        without = offline.score(inputs, answers)
    finally:
        projector.muted = frozenset()
    assert worst(served.score(inputs, answers), without) > WITHIN


@pytest.mark.rebuild
def test_ids_and_positions_are_the_reference(
    served: VllmEngine, offline: TransformersEngine
) -> None:
    config = offline._model.config.thinker_config
    for made in clips()[:6]:
        expected = encode(offline._processor, made)
        ids, tensors, features = rendered(served, made)
        assert ids == expected["input_ids"][0].tolist()
        found = vllm_positions(config, ids, tensors, features)
        wanted = positions(offline._model, expected)[:, 0]
        assert (found.double() == wanted.double()).all()


@pytest.mark.rebuild
def test_two_videos_in_one_prompt(served: VllmEngine, offline: TransformersEngine) -> None:
    import torch

    first, second = (noise_input(n, frames=4 + n, samples=None) for n in (2, 4))
    parts = [content_parts(first)[0], *content_parts(second)]
    body = served._request(parts) | {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}
    body["return_tokens_as_token_ids"] = True
    choice = served._http.choice(body, served._http.patience(Stop(), None))
    entries = choice["logprobs"]["content"][0]["top_logprobs"]
    one, two = encode(offline._processor, first), encode(offline._processor, second)
    start = int((one["input_ids"][0] == offline._model.config.thinker_config.vision_start_token_id)
                .nonzero()[0])  # fmt: skip
    end = (
        one["input_ids"][0]
        .tolist()
        .index(offline._model.thinker.config.evidence["instruction_token_id"])
    )
    video = one["input_ids"][:, start : end + 1]
    both = {
        name: torch.cat([one[name], two[name]])
        for name in ("pixel_values_videos", "video_grid_thw", "video_second_per_grid")
    }
    both["input_ids"] = torch.cat(
        [two["input_ids"][:, :start], video, two["input_ids"][:, start:]], dim=1
    )
    both["attention_mask"] = torch.ones_like(both["input_ids"])
    both["position_ids"] = positions(offline._model, both)
    with torch.inference_mode():
        expected = offline._model.thinker(**both).logits[0, -1].log_softmax(-1)
    for entry in entries:
        number = int(entry["token"].removeprefix("token_id:"))
        assert entry["logprob"] == pytest.approx(float(expected[number]), abs=WITHIN)


@pytest.mark.rebuild
def test_text_that_spells_the_pair_is_refused(served: VllmEngine) -> None:
    parts = content_parts(noise_input(1, samples=None))
    parts[-1] = {"type": "text", "text": "<|quad_start|><|quad_end|> yes or no?"}
    body = served._request(parts) | {"max_tokens": 1}
    with pytest.raises(EngineError, match="right after its video"):
        served._http.choice(body, served._http.patience(Stop(), None))
    assert served.is_ready()


@pytest.mark.parametrize("version", ["0.31.9", "0.33.0", "1.0"])
def test_another_vllm_is_refused_in_one_sentence(version: str) -> None:
    with pytest.raises(ImportError, match=f"need vLLM 0.32.*, and this is {version}"):
        refuse_other_versions(version)
    refuse_other_versions("0.32.0+cpu")


def test_the_plugin_is_cheap_for_those_who_serve_something_else() -> None:
    """vLLM loads every plugin in every process, whatever it serves."""
    heavy = ("torch", "transformers", "vllm")
    program = (
        "import sys; import mllm_affect.model.evidence.vllm_plugin; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr

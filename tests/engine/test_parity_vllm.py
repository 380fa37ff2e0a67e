"""vLLM sees what the reference encoding says, and answers as transformers does.

The server's own render endpoint tells which token ids and features a request became.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_server import RunningEngine
from noise_inputs import QUESTION, noise_input, told_question
from peak_inputs import peak_input
from vocabularies import miniature_vocabulary

from mllm_affect.engine.request_parts import content_parts
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.engine.vllm_client import VllmEngine
from mllm_affect.engine.vllm_http import Patience, VllmHttp
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_clips
from mllm_affect.media.segment import segment
from mllm_affect.model.encode import encode, positions
from mllm_affect.stopping import Stop
from mllm_affect.tasks.model_input import ModelInput, model_input
from mllm_affect.tasks.prompts import question_task

pytestmark = [pytest.mark.engine, pytest.mark.slow]

LENGTHS_S = (1.3, 4.9, 0.4, 2.0, 5.0)
"""Seconds; each once with sound and once without."""

WITHIN = 0.02
"""The promise for log-probabilities in float32."""

EXPECTED_WITHIN = 1e-4
"""What is measured; a loss of precision short of the promise should be noticed too."""


def cut_video(folder: Path, seconds: float, sound: bool) -> Path:
    """A made clip, cut to so many seconds, with or without its sound."""
    from mllm_affect.data.made.clips import FRAME_RATE, make_clip, plan_clips
    from mllm_affect.data.made.folders import write_video

    specs = plan_clips(64, "test", seed=round(seconds * 10))
    made = make_clip(max(specs, key=lambda spec: spec.frames))
    frames = round(seconds * FRAME_RATE)
    path = folder / f"{seconds}-{sound}.mp4"
    whole = folder / f"whole-{seconds}.mp4"
    write_video(made.frames_THWC[:frames], made.audio_S[: round(seconds * 16_000)], whole)
    if sound:
        return whole.rename(path)
    import ffmpeg
    from imageio_ffmpeg import get_ffmpeg_exe

    stream = ffmpeg.output(ffmpeg.input(str(whole)).video, str(path), vcodec="copy")
    ffmpeg.run(stream, cmd=get_ffmpeg_exe(), quiet=True)
    return path


@pytest.fixture(scope="module")
def inputs(
    running_engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory
) -> list[ModelInput]:
    """Clips of ten made videos, one of noise, and one sampled around its motion peak."""
    folder, task = tmp_path_factory.mktemp("parity"), question_task(QUESTION, ("yes", "no"))
    made = [noise_input(1, frames=6, samples=24_160), peak_input(folder, running_engine.sampling)]
    for seconds in LENGTHS_S:
        for sound in (True, False):
            source = probe(cut_video(folder, seconds, sound))
            for clip in read_clips(source, segment(source), running_engine.sampling):
                assert (clip.audio_S is not None) == sound
                made.append(model_input(clip, task))
    made.append(noise_input(2, frames=4, samples=32_000, question=told_question()))
    return made


@pytest.fixture(scope="module")
def offline(running_engine: RunningEngine) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(running_engine.checkpoint)
    yield engine
    engine.close()


def patience_of(engine: VllmEngine) -> Patience:
    return engine._http.patience(Stop(), None)


def rendered(engine: VllmEngine, made: ModelInput) -> tuple[list[int], dict[str, Any], Any]:
    """What vLLM makes of a request: token ids, tensors by name, and its features."""
    from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import decode_mm_kwargs_item

    body = engine._request(content_parts(made))
    response = engine._http.post("/v1/chat/completions/render", body, patience_of(engine))
    assert response.status_code == 200, response.text
    answer = response.json()
    features = answer["features"]
    tensors: dict[str, Any] = {}
    for kind, items in features["kwargs_data"].items():
        assert len(items) == 1, kind
        tensors |= {name: field.data for name, field in decode_mm_kwargs_item(items[0]).items()}
    return answer["token_ids"], tensors, features


def test_ids_and_features_are_the_reference(
    vllm_engine: VllmEngine, offline: TransformersEngine, inputs: list[ModelInput]
) -> None:
    assert len(inputs) >= 8
    for made in inputs:
        expected = encode(offline._processor, made)
        ids, tensors, _ = rendered(vllm_engine, made)
        assert ids == expected["input_ids"][0].tolist()
        torch.testing.assert_close(
            tensors["pixel_values_videos"].float(),
            expected["pixel_values_videos"],
            atol=1e-6,
            rtol=0,
        )
        assert tensors["video_grid_thw"].tolist() == expected["video_grid_thw"][0].tolist()
        assert float(tensors["second_per_grid_ts"]) == float(expected["video_second_per_grid"][0])
        if made.audio_S is None:
            assert "input_audio_features" not in tensors
            continue
        mask = expected["feature_attention_mask"][0].bool()
        torch.testing.assert_close(
            tensors["input_audio_features"].float(),
            expected["input_features"][0][:, mask],
            atol=1e-5,
            rtol=0,
        )


def test_positions_are_the_reference(
    vllm_engine: VllmEngine, offline: TransformersEngine, inputs: list[ModelInput]
) -> None:
    for made in inputs:
        expected_3L = positions(offline._model, encode(offline._processor, made))[:, 0]
        ids, tensors, features = rendered(vllm_engine, made)
        found_3L = vllm_positions(offline._model.config.thinker_config, ids, tensors, features)
        torch.testing.assert_close(found_3L.double(), expected_3L.double(), atol=0, rtol=0)


def vllm_positions(config: Any, ids: list[int], tensors: dict[str, Any], features: Any) -> Any:
    """vLLM's own M-RoPE positions (3, L), computed by its model class from a rendered request."""
    from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import decode_mm_kwargs_item
    from vllm.model_executor.models.qwen3_omni_moe_thinker import (
        Qwen3OmniMoeThinkerForConditionalGeneration,
    )
    from vllm.multimodal.inputs import MultiModalFeatureSpec, PlaceholderRange

    specs = [
        MultiModalFeatureSpec(
            data=decode_mm_kwargs_item(features["kwargs_data"][kind][0]),
            modality=kind,
            identifier=kind,
            mm_position=PlaceholderRange(**place),
        )
        for kind, (place,) in features["mm_placeholders"].items()
    ]
    specs.sort(key=lambda spec: spec.mm_position.offset)
    model = Qwen3OmniMoeThinkerForConditionalGeneration.__new__(
        Qwen3OmniMoeThinkerForConditionalGeneration
    )
    torch.nn.Module.__init__(model)
    model.config = config
    found_3L, _ = model.get_mrope_input_positions(ids, specs)
    return found_3L


def test_log_probabilities_are_those_of_transformers(
    vllm_engine: VllmEngine, offline: TransformersEngine, inputs: list[ModelInput]
) -> None:
    for answers in (("yes", "no"), ("neutral", "positive", "negative", "surprised", "sad")):
        served = vllm_engine.score(inputs, answers)
        reference = offline.score(inputs, answers)
        worst = max(
            abs(here.log_probabilities[answer] - there.log_probabilities[answer])
            for here, there in zip(served, reference, strict=True)
            for answer in answers
        )
        assert worst <= min(WITHIN, EXPECTED_WITHIN)


def test_answers_that_begin_each_other_agree_too(
    vllm_engine: VllmEngine, offline: TransformersEngine, inputs: list[ModelInput]
) -> None:
    answers = ("AU1", "AU12", "AU2", "AU25")
    (served,), (reference,) = (e.score(inputs[1:2], answers) for e in (vllm_engine, offline))
    assert served.log_probabilities == pytest.approx(
        reference.log_probabilities, abs=EXPECTED_WITHIN
    )


SCRIPTS = {
    "Latin": ("schön", "schlecht"),
    "Cyrillic": ("да", "нет"),
    "Greek": ("ναι", "όχι"),  # noqa: RUF001 - Greek it is
    "Chinese": ("是", "否"),
    "Japanese": ("はい", "いいえ"),
    "Korean": ("예", "아니요"),
    "Arabic": ("نعم", "لا"),
    "Hebrew": ("כן", "לא"),
    "Devanagari": ("हाँ", "नहीं"),
    "Thai": ("ใช่", "ไม่"),
    "emoji": ("😀", "😢", "🙂"),
}
"""The miniature has no token for any letter of the last ten, and needs two to four for each."""


@pytest.mark.parametrize("script", SCRIPTS)
def test_answers_in_any_script_agree(
    vllm_engine: VllmEngine, offline: TransformersEngine, inputs: list[ModelInput], script: str
) -> None:
    answers = SCRIPTS[script]
    for made in inputs[2:4]:
        (served,), (reference,) = (e.score([made], answers) for e in (vllm_engine, offline))
        assert served.log_probabilities == pytest.approx(
            reference.log_probabilities, abs=EXPECTED_WITHIN
        )
        assert min(served.probabilities.values()) > 1e-3, "none is left out"


def test_a_clip_that_was_sent_before_is_asked_about_by_its_name(
    running_engine: RunningEngine, inputs: list[ModelInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, by name that the server does not know, and sent: three ways to one answer."""
    whole: list[int] = []
    post = VllmHttp.post

    def watched(http: VllmHttp, path: str, body: dict[str, Any], patience: Patience) -> Any:
        answer = post(http, path, body, patience)
        video = body["messages"][0]["content"][-2]["video_url"]["url"]
        whole.append(answer.status_code if video else -answer.status_code)
        return answer

    monkeypatch.setattr(VllmHttp, "post", watched)

    def ask(engine: VllmEngine, question: str) -> list[dict[str, float]]:
        whole.clear()
        asked = [replace(made, text=question) for made in inputs[:6]]
        return [scores.probabilities for scores in engine.score(asked, ("yes", "no"))]

    rate = running_engine.sampling.fps
    vocabulary = miniature_vocabulary()
    clients = [
        VllmEngine(running_engine.url, rate, "miniature", concurrency=1, vocabulary=vocabulary)
        for _ in range(3)
    ]
    ask(clients[0], "Is anybody there?")
    assert whole == [200] * 6
    named = ask(clients[0], QUESTION)
    assert whole == [-200] * 6
    sent = ask(clients[1], QUESTION)
    assert whole == [200] * 6
    clients[2]._media.sent(clients[2]._media.name_of(inputs[0]))
    missed = ask(clients[2], QUESTION)
    assert whole == [-400, *[200] * 6]
    for one, two, three in zip(named, sent, missed, strict=True):
        assert one == pytest.approx(two, abs=1e-6)
        assert two == pytest.approx(three, abs=1e-6)
    for client in clients:
        client.close()


def test_free_text_agrees(
    vllm_engine: VllmEngine, offline: TransformersEngine, inputs: list[ModelInput]
) -> None:
    assert vllm_engine.generate(inputs[:4], 8) == offline.generate(inputs[:4], 8)


def test_unconstrained_first_token_agrees(
    vllm_engine: VllmEngine, offline: TransformersEngine, inputs: list[ModelInput]
) -> None:
    """The tenth part of the vocabulary that matters, not only the allowed answers."""
    for made in inputs[:4]:
        body = vllm_engine._request(content_parts(made))
        body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}
        body["return_tokens_as_token_ids"] = True
        choice = vllm_engine._http.choice(body, patience_of(vllm_engine))
        entries = choice["logprobs"]["content"][0]["top_logprobs"]
        expected_V = offline.first_log_probabilities(made)
        for entry in entries:
            number = int(entry["token"].removeprefix("token_id:"))
            assert math.isclose(entry["logprob"], float(expected_V[number]), abs_tol=WITHIN)


def test_what_arrives_does_not_depend_on_who_else_asks(
    vllm_engine: VllmEngine, offline: TransformersEngine
) -> None:
    """Batched with long clips, a short one keeps its answer (its sound is a whole second)."""
    random = np.random.default_rng(5)
    inputs = [
        noise_input(100 + n, frames=2, samples=16_000 + 160 * int(random.integers(0, 400)))
        for n in range(24)
    ]
    served = vllm_engine.score(inputs, ("yes", "no"))
    for made, scores in zip(inputs, served, strict=True):
        (alone,) = offline.score([made], ("yes", "no"))
        assert scores.log_probabilities == pytest.approx(
            alone.log_probabilities, abs=EXPECTED_WITHIN
        )

"""Questions to a vLLM server over its OpenAI-compatible interface.

Does: send audio, frames and text as separate parts, losslessly; read log-probabilities; keep
several requests in flight.  Does not: start a server, sample frames or pool answers.
"""

import base64
import io
import wave
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from PIL import Image

from mllm_affect.engine.answer_tree import check_answers, score_answers
from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.vllm_options import MAX_LOG_PROBABILITIES, SERVED_NAME
from mllm_affect.errors import EngineError, UserError
from mllm_affect.media.types import AUDIO_RATE
from mllm_affect.tasks.model_input import ModelInput

REQUEST_SECONDS = 300.0


class VllmEngine:
    """An Engine over one vLLM server whose frame rate is `fps` (one rate a server)."""

    def __init__(
        self,
        url: str,
        fps: float,
        model_id: str,
        served_name: str = SERVED_NAME,
        concurrency: int = 8,
    ) -> None:
        self._fps, self._model_id, self._served_name = fps, model_id, served_name
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(REQUEST_SECONDS, connect=2.0),
            limits=httpx.Limits(max_connections=4 * concurrency),
        )
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="vllm-request")

    @property
    def model_id(self) -> str:
        """Name of the checkpoint."""
        return self._model_id

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine."""
        check_answers(answers)
        return list(self._pool.map(lambda made: self._score_one(made, answers), inputs))

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine."""
        return list(self._pool.map(lambda made: self._write_one(made, max_new_tokens), inputs))

    def is_ready(self) -> bool:
        """Return whether the server answers now."""
        try:
            return self._http.get("/health", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Close connections; requests in flight end first."""
        self._pool.shutdown()
        self._http.close()

    def _score_one(self, made: ModelInput, answers: Sequence[str]) -> AnswerScores:
        parts = content_parts(made, self._fps)

        def next_tokens(written: bytes, endings: list[bytes]) -> Mapping[bytes, float]:
            body = self._request(parts, written)
            body["max_tokens"] = 1
            body["logprobs"] = True
            body["top_logprobs"] = MAX_LOG_PROBABILITIES
            body["structured_outputs"] = {"choice": [ending.decode() for ending in endings]}
            first = self._send(body)["logprobs"]["content"][0]
            return {_token_bytes(entry): float(entry["logprob"]) for entry in first["top_logprobs"]}

        return score_answers(next_tokens, answers)

    def _write_one(self, made: ModelInput, max_new_tokens: int) -> str:
        body = self._request(content_parts(made, self._fps), b"")
        body["max_tokens"] = max_new_tokens
        return str(self._send(body)["message"]["content"] or "").strip()

    def _request(self, parts: list[dict[str, Any]], written: bytes) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": parts}]
        if written:
            messages.append({"role": "assistant", "content": written.decode()})
        return {
            "model": self._served_name,
            "messages": messages,
            "add_generation_prompt": not written,
            "continue_final_message": bool(written),
            "temperature": 0,
            "seed": 0,
        }

    def _send(self, body: dict[str, Any]) -> Any:
        try:
            response = self._http.post("/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise EngineError(
                "engine_away", "The model server does not answer; try again in a moment."
            ) from error
        if response.status_code != 200:
            raise EngineError(
                "engine_refused",
                f"The model server refused the request with status {response.status_code}: "
                f"{_reason(response)}",
            )
        try:
            return response.json()["choices"][0]
        except (ValueError, KeyError, IndexError) as error:
            raise EngineError(
                "engine_garbled", "The model server's answer makes no sense; see its log."
            ) from error


def content_parts(made: ModelInput, fps: float) -> list[dict[str, Any]]:
    """Return the parts of the user message: audio (when there is any), video, text.

    The frame list is labelled `video/jpeg`, the label under which vLLM takes one, but holds PNG:
    each frame is opened by its content, so nothing is lost.
    Raises UserError `wrong_frame_rate` when the input was not sampled at the server's rate.
    """
    if made.fps != fps:
        raise UserError(
            "wrong_frame_rate",
            f"Task {made.task_id} samples {made.fps:g} frames a second, but this model server was "
            f"started for {fps:g}; serve the task with its own engine.",
        )
    frames = ",".join(_png_base64(frame_HWC) for frame_HWC in made.frames_THWC)
    parts: list[dict[str, Any]] = []
    if made.audio_S is not None:
        sound = {"data": _wav_base64(made), "format": "wav"}
        parts.append({"type": "input_audio", "input_audio": sound})
    parts.append({"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{frames}"}})
    parts.append({"type": "text", "text": made.text})
    return parts


def _png_base64(frame_HWC: Any) -> str:
    stream = io.BytesIO()
    Image.fromarray(frame_HWC).save(stream, format="PNG", compress_level=1)
    return base64.b64encode(stream.getvalue()).decode()


def _wav_base64(made: ModelInput) -> str:
    assert made.audio_S is not None
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(AUDIO_RATE)
        sound.writeframes(made.audio_S.astype("<i2").tobytes())
    return base64.b64encode(stream.getvalue()).decode()


def _token_bytes(entry: Mapping[str, Any]) -> bytes:
    if entry.get("bytes"):
        return bytes(entry["bytes"])
    return str(entry["token"]).encode()


def _reason(response: httpx.Response) -> str:
    try:
        error = response.json().get("error", {})
        return str(error.get("message", "no reason given"))[:300]
    except (ValueError, AttributeError):
        return "no reason given"

"""Questions to a vLLM server over its OpenAI-compatible interface.

Does: ask for log-probabilities of tokens by their ids, keep several requests in flight, send a
clip once for many questions, say plainly when the server is away.  Does not: start a server, sample
frames or pool answers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

import httpx

from mllm_affect.engine.answer_tree import Path, add_log, check_answers, score_answers
from mllm_affect.engine.connections import Connections
from mllm_affect.engine.request_parts import content_parts, named_parts
from mllm_affect.engine.sent_media import SentMedia
from mllm_affect.engine.server_process import bearer
from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.vllm_options import FORCED_TOKENS, SERVED_NAME
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.engine.watched_server import Health
from mllm_affect.errors import EngineError, UserError
from mllm_affect.tasks.model_input import ModelInput

R = TypeVar("R")

REQUEST_SECONDS = 300.0
HEALTH_SECONDS = 2.0
ATTEMPTS = 3
TOO_LONG = re.compile(r"longer than|context length|maximum model length|max_model_len")
NOT_KEPT = re.compile(r"Cache miss")
MOST_NAMED = 128
"""Tokens whose log-probability can be asked for in one request: vLLM's own bound."""


class _NotKeptError(EngineError):
    """The server was asked about media by a name that it no longer knows."""


@dataclass(frozen=True)
class _Question:
    """One input, the name of its media, and after how many hang-ups it began."""

    made: ModelInput
    name: str
    begun: int


class VllmEngine:
    """An Engine over one vLLM server whose frame rate is `fps` (one rate a server).

    `key`: the bearer token that the server asks for.
    """

    def __init__(
        self,
        url: str,
        fps: float,
        model_id: str,
        served_name: str = SERVED_NAME,
        concurrency: int = 8,
        key: str | None = None,
        *,
        vocabulary: Vocabulary,
    ) -> None:
        """Prepare a client; `vocabulary` is the served checkpoint's."""
        self._vocabulary = vocabulary
        self._fps, self._model_id, self._served_name = fps, model_id, served_name
        self._http = httpx.Client(
            base_url=url,
            headers=bearer(key),
            timeout=httpx.Timeout(REQUEST_SECONDS, connect=2.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=concurrency),
        )
        self._connections = Connections()
        self._media = SentMedia()
        # Never behind a question that hangs.
        self._health = httpx.Client(base_url=url, headers=bearer(key), timeout=HEALTH_SECONDS)
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="vllm-request")

    @property
    def model_id(self) -> str:
        """Name of the checkpoint."""
        return self._model_id

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine.

        Raises UserError `wrong_frame_rate` for an input sampled at another rate than the server's.
        """
        check_answers(answers)
        self._check_rate(inputs)
        return self._each(lambda made: self._score_one(made, answers), inputs)

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine and `score`."""
        self._check_rate(inputs)
        return self._each(lambda made: self._write_one(made, max_new_tokens), inputs)

    def is_ready(self) -> bool:
        """Return whether the server answers now."""
        return self.health() is Health.well

    def health(self) -> Health:
        """Return what the server's health check says; a connection refused is at once away."""
        try:
            status = self._health.get("/health").status_code
        except httpx.TimeoutException:
            return Health.silent
        except httpx.HTTPError:
            return Health.away
        return Health.well if status == httpx.codes.OK else Health.away

    def hang_up(self) -> None:
        """Give up what is in flight or asked before `take_up`: `engine_away` at once, for good."""
        self._connections.hang_up()

    def take_up(self) -> None:
        """Ask the server again."""
        self._connections.take_up()

    def close(self) -> None:
        """Close connections; requests in flight end first."""
        self._pool.shutdown()
        self._http.close()
        self._health.close()

    def _each(self, ask: Callable[[ModelInput], R], inputs: Sequence[ModelInput]) -> list[R]:
        if len(inputs) == 1:  # the caller's own thread will do
            return [ask(inputs[0])]
        return list(self._pool.map(ask, inputs))

    def _check_rate(self, inputs: Sequence[ModelInput]) -> None:
        for made in inputs:
            if made.fps != self._fps:
                raise UserError(
                    "wrong_frame_rate",
                    f"Task {made.task_id} samples {made.fps:g} frames a second, but this model "
                    f"server was started for {self._fps:g}; serve the task with its own engine.",
                )

    def _score_one(self, made: ModelInput, answers: Sequence[str]) -> AnswerScores:
        asked = self._question(made)

        def next_tokens(path: Path, endings: list[bytes]) -> Mapping[bytes, float]:
            tokens = self._vocabulary.beginnings(endings)
            numbers = [number for numbers in tokens.values() for number in numbers]
            values: dict[int, float] = {}
            for start in range(0, len(numbers), MOST_NAMED):
                values |= self._after(asked, path, numbers[start : start + MOST_NAMED])
            return {
                token: reduce(add_log, [values[number] for number in numbers])
                for token, numbers in tokens.items()
            }

        return score_answers(next_tokens, answers)

    def _after(self, asked: _Question, path: Path, numbers: Sequence[int]) -> dict[int, float]:
        """Return the log-probability of each of these tokens after `path`."""
        written = [self._vocabulary.id_of(token) for token in path]
        wanted: dict[str, Any] = {
            "max_tokens": len(written) + 1,
            "logprobs": True,
            "logprob_token_ids": list(numbers),
            "return_tokens_as_token_ids": True,
        }
        if written:
            wanted["vllm_xargs"] = {FORCED_TOKENS: written}
        choice = self._ask(asked, wanted)
        try:
            return _log_probabilities(choice["logprobs"]["content"], written, numbers)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _garbled() from error

    def _write_one(self, made: ModelInput, max_new_tokens: int) -> str:
        choice = self._ask(self._question(made), {"max_tokens": max_new_tokens})
        try:
            return str(choice["message"]["content"] or "").strip()
        except (KeyError, TypeError) as error:
            raise _garbled() from error

    def _question(self, made: ModelInput) -> _Question:
        begun = self._connections.hang_ups
        return _Question(made, self._media.name_of(made), begun)

    def _ask(self, asked: _Question, wanted: Mapping[str, Any]) -> Any:
        """Ask by the name of the media where the server was sent them, else send them."""
        made, name = asked.made, asked.name
        if self._media.has(name):
            parts = named_parts(made, name)
            try:
                choice = self._send({**self._request(parts), **wanted}, asked.begun)
            except _NotKeptError:
                self._media.missed(name)
            else:
                self._media.known()
                return choice
        parts = content_parts(made, name)
        choice = self._send({**self._request(parts), **wanted}, asked.begun)
        self._media.sent(name)
        return choice

    def _request(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "model": self._served_name,
            "messages": [{"role": "user", "content": parts}],
            "temperature": 0,
        }

    def _send(self, body: dict[str, Any], begun: int) -> Any:
        response = self._post(body, begun)
        if response.status_code in (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE):
            raise _away()
        if response.status_code != httpx.codes.OK:
            raise _refusal(response)
        try:
            return response.json()["choices"][0]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise _garbled() from error

    def _post(self, body: dict[str, Any], begun: int) -> httpx.Response:
        """Send; a connection that was lost is tried again, as asking twice changes nothing."""
        for attempt in range(1, ATTEMPTS + 1):
            if not self._connections.may_send(begun):
                raise _away()
            try:
                return self._http.post(
                    "/v1/chat/completions",
                    json=body,
                    extensions=self._connections.extensions(begun),
                )
            except httpx.TimeoutException as error:
                raise EngineError(
                    "engine_timeout",
                    f"The model server gave no answer in {REQUEST_SECONDS:.0f} s; try again later.",
                ) from error
            except httpx.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise _away() from error
        raise AssertionError("unreachable")


def _log_probabilities(
    content: Sequence[Mapping[str, Any]], written: Sequence[int], numbers: Sequence[int]
) -> dict[int, float]:
    """Return the log-probability of each token of `numbers` after the tokens `written`.

    Raises ValueError where other tokens were written, KeyError where one is missing.
    """
    if [_id(step) for step in content[: len(written)]] != list(written):
        raise ValueError("the server did not write the forced tokens")
    entries = content[len(written)]["top_logprobs"]
    values = {_id(entry): float(entry["logprob"]) for entry in entries}
    return {number: values[number] for number in numbers}


def _id(entry: Mapping[str, Any]) -> int:
    """Return the id of a token that is told as `token_id:123`."""
    kind, _, number = str(entry["token"]).partition(":")
    if kind != "token_id":
        raise ValueError("the server tells tokens by their text")
    return int(number)


def _away() -> EngineError:
    return EngineError("engine_away", "The model server does not answer; try again in a moment.")


def _garbled() -> EngineError:
    return EngineError(
        "engine_garbled",
        "The model server's answer makes no sense; is it vLLM 0.32, started with the options that "
        "`mllm-affect serve --dry-run` prints?",
    )


def _refusal(response: httpx.Response) -> EngineError | UserError:
    """Return what a refusal means: too long an input, or a fault of ours or of the server."""
    try:
        reason = str(response.json()["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        reason = "no reason given"
    if response.status_code == httpx.codes.BAD_REQUEST and TOO_LONG.search(reason):
        return UserError(
            "input_too_long",
            "Clip and question together are longer than the model server reads; shorten the "
            "question, or serve with a larger --max-model-len.",
        )
    kind = EngineError
    if response.status_code == httpx.codes.BAD_REQUEST and NOT_KEPT.search(reason):
        kind = _NotKeptError
    return kind(
        "engine_refused",
        f"The model server refused the request with status {response.status_code}: {reason}",
    )

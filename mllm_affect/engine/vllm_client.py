"""Questions to a vLLM server over its OpenAI-compatible interface.

Does: ask for log-probabilities of tokens by their ids, keep several requests in flight, send a
clip once for many questions.  Does not: start a server, send requests (see vllm_http), sample
frames or pool answers.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

from mllm_affect.engine.answer_tree import Path, add_log, check_answers, score_answers
from mllm_affect.engine.bounds import Bounds
from mllm_affect.engine.request_parts import content_parts, named_parts
from mllm_affect.engine.sent_media import SentMedia
from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.vllm_http import NotKeptError, Patience, VllmHttp, garbled
from mllm_affect.engine.vllm_options import FORCED_TOKENS, SERVED_NAME
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.engine.watched_server import Health
from mllm_affect.errors import UserError
from mllm_affect.tasks.model_input import ModelInput

R = TypeVar("R")

MOST_NAMED = 128
"""Tokens whose log-probability can be asked for in one request: vLLM's own bound."""


@dataclass(frozen=True)
class _Question:
    """One input, the name of its media, and how long its answer may take."""

    made: ModelInput
    name: str
    patience: Patience


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
        self._http = VllmHttp(url, key, keep=concurrency)
        self._media = SentMedia()
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="vllm-request")

    @property
    def model_id(self) -> str:
        """Name of the checkpoint."""
        return self._model_id

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine.

        Raises UserError `wrong_frame_rate` for an input sampled at another rate than the server's.
        """
        return self.score_within(inputs, answers, Bounds())

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine and `score`."""
        return self.generate_within(inputs, max_new_tokens, Bounds())

    def score_within(
        self, inputs: Sequence[ModelInput], answers: Sequence[str], bounds: Bounds
    ) -> list[AnswerScores]:
        """Return the scores of `answers` within bounds; see BoundableEngine and `score`.

        Raises EngineError `question_timeout` where an input's own time has run out.
        """
        check_answers(answers)
        self._check_rate(inputs)
        return self._each(
            lambda made: self._score_one(self._question(made, bounds), answers), inputs
        )

    def generate_within(
        self, inputs: Sequence[ModelInput], max_new_tokens: int, bounds: Bounds
    ) -> list[str]:
        """Return greedy text within bounds; see BoundableEngine and `score_within`."""
        self._check_rate(inputs)
        return self._each(
            lambda made: self._write_one(self._question(made, bounds), max_new_tokens), inputs
        )

    def is_ready(self) -> bool:
        """Return whether the server answers now."""
        return self.health() is Health.well

    def health(self) -> Health:
        """Return what the server's health check says; a connection refused is at once away."""
        return self._http.health()

    def hang_up(self) -> None:
        """Give up what is in flight or asked before `take_up`: `engine_away` at once, for good."""
        self._http.hang_up()

    def take_up(self) -> None:
        """Ask the server again."""
        self._http.take_up()

    def close(self) -> None:
        """Close connections; requests in flight end first."""
        self._pool.shutdown()
        self._http.close()

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

    def _score_one(self, asked: _Question, answers: Sequence[str]) -> AnswerScores:
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
            raise garbled() from error

    def _write_one(self, asked: _Question, max_new_tokens: int) -> str:
        choice = self._ask(asked, {"max_tokens": max_new_tokens})
        try:
            return str(choice["message"]["content"] or "").strip()
        except (KeyError, TypeError) as error:
            raise garbled() from error

    def _question(self, made: ModelInput, bounds: Bounds) -> _Question:
        patience = self._http.patience(bounds.stop, bounds.seconds)
        return _Question(made, self._media.name_of(made), patience)

    def _ask(self, asked: _Question, wanted: Mapping[str, Any]) -> Any:
        """Ask by the name of the media where the server was sent them, else send them."""
        made, name = asked.made, asked.name
        if self._media.has(name):
            parts = named_parts(made, name)
            try:
                choice = self._http.choice({**self._request(parts), **wanted}, asked.patience)
            except NotKeptError:
                self._media.missed(name)
            else:
                self._media.known()
                return choice
        parts = content_parts(made, name)
        choice = self._http.choice({**self._request(parts), **wanted}, asked.patience)
        self._media.sent(name)
        return choice

    def _request(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "model": self._served_name,
            "messages": [{"role": "user", "content": parts}],
            "temperature": 0,
        }


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

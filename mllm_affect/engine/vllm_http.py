"""Requests to a vLLM server over HTTP.

Does: send one, try again where a connection was lost, give up when told to or when time has run
out, say what a refusal means.  Does not: word requests or read answers (see vllm_client).
"""

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx

from mllm_affect.engine.connections import Connections
from mllm_affect.engine.server_process import bearer
from mllm_affect.engine.watched_server import QUESTION_TIMEOUT, Health
from mllm_affect.errors import EngineError, UserError
from mllm_affect.http_client import http_client
from mllm_affect.stopping import Stop
from mllm_affect.tracing import span, trace_headers

REQUEST_SECONDS = 300.0
HEALTH_SECONDS = 2.0
ATTEMPTS = 3
TOO_LONG = re.compile(r"longer than|context length|maximum model length|max_model_len")
NOT_KEPT = re.compile(r"Cache miss")


class NotKeptError(EngineError):
    """The server was asked about media by a name that it no longer knows."""


@dataclass(frozen=True)
class Patience:
    """How long a question waits: it began after so many hang-ups, and ends at `deadline_s`.

    `deadline_s`: on `time.monotonic`'s clock, None for no bound of its own.
    """

    begun: int
    stop: Stop
    deadline_s: float | None = None

    def left_s(self) -> float:
        """Return the seconds that a request may take.

        Raises StoppedError when told to stop, EngineError when no time is left.
        """
        self.stop.check()
        if self.deadline_s is None:
            return REQUEST_SECONDS
        left_s = self.deadline_s - time.monotonic()
        if left_s <= 0:
            raise out_of_time()
        return min(REQUEST_SECONDS, left_s)


class VllmHttp:
    """A vLLM server's address; may be used from several threads."""

    def __init__(self, url: str, key: str | None, keep: int) -> None:
        """Prepare; `key`: the bearer token that the server asks for; `keep`: connections kept."""
        headers = bearer(key)

        def client() -> httpx.Client:
            return http_client(url, headers=headers)

        self._connections = Connections(client, keep)
        # Never behind a question that hangs.
        self._health = http_client(url, headers=headers, timeout=HEALTH_SECONDS)

    def patience(self, stop: Stop, seconds: float | None) -> Patience:
        """Return how long a question that begins now waits."""
        deadline_s = None if seconds is None else time.monotonic() + seconds
        return Patience(self._connections.hang_ups, stop, deadline_s)

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
        """Close the connections that are not in use."""
        self._connections.close()
        self._health.close()

    def choice(self, body: dict[str, Any], patience: Patience) -> Any:
        """Send a chat request; return the one choice of the answer.

        Raises StoppedError when told to stop, EngineError, UserError `input_too_long`.
        """
        with span("engine") as asking:
            response = self.post("/v1/chat/completions", body, patience)
            asking.set("http.response.status_code", response.status_code)
        if response.status_code in (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE):
            raise away()
        if response.status_code != httpx.codes.OK:
            raise _refusal(response)
        try:
            return response.json()["choices"][0]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise garbled() from error

    def post(self, path: str, body: dict[str, Any], patience: Patience) -> httpx.Response:
        """Send; a connection that was lost is tried again, as asking twice changes nothing."""

        def may_send() -> bool:
            return self._connections.may_send(patience.begun, patience.stop)

        with self._connections.lent() as connection, patience.stop.calling(connection.cut):
            for attempt in range(1, ATTEMPTS + 1):
                left_s = patience.left_s()
                if not may_send():
                    raise away()
                try:
                    return connection.client.post(
                        path,
                        json=body,
                        headers=trace_headers(),
                        timeout=httpx.Timeout(left_s, connect=min(2.0, left_s)),
                        extensions=dict(connection.extensions(may_send)),
                    )
                except httpx.ConnectTimeout as error:
                    raise away() from error
                except httpx.TimeoutException as error:
                    patience.left_s()
                    raise _timeout() from error
                except httpx.HTTPError as error:
                    patience.stop.check()
                    if attempt == ATTEMPTS:
                        raise away() from error
        raise AssertionError("unreachable")


def away() -> EngineError:
    """Return the error of a server that does not answer."""
    return EngineError("engine_away", "The model server does not answer; try again in a moment.")


def garbled() -> EngineError:
    """Return the error of a server whose answer cannot be read."""
    return EngineError(
        "engine_garbled",
        "The model server's answer makes no sense; is it vLLM 0.32, started with the options that "
        "`mllm-affect serve --dry-run` prints?",
    )


def out_of_time() -> EngineError:
    """Return the error of a question whose own time has run out."""
    return EngineError(
        QUESTION_TIMEOUT, "The question took longer than one may take; try again later."
    )


def _timeout() -> EngineError:
    return EngineError(
        "engine_timeout",
        f"The model server gave no answer in {REQUEST_SECONDS:.0f} s; try again later.",
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
        kind = NotKeptError
    return kind(
        "engine_refused",
        f"The model server refused the request with status {response.status_code}: {reason}",
    )

"""The model server that we start answers nobody without its key and fetches nothing."""

import asyncio
import json
from typing import Any

import pytest

from mllm_affect.engine.vllm_guard import KEY_VARIABLE, MIDDLEWARE, KeyRequired
from mllm_affect.engine.vllm_options import EngineOptions, serve_command, serve_environment
from mllm_affect.media.types import Sampling

KEY = "a random key"


def connected(headers: list[tuple[bytes, bytes]], kind: str = "http") -> list[Any]:
    """What a client is sent; `reached` where the application was asked."""
    sent: list[Any] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send("reached")

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "path": "/health", "headers": headers}
    asyncio.run(KeyRequired(application)(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Bearer another")],
        [(b"authorization", b"Basic a random key")],
        [(b"authorization", b"Bearer \xff")],
        [(b"authorization", f"Bearer {KEY}".encode())] * 2,
    ],
)
def test_nobody_gets_in_without_the_key(
    monkeypatch: pytest.MonkeyPatch, headers: list[tuple[bytes, bytes]]
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert connected(headers)[0]["status"] == 401
    assert connected(headers, "websocket") == [{"type": "websocket.close", "code": 1008}]
    assert connected([(b"authorization", f"Bearer {KEY}".encode())]) == ["reached"]
    assert connected([], "lifespan") == ["reached"]


def test_a_server_that_was_given_no_key_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(KeyError):
        connected([])


def test_the_key_is_in_the_environment_and_not_on_the_command_line() -> None:
    words = serve_command("model", Sampling(), 8001, EngineOptions(), cpu=True, keyed=True)  # type: ignore[arg-type]
    assert words[words.index("--middleware") + 1] == MIDDLEWARE
    assert words[words.index("--allowed-media-domains") + 1].endswith(".invalid")
    assert json.loads(words[words.index("--allowed-origins") + 1]) == []
    environment = serve_environment(EngineOptions(), cpu=True, base={}, key=KEY)
    assert environment[KEY_VARIABLE] == KEY
    assert KEY not in " ".join(words)
    # Without a key of ours nobody else's is asked for: our client would not have it.
    base = {KEY_VARIABLE: "of the user"}
    assert KEY_VARIABLE not in serve_environment(EngineOptions(), cpu=True, base=base)

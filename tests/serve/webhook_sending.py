"""Webhooks sent from a store within this process, to a receiver on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stored import MODEL, TASK, kept

from mllm_affect.client.webhooks import secret_bytes
from serve.meters import Meters
from serve.store import Store
from serve.webhooks.delivery import WebhookSender
from serve.webhooks.exchange import Exchange
from serve.webhooks.settings import WebhookHost, WebhookSettings

SECRET = "whsec_" + "c2VjcmV0IGJ5dGVzIG9mIGEgdGVzdCwgMzIgb2YgdGhlbS4="


def settings(port: int, **given: Any) -> WebhookSettings:
    quick = {"retry_after_try_s": (0.02,) * 7, "look_s": 0.02, "try_s": 2.0, "lease_s": 5.0}
    return WebhookSettings(
        hosts=(WebhookHost(name="127.0.0.1", port=port),),
        secrets=(secret_bytes(SECRET),),
        insecure=True,
        **{**quick, **given},
    )


@contextmanager
def sending(store: Store, given: WebhookSettings, meters: Meters | None = None) -> Iterator[None]:
    sender = WebhookSender(store.webhooks, Exchange(given), meters or Meters())
    sender.start()
    try:
        yield
    finally:
        sender.stop()


def ended(store: Store, url: str | None, key: str = "", content: bytes = b"video") -> str:
    """Ask for an analysis and end it; return its id."""
    video = kept(store, content=content)
    one = store.analyses.ask("", video, TASK, MODEL, key or None, webhook_url=url)
    assert store.analyses.cancel("", one.id) is not None
    return one.id


def state_of(store: Store, analysis_id: str) -> Any:
    return store.analyses.get("", analysis_id).webhook

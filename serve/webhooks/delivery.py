"""Sending webhook deliveries beside the analyses, in service and worker processes alike.

Does: take deliveries that are due, a bounded number at a time, and note what came of each.
Does not: the request itself (see exchange).  Nothing here is waited for by an analysis.
"""

import logging
import random
import threading
import time
from collections import Counter

from serve.meters import Meters
from serve.store.storage_errors import FAULTS
from serve.store.webhook_outbox import Delivery, WebhookOutbox
from serve.webhooks.exchange import Exchange, Outcome
from serve.webhooks.settings import WebhookSettings

log = logging.getLogger("mllm_affect.webhooks")

JITTER = 0.25
"""Pauses are made longer by up to this share, so that tries of many deliveries spread out."""


def pause_s(settings: WebhookSettings, tries: int, outcome: Outcome) -> float | None:
    """Return the pause after so many tries of which the last failed; None: no further try."""
    if outcome.is_final or tries > len(settings.retry_after_try_s):
        return None
    wanted_s = min(outcome.retry_after_s or 0.0, settings.longest_retry_after_s)
    pause = max(settings.retry_after_try_s[tries - 1], wanted_s)
    return pause * random.uniform(1.0, 1.0 + JITTER)


class WebhookSender:
    """One thread that looks for deliveries and one for each that is on its way."""

    def __init__(self, outbox: WebhookOutbox, exchange: Exchange, meters: Meters) -> None:
        self._outbox, self._exchange, self._meters = outbox, exchange, meters
        self._settings = exchange.settings
        self._stopping = threading.Event()
        self._free = threading.Semaphore(self._settings.at_once)
        self._lock, self._at_origin = threading.Lock(), Counter[str]()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Start sending, where webhooks are on."""
        if self._settings.are_on:
            self._thread.start()

    def stop(self, seconds: float = 2.0) -> None:
        """Take nothing more, and wait for what is on its way, but not longer than so.

        What is not sent by then is sent by another process or after the next start, once its lease
        has run out.
        """
        deadline = time.monotonic() + seconds
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        for _ in range(self._settings.at_once):
            self._free.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._send_next():
                    self._stopping.wait(self._settings.look_s)
            except FAULTS:  # the store logs when that begins and ends
                self._stopping.wait(self._settings.look_s)
            except Exception:
                log.exception("looking for webhook deliveries failed; it is tried again")
                self._stopping.wait(self._settings.look_s)

    def _send_next(self) -> bool:
        """Begin to send one delivery; return whether there was one and room for it."""
        if not self._free.acquire(timeout=self._settings.look_s):
            return False
        begun = False
        try:
            one = self._outbox.take(self._settings.lease_s, self._busy())
            if one is None:
                return False
            with self._lock:
                self._at_origin[origin_of(one.url)] += 1
            threading.Thread(target=self._deliver, args=(one,), name=one.id, daemon=True).start()
            begun = True
        finally:
            if not begun:
                self._free.release()
        return True

    def _busy(self) -> list[str]:
        """Return origins that use half of the room; slow receivers leave the rest to others."""
        most = max(1, self._settings.at_once // 2)
        with self._lock:
            return [origin for origin, number in self._at_origin.items() if number >= most]

    def _deliver(self, one: Delivery) -> None:
        try:
            try:
                outcome = self._exchange.send(one)
            except Exception:
                log.exception("sending webhook delivery %s failed inside the service", one.id)
                outcome = Outcome(error="internal_error")
            self._note(one, outcome)
        except FAULTS:
            pass  # sent again, with the same id, once its lease has run out
        finally:
            with self._lock:
                self._at_origin[origin_of(one.url)] -= 1
                self._at_origin += Counter()  # drops those at zero
            self._free.release()

    def _note(self, one: Delivery, outcome: Outcome) -> None:
        status, error = outcome.status, outcome.error
        if outcome.is_delivered and status is not None:
            self._outbox.delivered(one, status)
            came_of_it = "delivered"
        elif (pause := pause_s(self._settings, one.tries, outcome)) is None:
            self._outbox.give_up(one, status, error)
            came_of_it = "given_up"
        else:
            self._outbox.try_again(one, pause, status, error)
            came_of_it = "waits"
        self._meters.webhook_tries.labels(came_of_it).inc()
        level = logging.INFO if came_of_it == "delivered" else logging.WARNING
        log.log(
            level, "webhook %s of analysis %s to %s: %s after try %d (%s)",
            one.id, one.analysis_id, origin_of(one.url), came_of_it, one.tries, error or status,
        )  # fmt: skip


def origin_of(url: str) -> str:
    """Return scheme, host and port of a stored address, without path and query."""
    return "/".join(url.split("/", 3)[:3])

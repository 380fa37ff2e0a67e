"""Webhooks: the end of an analysis is told, at least once, in time and to nobody else."""

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from service_in_process import Service
from stored import MODEL, TASK, kept
from webhook_receiver import Answer, receiver, until
from webhook_sending import SECRET, ended, sending, settings, state_of

from mllm_affect.client import ServiceClient
from mllm_affect.engine.server_process import free_port
from mllm_affect.errors import UserError
from serve.settings import ServiceSettings
from serve.store import Store
from serve.store.webhook_outbox import LONGEST_PAUSE_S, WebhookOutbox
from serve.webhooks.delivery import pause_s
from serve.webhooks.exchange import Outcome
from serve.webhooks.settings import RETRY_AFTER_TRY_S, WebhookHost

QUESTION = "Does the secret person smile?"


def test_an_analysis_that_ends_is_told_signed_and_without_content(video: Path) -> None:
    with receiver() as one:
        service = Service(ServiceSettings(webhooks=settings(one.port)))
        video_id = service.http.post("/v1/videos", content=video.read_bytes()).json()["id"]
        made = service.http.post(
            "/v1/analyses",
            json={
                "video_id": video_id, "question": QUESTION, "answers": ["yes", "no"],
                "webhook_url": one.url,
            },
        )  # fmt: skip
        assert made.status_code == 202, made.text
        assert made.json()["webhook"] == {
            "state": "waiting", "delivery_id": None, "tries": 0, "last_status": None,
            "last_error": None, "next_try_at": None,
        }  # fmt: skip
        path = f"/v1/analyses/{made.json()['id']}"
        service.worked()
        with sending(service.state.store, service.state.settings.webhooks, service.state.meters):
            until(lambda: service.http.get(path).json()["webhook"]["state"] == "delivered")
        (got,) = one.got
        found = service.http.get(path).json()
        assert found["webhook"]["delivery_id"] == got.headers["webhook-id"]
        assert (found["webhook"]["tries"], found["webhook"]["last_status"]) == (1, 200)
        event = got.event(SECRET)
        assert (event.type, event.data.status) == ("analysis.succeeded", "succeeded")
        assert (event.data.path, event.data.id) == (path, made.json()["id"])
        assert event.data.finished_at.isoformat() == found["finished_at"].replace("Z", "+00:00")
        for content in (b"secret person", b"yes", b"question", b"answer"):
            assert content not in got.body
        with pytest.raises(UserError):
            got.event("whsec_" + "b3RoZXIgYnl0ZXMgb2YgYSB0ZXN0LCAzMiBvZiB0aGVtISE=")
        metrics = service.http.get("/metrics").text
        assert 'mllm_affect_webhook_tries_total{outcome="delivered"} 1.0' in metrics
        assert 'mllm_affect_webhooks{state="delivered"} 1.0' in metrics


def test_webhooks_are_off_unless_hosts_are_given(video: Path) -> None:
    service = Service()
    video_id = service.http.post("/v1/videos", content=video.read_bytes()).json()["id"]
    body = {"video_id": video_id, "task": "ah", "webhook_url": "https://hooks.example.org/"}
    refused = service.http.post("/v1/analyses", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "webhooks_off")
    assert refused.json()["fields"] == ["webhook_url"]
    on = Service(ServiceSettings(webhooks=settings(1)))
    other = on.http.post("/v1/analyses", json=body)
    assert (other.status_code, other.json()["code"]) == (422, "webhook_host_not_allowed")
    body["webhook_url"] = "http://127.0.0.1:1/"
    assert on.http.post("/v1/videos", content=video.read_bytes()).json()["id"] == video_id
    assert on.http.post("/v1/analyses", json=body).status_code == 202
    (listed,) = on.http.get("/v1/analyses").json()["items"]
    assert listed["webhook"]["state"] == "waiting"


def test_the_client_names_a_receiver_and_the_key_is_bound_to_it(video: Path) -> None:
    service = Service(ServiceSettings(webhooks=settings(9)))
    client = ServiceClient("http://127.0.0.1:8000")
    client._http = service.http
    video_id = client.upload(video).id
    first = client.analyse(
        video_id, task="ah", idempotency_key="k", webhook_url="http://127.0.0.1:9/a"
    )
    assert first.webhook is not None
    with pytest.raises(UserError) as raised:
        client.analyse(video_id, task="ah", idempotency_key="k")
    assert raised.value.code == "idempotency_conflict"
    assert client.analyse(video_id, task="ah").webhook is None


def test_every_end_is_told_in_the_same_transaction(store: Store) -> None:
    """Succeeded, failed, given up, not served, cancelled: on both databases."""
    url = "https://hooks.example.org:443/"
    ids = {}

    def asked(name: str) -> Any:
        video = kept(store, content=name.encode())
        ids[name] = store.analyses.ask("", video, TASK, MODEL, webhook_url=url).id

    asked("unserved")
    store.analyses.end_unserved(-1.0)
    for name in ("failed", "given_up"):
        asked(name)
        lease = store.queue.take(MODEL, 15.0)
        if name == "failed":
            store.queue.fail(lease, "code", "sentence")
        else:
            while store.queue.wait_again(lease, 0.0):
                lease = store.queue.take(MODEL, 15.0)
    asked("cancelled")
    store.analyses.cancel("", ids["cancelled"])
    bodies = {}
    while (one := store.webhooks.take(60.0)) is not None:
        bodies[one.analysis_id] = one.body
    assert {name: ids[name] in bodies for name in ids} == dict.fromkeys(ids, True)
    for name, analysis_id in ids.items():
        wanted = "cancelled" if name == "cancelled" else "failed"
        assert f'"type":"analysis.{wanted}"' in bodies[analysis_id]
    silent = store.analyses.ask("", kept(store, content=b"silent"), TASK, MODEL)
    store.analyses.cancel("", silent.id)
    assert (state_of(store, silent.id), store.webhooks.take(60.0)) == (None, None)


def test_what_is_erased_is_not_told(store: Store) -> None:
    url = "https://hooks.example.org:443/"
    first, second = (ended(store, url, content=name) for name in (b"one", b"two"))
    assert store.webhooks.counts() == {"pending": 2}
    store.analyses.erase("", first)
    one = store.webhooks.take(60.0)
    store.videos.erase("", store.analyses.get("", second).video_id)
    assert store.webhooks.counts() == {}
    assert not store.webhooks.delivered(one, 200)


def test_two_processes_never_send_one_delivery_at_once(store: Store) -> None:
    url = "https://hooks.example.org:443/"
    ended(store, url)
    ours, theirs = store.webhooks, WebhookOutbox(store.database)
    first = ours.take(0.15)
    assert theirs.take(0.15) is None
    time.sleep(0.1)
    assert theirs.take(0.15) is None
    until(lambda: theirs.take(0.15))
    # Who was thought dead is late: what it found out no longer counts.
    assert not ours.give_up(first, 500, None)
    assert store.webhooks.counts() == {"pending": 1}


def test_a_delivery_left_by_a_dead_process_is_sent_with_the_same_id(store: Store) -> None:
    with receiver() as one:
        analysis_id = ended(store, one.url)
        left = WebhookOutbox(store.database).take(0.1)
        with sending(store, settings(one.port)):
            until(lambda: state_of(store, analysis_id).state == "delivered")
        assert [got.headers["webhook-id"] for got in one.got] == [left.id]
        assert state_of(store, analysis_id).tries == 2


def test_failures_are_tried_again_until_it_is_taken(store: Store) -> None:
    with receiver(Answer(500), Answer(503, {"Retry-After": "0"}), Answer(404)) as one:
        analysis_id = ended(store, one.url)
        with sending(store, settings(one.port)):
            until(lambda: state_of(store, analysis_id).state == "delivered")
        assert len(one.got) == 4
        assert len({got.headers["webhook-id"] for got in one.got}) == 1
        assert len({got.body for got in one.got}) == 1
        for got in one.got:
            got.event(SECRET)


def test_a_receiver_that_was_down_is_told_when_it_is_up(store: Store) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    analysis_id = ended(store, url)
    with sending(store, settings(port, retry_after_try_s=(0.05,) * 100)):
        until(lambda: state_of(store, analysis_id).tries >= 2)
        assert state_of(store, analysis_id).last_error == "not_connected"
        with receiver(port=port) as one:
            until(lambda: state_of(store, analysis_id).state == "delivered")
            assert len(one.got) == 1


def test_tries_end_after_a_bound_and_at_once_when_it_is_gone(store: Store) -> None:
    with receiver(*[Answer(500)] * 8) as one:
        analysis_id = ended(store, one.url)
        with sending(store, settings(one.port)):
            until(lambda: state_of(store, analysis_id).state == "failed")
        found = state_of(store, analysis_id)
        assert (found.tries, found.last_status, found.next_try_s) == (8, 500, None)
    with receiver(Answer(410)) as one:
        analysis_id = ended(store, one.url, content=b"gone")
        with sending(store, settings(one.port)):
            until(lambda: state_of(store, analysis_id).state == "failed")
        assert len(one.got) == 1


def test_redirects_are_not_followed(store: Store) -> None:
    with receiver() as inside:
        answers = [Answer(status, {"Location": inside.url}) for status in (301, 307, 308)]
        with receiver(*answers) as one:
            analysis_id = ended(store, one.url)
            with sending(store, settings(one.port, retry_after_try_s=(0.02,) * 2)):
                until(lambda: state_of(store, analysis_id).state == "failed")
            assert (len(one.got), inside.got) == (3, [])
            assert state_of(store, analysis_id).last_status == 308


def test_a_slow_receiver_is_left_and_leaves_room_for_others(store: Store) -> None:
    """One that never answers takes half of the room, for as long as one try may last."""
    with receiver(*[Answer(wait_s=3.0)] * 6) as slow, receiver() as quick:
        given = settings(slow.port, try_s=0.5)
        hosts = (*given.hosts, WebhookHost(name="127.0.0.1", port=quick.port))
        given = given.model_copy(update={"hosts": hosts, "retry_after_try_s": (60.0,)})
        waiting = [ended(store, slow.url, content=bytes([n])) for n in range(6)]
        told = ended(store, quick.url, content=b"quick")
        begun = time.monotonic()
        with sending(store, given):
            until(lambda: state_of(store, told).state == "delivered")
            assert time.monotonic() - begun < 0.5
            assert len(slow.got) <= 2
            until(lambda: state_of(store, waiting[0]).last_error == "timeout")
            assert time.monotonic() - begun < 2.0


def test_long_answers_are_not_read_to_their_end(store: Store) -> None:
    with receiver(Answer(body=b"x" * (8 << 20))) as one:
        analysis_id = ended(store, one.url)
        with sending(store, settings(one.port)):
            until(lambda: state_of(store, analysis_id).state == "delivered")


def test_an_answer_that_drips_ends_with_the_try(store: Store) -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                for _ in range(100):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{port}/"
        analysis_id, begun = ended(store, url), time.monotonic()
        with sending(store, settings(port, try_s=0.4, retry_after_try_s=(60.0,))):
            until(lambda: state_of(store, analysis_id).last_error is not None)
        assert time.monotonic() - begun < 2.0


def test_a_host_that_is_no_longer_allowed_is_not_told(store: Store) -> None:
    with receiver() as one:
        analysis_id = ended(store, one.url)
        with sending(store, settings(free_port(), retry_after_try_s=(60.0,))):
            until(lambda: state_of(store, analysis_id).last_error is not None)
        assert state_of(store, analysis_id).last_error == "webhook_host_not_allowed"
        assert one.got == []


def test_logs_hold_neither_path_nor_query(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with receiver(Answer(500)) as one, caplog.at_level(logging.DEBUG):
        analysis_id = ended(store, one.url)
        with sending(store, settings(one.port)):
            until(lambda: state_of(store, analysis_id).state == "delivered")
    lines = [line for line in caplog.messages if "webhook" in line]
    assert any(analysis_id in line for line in lines)
    assert not any("hook?" in line or "hidden" in line for line in caplog.messages)


def test_pauses_grow_are_spread_and_follow_the_receiver_within_a_bound() -> None:
    given = settings(1, retry_after_try_s=RETRY_AFTER_TRY_S)
    assert len(RETRY_AFTER_TRY_S) + 1 == 8
    for tries, least in enumerate(RETRY_AFTER_TRY_S, start=1):
        found = {pause_s(given, tries, Outcome(500)) or 0.0 for _ in range(20)}
        assert len(found) > 1
        assert least <= min(found) <= max(found) <= 1.25 * least
    assert pause_s(given, 8, Outcome(500)) is None
    assert 120 <= pause_s(given, 1, Outcome(503, None, 120.0)) <= 150
    longest = pause_s(given, 1, Outcome(503, None, 1e9))
    assert longest <= LONGEST_PAUSE_S


def test_a_clock_that_was_set_back_delays_nothing_for_ever(store: Store) -> None:
    ended(store, "https://hooks.example.org:443/")
    one = store.webhooks.take(60.0)
    store.webhooks.try_again(one, 3600.0, 500, None)
    assert store.webhooks.take(60.0) is None
    from sqlalchemy import update

    from serve.store.tables import webhook_outbox

    with store.database.writing() as connection:
        ahead = webhook_outbox.c.next_try_s + 2 * LONGEST_PAUSE_S
        connection.execute(update(webhook_outbox).values(next_try_s=ahead))
    assert store.webhooks.take(60.0) is not None

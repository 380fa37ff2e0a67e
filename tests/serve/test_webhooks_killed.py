"""Webhooks of processes that are killed between the end of an analysis and the sending."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fleet import Member
from stored import MODEL, TASK, kept
from stub_engine import stub_engine
from typer.testing import CliRunner
from webhook_receiver import receiver, until
from webhook_sending import SECRET, sending, settings, state_of

from mllm_affect.cli.app import app as cli
from mllm_affect.client import ServiceClient
from mllm_affect.engine.server_process import free_port
from serve.store import Store

KILLED = """
import os, signal, sys
from pathlib import Path
from serve.store import Store
store = Store.open(Path(sys.argv[1]))
store.analyses.cancel("", sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_right_after_the_end_loses_nothing(tmp_path: Path) -> None:
    with receiver() as one:
        store = Store.open(tmp_path)
        asked = store.analyses.ask("", kept(store), TASK, MODEL, webhook_url=one.url)
        command = [sys.executable, "-c", KILLED, str(tmp_path), asked.id]
        assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
        assert state_of(store, asked.id).state == "pending"
        with sending(store, settings(one.port)):
            until(lambda: one.got)
        assert one.got[0].event(SECRET).data.id == asked.id
        store.close()


@pytest.mark.rebuild
def test_a_process_killed_between_the_end_and_the_sending_loses_nothing(
    tmp_path: Path, video: Path
) -> None:
    """A worker ends the analysis and is killed; the service, killed too, tells after its start."""
    secrets = tmp_path / "secrets"
    CliRunner().invoke(cli, ["webhook-secret", "--file", str(secrets)])
    port, receiving = free_port(), free_port()
    data = ["--data", str(tmp_path / "data")]
    hooks = ["--webhook-host", f"127.0.0.1:{receiving}", "--webhook-secret-file", str(secrets)]
    hooks += ["--webhook-insecure"]
    members = []
    with stub_engine() as stub:
        try:
            data += ["--engine-url", stub.url]
            service = Member("serve", "--port", str(port), "--jobs", "0", *data, *hooks, port=port)
            members.append(service)
            service.wait_ready()
            with ServiceClient(service.url) as client:
                made = client.analyse(
                    client.upload(video).id, question="?", answers=["yes", "no"],
                    webhook_url=f"http://127.0.0.1:{receiving}/",
                )  # fmt: skip
                service.kill()
                worker = Member("worker", *data)
                members.append(worker)
                store = Store.open(tmp_path / "data")
                until(lambda: store.webhooks.counts() == {"pending": 1}, 60.0)
                worker.kill()
                store.close()
                with receiver(port=receiving) as one:
                    service.start()
                    until(lambda: one.got, 60.0)
                    service.wait_ready()
                    event = one.got[0].event(secrets.read_text().strip())
                    assert (event.data.id, event.type) == (made.id, "analysis.succeeded")
                    until(lambda: client.analysis(made.id).webhook.state == "delivered")
                    assert len(one.got) == 1
        finally:
            for member in members:
                member.kill()

"""Services, workers and model servers are killed under load: nothing accepted is lost."""

import random
import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest
from fleet import Fleet, fleet
from postgres_server import postgres
from stub_engine import stub_engine


def kill_one(running: Fleet, kind: str) -> None:
    """Kill one process of a kind with SIGKILL and start it again."""
    if kind == "engine":
        running.stub.kill()
        running.stub.start()
        return
    member = random.choice(running.services if kind == "service" else running.workers)
    member.kill()
    member.start()
    member.wait_ready()


def files(data: Path) -> set[str]:
    return {
        path.name
        for part in ("videos", "incoming")
        for path in (data / part).rglob("*")
        if path.is_file()
    }


def killed(running: Fleet, video: Path, kinds: list[str], every_s: float) -> None:
    with running.load(video, every_s):
        for kind in kinds:
            time.sleep(random.uniform(0.2, 1.0))
            kill_one(running, kind)
    running.check()


def without_orphans(running: Fleet) -> None:
    """After a restart, the sweep leaves the one video that is known."""
    running.services[0].kill()
    running.services[0].start()
    running.services[0].wait_ready()
    deadline = time.monotonic() + 20
    while len(files(running.data)) != 1:
        assert time.monotonic() < deadline, files(running.data)
        time.sleep(0.1)


@pytest.mark.rebuild
def test_each_kind_killed_once(tmp_path: Path, video: Path) -> None:
    with stub_engine(0.2) as stub, fleet(tmp_path, stub) as running:
        killed(running, video, ["worker", "service", "engine"], every_s=0.5)
        without_orphans(running)


OTHER_PARTS = [pytest.param(part, marks=pytest.mark.trial) for part in range(1, 10)]


@pytest.mark.rebuild
@pytest.mark.parametrize("part", [0, *OTHER_PARTS])
def test_twenty_kills(part: int, tmp_path: Path, video: Path) -> None:
    """Ten times twenty, so that no part takes long."""
    random.seed(part)
    kinds = random.choices(["service", "worker", "engine"], k=20)
    with stub_engine(0.2) as stub, fleet(tmp_path, stub, workers=2) as running:
        killed(running, video, kinds, every_s=0.5)
        without_orphans(running)
        ready_s = sorted(running.services[0].ready_s)
        print(  # noqa: T201 - the figure of the run
            f"{len(kinds)} kills, {len(running.accepted)} accepted, none lost; ready after "
            f"{ready_s[len(ready_s) // 2]:.1f} s (median), {ready_s[-1]:.1f} s (longest)"
        )


@pytest.mark.slow
def test_a_service_drains_and_leaves_no_child(tmp_path: Path, video: Path) -> None:
    with stub_engine(1.0) as stub, fleet(tmp_path, stub) as running:
        running.ask(video)
        (analysis_id,) = running.accepted
        url = f"{running.services[0].url}/v1/analyses/{analysis_id}/events"
        with httpx.stream("GET", url, timeout=60) as stream:
            lines = stream.iter_lines()
            assert any(line == "event: running" for line in lines)
            members = [*running.services, *running.workers]
            children = [c for m in members for c in psutil.Process(m.process.pid).children(True)]
            begun = time.monotonic()
            for member in members:
                member.process.send_signal(signal.SIGTERM)
            list(lines)  # the stream ends, it is not cut off
        assert [member.process.wait(30) for member in members] == [0, 0]
        assert time.monotonic() - begun < 30
        assert psutil.wait_procs(children, timeout=5)[1] == []
        for member in members:
            member.start()
        running.services[0].wait_ready()
        running.check()


@pytest.mark.rebuild
def test_two_services_and_two_workers_share_a_postgresql(tmp_path: Path, video: Path) -> None:
    with (
        postgres() as database,
        stub_engine(0.2) as stub,
        fleet(tmp_path, stub, services=2, workers=2, database=database) as running,
    ):
        killed(running, video, ["worker", "service"], every_s=0.5)

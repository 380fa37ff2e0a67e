"""kill -9 of everything at any moment of `prepare`: a rerun completes, the output is the same."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from made_corpus import SECONDS, content, prepare_all, write_corpus

SEED = 20_261_124
COMMAND = (
    f"from pathlib import Path; import sys; sys.path.append({str(Path(__file__).parent)!r});"
    "from mllm_affect.data.corpus import find_videos;"
    "from mllm_affect.data.preparing import prepare;"
    "from made_corpus import POLICY;"
    "corpus, out = map(Path, sys.argv[1:3]);"
    "prepare(find_videos(corpus, out), out, POLICY, int(sys.argv[3]), trusted=True)"
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed")
    prepare_all(corpus, out)
    found = content(out)
    assert len(found) == 1 + len(SECONDS)
    return found


def start(corpus: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start a run as the leader of its own process group; return when it holds the folder."""
    words = [sys.executable, "-c", COMMAND, str(corpus), str(out), str(workers)]
    running = subprocess.Popen(words, start_new_session=True)
    while not (out / ".running").exists() and running.poll() is None:
        time.sleep(0.002)
    return running


def seconds_of_a_run(corpus: Path, out: Path, workers: int) -> float:
    """How long a run takes from the moment it holds the folder."""
    running = start(corpus, out, workers)
    started = time.monotonic()
    assert running.wait(120) == 0
    return time.monotonic() - started


def kill_after(running: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill the group after so long; return whether it was still at work."""
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(30)
        return True
    return False


def no_one_is_left(group: int, within_s: float = 10.0) -> bool:
    """Whether all processes of a group are soon gone; a killed one needs a moment to die."""
    until = time.monotonic() + within_s
    while members(group):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def members(group: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


def check_points(points: int, corpus: Path, undisturbed: dict[str, str], folder: Path) -> None:
    """Kill runs at random moments; each time see whole files, then let a rerun complete.

    Only a kill of a run still at work counts. How long a run takes changes with what else
    the machine does, so the range of moments follows the runs that were over too soon.
    """
    draw = random.Random(SEED)
    usual_s = seconds_of_a_run(corpus, folder / "measure", 2)
    assert content(folder / "measure") == undisturbed
    in_the_middle = tries = 0
    while in_the_middle < points:
        tries += 1
        assert tries <= 4 * points, "most runs were over before they were killed"
        out = folder / f"out-{tries}"
        workers = 1 + tries % 2
        running = start(corpus, out, workers)
        killed = kill_after(running, draw.uniform(0.0, usual_s))
        in_the_middle += killed
        usual_s *= 1.1 if killed else 0.8
        assert no_one_is_left(running.pid)
        left = content(out)
        assert left.items() <= undisturbed.items(), "an entry or a list that is not whole"
        done = prepare_all(corpus, out, workers=workers)
        assert len(done.refused) == 2
        assert content(out) == undisturbed, f"try {tries}"
        assert not list((out / "clips").glob(".writing-*"))
        shutil.rmtree(out)


def test_killed_at_some_points(corpus: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    check_points(2, corpus, undisturbed, tmp_path)


@pytest.mark.rebuild
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("points", [10, pytest.param(50, marks=pytest.mark.trial)])
def test_killed_at_many_points(
    points: int, corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    check_points(points, corpus, undisturbed, tmp_path)


def test_killed_again_and_again_it_still_completes(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    draw = random.Random(SEED + 1)
    for _ in range(3):
        kill_after(start(corpus, tmp_path, 1), draw.uniform(0.2, 1.5))
    prepare_all(corpus, tmp_path)
    assert content(tmp_path) == undisturbed


def test_ctrl_c_ends_the_workers_and_leaves_no_half_entry(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "mllm_affect", "prepare", str(corpus), "--out", str(tmp_path)]
    words += ["--fps", "30", "--max-pixels", "65536", "--workers", "2", "--json"]
    running = subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE, text=True)
    while not list((tmp_path / "clips").glob(".writing-*")):
        assert running.poll() is None, "over before it could be interrupted"
        time.sleep(0.001)
    os.killpg(running.pid, signal.SIGINT)
    told, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert '"code": "interrupted"' in told.splitlines()[-1]
    assert no_one_is_left(running.pid)
    assert not list((tmp_path / "clips").glob(".writing-*"))
    assert not (tmp_path / "prepared.jsonl").exists()
    prepare_all(corpus, tmp_path)
    assert content(tmp_path).items() >= undisturbed.items()

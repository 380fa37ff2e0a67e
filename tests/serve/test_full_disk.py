"""A full disk: uploads are told so, erasing works, accepted analyses wait, one line is logged.

The disk is a small file system of memory in a mount namespace of its own.
"""

import errno
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from service_in_process import Service

from mllm_affect.errors import UserError
from mllm_affect.media.cache import ClipCache
from serve.store.media_folder import Incoming
from serve.work.worker import Worker, keep_house

SIZE = "24m"
INSIDE = "inside-a-small-disk"


def may_mount() -> bool:
    """Whether this machine lets us mount a file system of our own."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(words, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="no mount namespaces here")
def test_a_full_disk(tmp_path: Path, video: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    inner = [sys.executable, str(Path(__file__)), INSIDE, str(disk), str(video)]
    script = f'mount -t tmpfs -o size={SIZE} none "$0" && exec "$@"'
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(disk), *inner],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("at", ["write", "finish"])
def test_a_disk_that_fills_up_while_an_upload_arrives(
    service: Service, video: Path, code: int, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr(Incoming, at, full)
    response = service.http.post("/v1/videos", content=video.read_bytes())
    assert (response.status_code, response.json()["code"]) == (507, "storage_full")
    assert list(service.state.store.media.incoming_folder.iterdir()) == []


@pytest.mark.parametrize("at", ["open", "_begin", "_admit"])
def test_clips_that_cannot_be_kept_do_not_fail_an_analysis(
    service: Service, video: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = service.http.post("/v1/videos", content=video.read_bytes()).json()
    made = service.http.post("/v1/analyses", json={"video_id": found["id"], "task": "ah"}).json()

    def full(*_given: object) -> None:
        if at == "open":
            raise UserError("bad_cache", "No room.")
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(ClipCache, at, full)
    service.worked()
    ended = service.http.get(f"/v1/analyses/{made['id']}").json()
    assert (ended["status"], ended["progress"]) == ("succeeded", {"done": 2, "total": 2})


def fill(folder: Path) -> Path:
    """Take every byte that is left, as another program might."""
    path = folder / "somebody-elses"
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"\0" * 4096)
        except OSError:
            pass
    return path


def on_a_small_disk(disk: Path, video: Path) -> None:
    """What holds on a full disk; run in a namespace where `disk` is small."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("mllm_affect").addHandler(handler)

    service = Service(data=disk / "data")
    http, content = service.http, video.read_bytes()
    kept = http.post("/v1/videos", content=content)
    assert kept.status_code == 201, kept.text
    found = kept.json()
    url = f"/v1/videos/{found['id']}"
    body = {"video_id": found["id"], "task": "ah"}
    made = [http.post("/v1/analyses", json=body).json()["id"] for _ in range(40)]

    foreign = fill(disk)
    for _ in range(3):
        for answer in (
            http.post("/v1/videos", content=content),
            http.post("/v1/ask", files={"video": ("v", content)}, data={"task": "ah"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
    assert list((disk / "data" / "incoming").iterdir()) == []
    # Rows still fit into pages that the database has; fill those too.
    last = http.post("/v1/analyses", json=body)
    while last.status_code == 202:
        made.append(last.json()["id"])
        last = http.post("/v1/analyses", json=body)
    assert (last.status_code, last.json()["code"]) == (507, "storage_full")
    assert http.get(url).status_code == 200, "reading needs no room"
    assert http.get(f"/v1/analyses/{made[0]}").status_code == 200

    full = [line for line in lines if "room" in line or "no change" in line]
    assert len(full) <= 2, full  # one of the folder, one of the database

    # Nothing that was accepted fails: its worker waits.
    worker = Worker(service.state)
    worker.start()
    time.sleep(2.0)
    assert service.state.store.analyses.counts().get("failed", 0) == 0
    worker.stop()

    for analysis_id in made[:5]:
        assert http.delete(f"/v1/analyses/{analysis_id}").status_code == 204
    assert http.delete(url).status_code == 204
    assert http.get(url).status_code == 404
    assert not service.state.store.media.path(found["sha256"]).exists()

    foreign.unlink()
    keep_house(service.state)
    assert (disk / "data" / "reserve").exists(), "held again for the next time"
    assert http.post("/v1/videos", content=content).status_code == 201
    body["video_id"] = found["id"]
    again = http.post("/v1/analyses", json=body).json()["id"]
    service.worked()
    assert http.get(f"/v1/analyses/{again}").json()["status"] == "succeeded"


if __name__ == "__main__" and sys.argv[1:2] == [INSIDE]:
    on_a_small_disk(Path(sys.argv[2]), Path(sys.argv[3]))

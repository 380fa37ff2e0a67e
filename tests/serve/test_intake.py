"""Uploads: broken off anywhere, in pieces of any size, and larger than memory should grow."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fleet import Member
from service_in_process import Service
from stub_engine import stub_engine

from mllm_affect.engine.server_process import free_port
from serve.form import FormReader

BOUNDARY = b"0123456789"


def form(video: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="video"; filename="../v.mp4"\r\n\r\n'
    field = b'\r\n--%s\r\nContent-Disposition: form-data; name="task"\r\n\r\nah' % BOUNDARY
    return b"--%s\r\n%s%s%s\r\n--%s--\r\n" % (BOUNDARY, head, video, field, BOUNDARY)


def files(folder: Path) -> list[Path]:
    parts = ("incoming", "videos", "clips")
    return [path for part in parts for path in (folder / part).rglob("*") if path.is_file()]


def test_a_form_in_pieces_of_any_size_is_the_same() -> None:
    random.seed(0)
    video = random.randbytes(3_000) + b"\r\n--0123" + random.randbytes(50)
    body = form(video)
    for size in (1, 2, 7, 64, len(body)):
        got = bytearray()
        reader = FormReader(BOUNDARY, got.extend)
        for start in range(0, len(body), size):
            reader.feed(body[start : start + size])
        assert reader.finish() == {"task": ["ah"]}
        assert bytes(got) == video


@pytest.mark.parametrize("kind", ["raw", "form"])
def test_an_upload_that_breaks_off_anywhere_leaves_nothing(
    service: Service, video: Path, kind: str
) -> None:
    content = video.read_bytes()
    body = content if kind == "raw" else form(content)
    kinds = {
        "raw": b"application/octet-stream",
        "form": b"multipart/form-data; boundary=0123456789",
    }
    random.seed(1)
    for cut in [0, 1, len(body) - 1, *random.choices(range(len(body)), k=8)]:
        messages: list[Any] = [
            {"type": "http.request", "body": body[:cut], "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}  # noqa: B023

        async def send(message: Any) -> None:
            assert message.get("status", 0) != 201

        scope = {
            "type": "http", "method": "POST", "path": "/v1/videos", "raw_path": b"/v1/videos",
            "query_string": b"", "http_version": "1.1", "scheme": "http",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", kinds[kind])],
        }  # fmt: skip
        asyncio.run(service.app(scope, receive, send))  # type: ignore[arg-type]
        assert files(Path(service.folder.name)) == []


SENDER = """
import sys, httpx
url, mib, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
chunk = bytes(1 << 20)
def body():
    if kind == "form":
        yield b'--b\\r\\nContent-Disposition: form-data; name="video"; filename="v"\\r\\n\\r\\n'
    yield b"\\0\\0\\0\\x20ftypisom"
    for _ in range(mib):
        yield chunk
    if kind == "form":
        yield b"\\r\\n--b--\\r\\n"
types = {"raw": "application/octet-stream", "form": "multipart/form-data; boundary=b"}
headers = {"content-type": types[kind]}
answer = httpx.post(url + "/v1/videos", content=body(), headers=headers, timeout=500)
print(answer.status_code, answer.json()["code"])
"""


def peak_growth_mib(folder: Path, mib: int, kind: str) -> float:
    """Upload so many MiB to a service of its own; return how much its memory grew at most."""
    with stub_engine() as stub:
        port = free_port()
        words = ["--data", str(folder), "--engine-url", stub.url, "--jobs", "0"]
        words += ["--max-upload-mib", str(mib + 64)]
        member = Member("serve", "--port", str(port), *words, port=port)
        try:
            member.wait_ready()
            before = _peak_kib(member.process.pid)
            sender = [sys.executable, "-c", SENDER, member.url, str(mib), kind]
            said = subprocess.run(sender, capture_output=True, text=True, check=True).stdout
            assert said.split()[0] == "422", said
            return (_peak_kib(member.process.pid) - before) / 1024
        finally:
            member.kill()


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["raw", "form"])
def test_memory_does_not_grow_with_an_upload(tmp_path: Path, kind: str) -> None:
    assert peak_growth_mib(tmp_path, 256, kind) <= 64
    assert files(tmp_path) == []


@pytest.mark.rebuild
def test_four_gigabytes(tmp_path: Path) -> None:
    grown = peak_growth_mib(tmp_path, 4096, "form")
    print(f"memory grew by {grown:.1f} MiB for 4 GiB")  # noqa: T201 - the figure of the run
    assert grown <= 64
    assert files(tmp_path) == []

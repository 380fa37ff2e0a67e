"""A thousand clients ask how one analysis is getting on, while it is worked on.

Does: poll once a second over as many connections, in front of a stub model server; print median and
99th percentile.  `python -m tests.bench_polls`; ends with 1 where the percentile is above the goal.
Does not: leave room on a busy machine: a poll takes about a millisecond of processor time.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "serve"))

from fleet import fleet
from stub_engine import stub_engine

from tests.soak import make_video

CLIENTS, SECONDS, EVERY_S = 1_000, 10.0, 1.0
GOAL_MS = 100.0


async def poll(port: int, path: str, start_s: float) -> list[float]:
    """Ask once a second over one connection; return the seconds of each answer."""
    await asyncio.sleep(start_s)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    spent = []
    for _ in range(round(SECONDS / EVERY_S)):
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n", 1)[0]
        length = next(
            int(line[16:])
            for line in head.lower().split(b"\r\n")
            if line[:15] == b"content-length:"
        )
        await reader.readexactly(length)
        spent.append(time.perf_counter() - begun)
        await asyncio.sleep(max(0.0, EVERY_S - spent[-1]))
    writer.close()
    return spent


async def all_polls(port: int, path: str) -> list[float]:
    clients = [poll(port, path, n * EVERY_S / CLIENTS) for n in range(CLIENTS)]
    return sorted(one for spent in await asyncio.gather(*clients) for one in spent)


def main() -> None:
    """Measure, print, and hold the figure to the goal."""
    with (
        tempfile.TemporaryDirectory() as folder,
        stub_engine(8.0) as stub,
        fleet(Path(folder) / "data", stub) as running,
    ):
        video = Path(folder) / "video.mp4"
        make_video(video)
        running.ask(video)
        (analysis_id,) = running.accepted
        port = running.services[0].port
        assert port is not None
        spent = asyncio.run(all_polls(port, f"/v1/analyses/{analysis_id}"))
    middle_ms, p99_ms = statistics.median(spent) * 1000, spent[int(len(spent) * 0.99)] * 1000
    print(  # noqa: T201
        f"{len(spent)} polls: p50 {middle_ms:.1f} ms, p99 {p99_ms:.1f} ms (goal {GOAL_MS:.0f} ms)"
    )
    sys.exit(0 if p99_ms <= GOAL_MS else 1)


if __name__ == "__main__":
    main()

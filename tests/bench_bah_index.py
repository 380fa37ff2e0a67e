"""How long the index of a full-size annotation file takes: `python -m tests.bench_bah_index`.

Does: write annotations of invented videos until they are as large as the real file (91 MB), read
them in a fresh process, then again from the kept index; print seconds and peak memory as JSON.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mllm_affect.data.bah.layout import ANNOTATIONS
from mllm_affect.data.bah.made_plan import ReleasePlan, plan_release
from mllm_affect.data.bah.made_release import annotation_of, dumped, with_paths

BYTES = 91_000_000

MEASURE = """
import json, sys, time
from pathlib import Path
from mllm_affect.data.bah.index import read_index
start = time.perf_counter()
index = read_index(Path(sys.argv[1]))
seconds = time.perf_counter() - start
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"seconds": seconds, "peak_mib": peak, "videos": len(index.videos)}))
"""


def write_annotations(folder: Path) -> int:
    """Write annotations of BYTES or a little more; return their size."""
    named = with_paths(plan_release(ReleasePlan((8, 2, 2), 7)))
    entries = [(item.path, dumped({item.path: annotation_of(item)})) for item in named]
    path, written, copy = folder / ANNOTATIONS, 0, 0
    with path.open("w", encoding="utf-8") as stream:
        while written < BYTES:
            for video, text in entries:
                participant = video.split("/")[1]
                other = text.replace(participant, f"C{copy}x{participant}")
                stream.write(other)
                written += len(other.encode())
            copy += 1
    return path.stat().st_size


def measured(folder: Path) -> dict[str, float]:
    """Read the annotations in a fresh process; return its seconds and peak memory."""
    words = [sys.executable, "-c", MEASURE, str(folder)]
    found: dict[str, float] = json.loads(
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=600).stdout
    )
    return found


def figures() -> dict[str, Any]:
    """Return size, seconds and peak memory of building and of loading again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_annotations(folder)
        build, reload = measured(folder), measured(folder)
    return {"bytes": size, "build": build, "reload": reload}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(figures()) + "\n")

"""Schemathesis over the whole OpenAPI document, all phases: `make fuzz`.

Does: serve the application with an engine without a model and one stored video and analysis, run
Schemathesis against it, count its cases, say how many answers were faults.
Does not: know the interface; the document does.
"""

import argparse
import hashlib
import json
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "serve"))

from served_in_thread import served_in_thread
from service_in_process import Service

from serve.keys import ApiKey
from serve.settings import ServiceSettings

CASES = 20_000
KEY = "a key for fuzzing alone"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "use_after_free",
    "ensure_resource_availability", "missing_required_header", "unsupported_method",
    "ignored_auth",
)  # fmt: skip
"""All but those that judge whether made-up data should have been refused: that a question is about
an existing video, or a body a video at all, no schema says."""

COUNTED = re.compile(r"(\d+) generated")


@contextmanager
def served() -> Iterator[str]:
    """Yield the address of the application, worked on by a worker in this process."""
    key = ApiKey(sha256=hashlib.sha256(KEY.encode()).hexdigest())
    with served_in_thread(Service(ServiceSettings(keys=(key,)))) as url:
        yield url


def run(url: str, max_examples: int, seed: int, report: Path) -> tuple[int, str]:
    """Run Schemathesis once; return its exit status and what it printed."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
    command += ["--max-examples", str(max_examples), "--seed", str(seed)]
    command += ["--header", f"Authorization: Bearer {KEY}"]
    command += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--no-color"]
    command += ["--suppress-health-check", "all", "--request-timeout", "60"]
    command += ["--warnings", "off", "--report", "ndjson", "--report-dir", str(report)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=report)
    return found.returncode, found.stdout + found.stderr


def cases_of(printed: str) -> int:
    """Return how many cases Schemathesis says that it sent."""
    return sum(int(number) for number in COUNTED.findall(printed))


def fuzz(cases: int, max_examples: int, seed: int = 0) -> tuple[int, list[str]]:
    """Send so many cases at least; return how many it were, and what failed as it was printed."""
    sent, failures = 0, []
    with served() as url, tempfile.TemporaryDirectory() as folder:
        while sent < cases:
            status, printed = run(url, max_examples, seed, Path(folder))
            number = cases_of(printed)
            if status != 0 or not number:
                failures.append(printed)
                if not number:
                    break
            sent, seed = sent + number, seed + 1
            print(f"{sent} of {cases} cases", file=sys.stderr, flush=True)  # noqa: T201
    return sent, failures


def main(words: Sequence[str] | None = None) -> None:
    """Fuzz, print the figure, end with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--max-examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(words)
    logging.disable(logging.WARNING)
    begun = time.monotonic()
    sent, failures = fuzz(chosen.cases, chosen.max_examples, chosen.seed)
    for printed in failures:
        print(printed)  # noqa: T201 - the program's output
    told = {"cases": sent, "failures": len(failures), "seconds": round(time.monotonic() - begun)}
    print(json.dumps(told))  # noqa: T201
    sys.exit(1 if failures or sent < chosen.cases else 0)


if __name__ == "__main__":
    main()

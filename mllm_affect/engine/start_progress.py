"""How far a vLLM server has come while it starts, as its log tells.

Does: read what was added to the log, and give a sentence when there is something new to say; say
how long a start may take.  Does not: decide whether the server is ready (see server_process).

The lines are those of the pinned vLLM.  A line that another version words otherwise is passed over:
the server starts all the same.
"""

import re
import time
from pathlib import Path
from typing import Final

STAGES: Final = (
    (re.compile(r"Starting to load model"), "it loads the weights"),
    (
        re.compile(r"checkpoint shards:\s*(\d+)% Completed \| (\d+/\d+)"),
        "it loads the weights: {0} %, file {1}",
    ),
    (re.compile(r"Model loading took|Loading weights took"), "the weights are loaded"),
    (re.compile(r"Encoder cache will be initialized"), "it measures how much memory it needs"),
    (re.compile(r"Dynamo bytecode transform"), "it compiles the model"),
    (re.compile(r"Capturing CUDA graphs[^:]*:\s*(\d+)%"), "it records CUDA graphs: {0} %"),
    (re.compile(r"init engine \("), "it is about to answer"),
)
SAY_EVERY_S = 10.0
MOST_READ = 1 << 20

BASE_S = 900.0
SLOWEST_BYTES_A_SECOND = 50e6
"""Weights on a network file system are read no slower."""


def start_limit_s(checkpoint: Path) -> float:
    """Return how long a server for the checkpoint may take to start, in seconds."""
    size = sum(path.stat().st_size for path in checkpoint.glob("*.safetensors"))
    return BASE_S + size / SLOWEST_BYTES_A_SECOND


class StartProgress:
    """Reads a log as it grows; `news` gives a sentence at most every SAY_EVERY_S seconds."""

    def __init__(self, log: Path) -> None:
        self._log, self._offset = log, 0
        self._stage, self._said = "", ""
        self._said_s, self._begun_s = float("-inf"), time.monotonic()

    def news(self) -> str | None:
        """Return what the server does now, or None where nothing has changed or it is too early."""
        self._read()
        now = time.monotonic()
        if self._stage == self._said or now - self._said_s < SAY_EVERY_S:
            return None
        self._said, self._said_s = self._stage, now
        return f"The model server starts ({now - self._begun_s:.0f} s): {self._stage}."

    def _read(self) -> None:
        try:
            with self._log.open("rb") as stream:
                stream.seek(self._offset)
                added = stream.read(MOST_READ)
        except OSError:
            return
        self._offset += len(added)
        # Progress bars end their lines with a carriage return.
        for line in re.split(r"[\r\n]", added.decode("utf-8", "replace")):
            for pattern, words in STAGES:
                if found := pattern.search(line):
                    self._stage = words.format(*found.groups())

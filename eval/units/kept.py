"""What was read of a few videos at a time, kept on disk until an evaluation has been written.

Does: keep arrays and problems under all that they depend on, so that a stopped run goes on.
Does not: read videos, or notice that a file changed under the same name meanwhile.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.units.flow import Flow
from mllm_affect.data.examples import Example
from mllm_affect.files import sha256_json, write_bytes

READ = "read "
"""Before the name of a way, in a file."""


@dataclass(frozen=True)
class Reading:
    """Of a few videos: `usable_N` places of those that could be read, `problems` of the others.

    `read`: each unit's highest probability over a video's segments (N, A), by way (see reading).
    flow_M3SS: of every segment, where asked for; owner_M: its video's place among the usable.
    """

    usable_N: NDArray[np.int64]
    problems: Mapping[str, str]
    read: Mapping[str, NDArray[np.float64]]
    flow_M3SS: Flow
    owner_M: NDArray[np.int64]


class KeptReadings:
    """A folder with a file for every few videos; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, settings: Mapping[str, Any]) -> None:
        """`settings`: all that readings depend on besides the videos and how they are read."""
        self._folder, self._settings = folder, dict(settings)

    def get(
        self,
        examples: Sequence[Example],
        ways: Sequence[str],
        flow: bool,
        read: Callable[[], Reading],
    ) -> Reading:
        """Return what is kept of these videos, else what `read` gives, which is kept then."""
        if self._folder is None:
            return read()
        videos = [example.model_dump(mode="json") for example in examples]
        facts = [self._settings, videos, list(ways), flow]
        path = self._folder / f"{sha256_json(facts)}.npz"
        if path.is_file():
            return _unpack(path.read_bytes())
        found = read()
        write_bytes(path, _pack(found))
        return found


def _pack(reading: Reading) -> bytes:
    held: dict[str, Any] = {
        "usable_N": reading.usable_N,
        "problems": np.array(json.dumps(dict(reading.problems))),
        "flow_M3SS": reading.flow_M3SS,
        "owner_M": reading.owner_M,
        **{READ + way: read_NA for way, read_NA in reading.read.items()},
    }
    content = io.BytesIO()
    np.savez(content, **held)
    return content.getvalue()


def _unpack(content: bytes) -> Reading:
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        read = {n.removeprefix(READ): held[n] for n in held.files if n.startswith(READ)}
        problems = json.loads(str(held["problems"]))
        return Reading(held["usable_N"], problems, read, held["flow_M3SS"], held["owner_M"])

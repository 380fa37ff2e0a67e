"""Mutated videos through the isolated probe and reader: `make fuzz`.

Does: mutate small good files, deterministically by seed; feed them to one decoding process after
the other (an input that ends it is kept under the out folder, and it is started again); count the
outcomes.  Does not: fail for what the decoding process does; only this process must never do
anything but return or raise UserError.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parent / "media"))

import typer
from boxes import ends
from hostile import good
from hostile_matroska import with_opus

from mllm_affect.errors import UserError
from mllm_affect.files import write_json
from mllm_affect.media.decoding.opening import sniff_descriptor
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.limits import DEFAULT_CHILD_LIMITS, DEFAULT_LIMITS
from mllm_affect.media.types import Sampling

HEADERS, FILES = 100_000, 5_000
INPUTS_PER_PROCESS = 2_000
PATIENT = replace(DEFAULT_CHILD_LIMITS, probe_seconds=20.0, clip_seconds=20.0)
SAMPLING = Sampling(fps=2.0, max_pixels=4096)
HEADER_BYTES = 4_096
"""How much of a Matroska or AVI file counts as its header; of an MP4 it is all but `mdat`."""

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
INTERESTING = (*INTERESTING, 2**62, 2**63, 2**64 - 1)
KEPT_CODES = frozenset({"media_crashed", "media_killed", "media_too_slow", "media_too_big"})


@dataclass
class Outcomes:
    """What became of the inputs of one kind."""

    inputs: int = 0
    by_code: Counter[str] = field(default_factory=Counter)
    processes: int = 0
    parent_crashes: list[str] = field(default_factory=list)
    seconds: float = 0.0


class FuzzedVideo(IsolatedVideo):
    """A decoding process that is asked about ever other content of one anonymous file."""

    def __init__(self) -> None:
        self._memory = os.memfd_create("fuzz")
        self.fill(good("mp4"))
        super().__init__(Path(f"/dev/fd/{self._memory}"), child_limits=PATIENT)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def close(self) -> None:
        """End the process and forget the content."""
        super().close()
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def fill(self, content: bytes) -> None:
        """Replace the content."""
        os.ftruncate(self._memory, 0)
        os.pwrite(self._memory, content, 0)

    def look(self, content: bytes) -> None:
        """Probe this content, after the checks of entering.  Raises UserError."""
        self.fill(content)
        sniff_descriptor(self._descriptor, "fuzz")
        self.source = self._probed(len(content))

    def look_and_read(self, content: bytes) -> None:
        """Probe and read it all.  Raises UserError."""
        self.look(content)
        for _ in self.read(SAMPLING):
            pass


def seeds() -> list[tuple[bytes, list[tuple[int, int]]]]:
    """Good files, each with the spans of its header."""
    mp4 = good("mp4")
    made = [(mp4, [(begin, end) for name, begin, end in ends(mp4) if name != "mdat"])]
    for content in (good("mkv"), good("avi"), with_opus(24, stated=True)):
        made.append((content, [(0, min(HEADER_BYTES, len(content)))]))
    return made


def mutated(draw: random.Random, content: bytes, spans: Sequence[tuple[int, int]]) -> bytes:
    """Change some places within the spans."""
    made = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        begin, end = draw.choice(spans)
        place = min(draw.randrange(begin, end), len(made) - 1)
        width = draw.choice((1, 1, 2, 4, 8))
        match draw.randrange(7):
            case 0:
                made[place] ^= 1 << draw.randrange(8)
            case 1:
                made[place : place + width] = draw.randbytes(width)
            case 2 | 3:
                number = draw.choice(INTERESTING) % (1 << 8 * width)
                made[place : place + width] = number.to_bytes(width, draw.choice(("big", "little")))
            case 4:
                del made[place : place + draw.choice((1, 4, 8, 64))]
            case 5:
                made[place:place] = made[place : place + draw.choice((4, 8, 64, 512))]
            case 6:
                other = draw.randrange(begin, end)
                made[place : place + width] = made[other : other + width]
        if not made:
            return b"\0"
    if draw.random() < 0.05:
        del made[draw.randrange(1, len(made) + 1) :]
    return bytes(made)


def inputs(count: int, seed: int, whole: bool) -> Iterator[bytes]:
    """Yield mutated files: their headers alone, or any place (`whole`)."""
    bases = seeds()
    for index in range(count):
        draw = random.Random(f"{seed}-{whole}-{index}")
        content, spans = draw.choice(bases)
        everywhere = [*spans, (0, len(content))]
        yield mutated(draw, content, everywhere if whole else spans)


def run(count: int, seed: int, whole: bool, out: Path, shown: bool = True) -> Outcomes:
    """Feed `count` inputs; keep those that ended a process, or this one's calm, in `out`."""
    found, begun = Outcomes(), time.monotonic()
    todo = enumerate(inputs(count, seed, whole))
    kind = "file" if whole else "header"
    while found.inputs < count:
        found.processes += 1
        with FuzzedVideo() as video:
            for index, content in todo:
                code = _outcome(video, content, whole, found)
                found.inputs += 1
                found.by_code[code] += 1
                if code in KEPT_CODES or code == "parent":
                    out.mkdir(parents=True, exist_ok=True)
                    (out / f"{kind}-{seed}-{index}-{code}.bin").write_bytes(content)
                if shown and found.inputs % 1_000 == 0:
                    seconds = time.monotonic() - begun
                    typer.echo(f"{kind}s {found.inputs:,} of {count:,}, {seconds:.0f} s")
                if code in KEPT_CODES or found.inputs % INPUTS_PER_PROCESS == 0:
                    break
    found.seconds = round(time.monotonic() - begun, 1)
    return found


def _outcome(video: FuzzedVideo, content: bytes, whole: bool, found: Outcomes) -> str:
    try:
        if whole:
            video.look_and_read(content)
        else:
            video.look(content)
    except UserError as error:
        return error.code
    except Exception as error:
        found.parent_crashes.append(f"{type(error).__name__}: {error}"[:200])
        return "parent"
    return "read" if whole else "probed"


def main() -> int:
    """Run both, print and write the summary; exit status 1 when this process was shaken."""
    parser = argparse.ArgumentParser(description="Fuzz the probe and the reader.")
    parser.add_argument("--headers", type=int, default=HEADERS)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    given = parser.parse_args()
    summary = {"seed": given.seed, "limits": asdict(DEFAULT_LIMITS)}
    crashes = 0
    for name, count, whole in (("headers", given.headers, False), ("files", given.files, True)):
        found = run(count, given.seed, whole, given.out)
        crashes += len(found.parent_crashes)
        summary[name] = {**asdict(found), "by_code": dict(found.by_code.most_common())}
        typer.echo(
            f"{found.inputs:,} {name} in {found.seconds:.0f} s: {dict(found.by_code.most_common())}"
        )
        typer.echo(f"  {found.processes} processes, {len(found.parent_crashes)} parent crashes")
    write_json(given.out / "summary.json", summary)
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())

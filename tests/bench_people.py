"""Times faces and speech per minute of video: `python -m tests.bench_people`.

Does: read a real face video with and without each part in turn, print processor seconds per minute
of video and the peak of memory.  Does not: judge.
"""

import resource
import statistics
import sys
import time
from collections.abc import Sequence

from mllm_affect.media.face.part import FacePart
from mllm_affect.media.parts import AnyPart
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.speech.activity import SpeechPart
from mllm_affect.media.types import Sampling, Source
from tests.real_videos import real_video

ROUNDS = 2
WAYS: dict[str, tuple[AnyPart, ...]] = {
    "frames at 2 fps and sound": (),
    "and speech": (SpeechPart(),),
    "and faces, a look every 0.2 s": (FacePart(),),
    "and faces, detector at 640": (FacePart(detector_side=640),),
}


def seconds(source: Source, parts: Sequence[AnyPart]) -> tuple[float, float]:
    """Return processor and wall seconds per minute of video."""
    wall, processor = time.perf_counter(), time.process_time()
    length = sum(clip.segment.duration_s for clip in read_video(source, Sampling(), parts=parts))
    used = time.process_time() - processor, time.perf_counter() - wall
    return 60 * used[0] / length, 60 * used[1] / length


def main() -> None:
    """Print one line a way: medians of some rounds in turn."""
    source = probe(real_video("talking"))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, parts in WAYS.items():
            found[name].append(seconds(source, parts))
    sys.stdout.write(f"{source.width}x{source.height} at {source.average_fps:.3f}, per minute\n")
    for name, rounds in found.items():
        processor, wall = (statistics.median(column) for column in zip(*rounds, strict=True))
        sys.stdout.write(f"{name}: {processor:.1f} s of processor, {wall:.1f} s of wall time\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    sys.stdout.write(f"peak {peak} MiB\n")


if __name__ == "__main__":
    main()

"""The demonstration as a story: from nothing to an answered question, on real parts.

Read `tell` from top to bottom.  Does: run every stage of the chain and measure it.  Does not:
print (a narrator does) or lay out pages (eval.demo_page).

Training and serving run in programs of their own (ms-swift; the service with vLLM below it),
started the way a user would start them; they end when the story ends, however it ends.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from eval import plots, report, timeline
from eval.ablations import Ablation
from eval.demo_page import Story
from eval.measure import Measurement, Plan
from eval.measure import run as measure
from eval.run import segment_prediction
from mllm_affect.cli.demo_service import running_service
from mllm_affect.media.video import following_links

TASK = "ah_demo"
POSITIVE = "yes"
RECIPE = "miniature-lora"
TRAIN_CLIPS = 320
HELD_OUT_CLIPS = 320
SERVED_CLIPS = 120
OWN_FOLDERS = ("clips", "training", "before", "after", "no-sound", "no-pictures", "served")

LONG_TITLE = "One long made video over time"
LONG_CAPTION = (
    "Four scenes of one held-out face and voice. Bars show the probability of “yes” in every "
    "segment; the tinted spans are those that were made ambivalent."
)
REAL_TITLE = "A video of a real person"
REAL_CAPTION = (
    "Every stage takes it, with right times. The answer means nothing: the miniature has seen "
    "drawn faces only."
)

Advance = Callable[[int, int], None]


class Narrator(Protocol):
    """Tells what happens, shows how far it is, and keeps the seconds of every stage."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall time of the stages so far, by name, in order."""
        ...

    def stage(self, name: str) -> AbstractContextManager[Advance]:
        """Announce a stage; the value takes how much is done, and of how much."""
        ...

    def say(self, sentence: str) -> None:
        """Tell one fact."""
        ...


@dataclass(frozen=True)
class Demo:
    """What to run.  `offline` ends before the service; `real_video` None leaves that stage out."""

    out: Path
    seed: int = 0
    real_video: Path | None = None
    offline: bool = False


def tell(demo: Demo, narrator: Narrator) -> Story:
    """Run the whole chain and return what was measured.

    An earlier demonstration in `demo.out` is replaced.  Raises UserError and EngineError.
    """
    from mllm_affect.model.miniature import embedded_checkpoint

    clear(demo.out)

    with narrator.stage("making clips") as advance:
        clips = make_clips(demo, advance)

    with narrator.stage("asking before fine-tuning") as advance:
        before = ask_offline(embedded_checkpoint(), clips, demo.out / "before", advance)
    narrator.say(accuracy_sentence("The embedded miniature, in a wording new to it", before))

    with narrator.stage("fine-tuning with ms-swift, merging") as advance:
        checkpoint = fine_tune(demo, clips, advance)
    narrator.say(f"One merged checkpoint: {checkpoint}")

    with narrator.stage("asking after fine-tuning") as advance:
        after = ask_offline(checkpoint, clips, demo.out / "after", advance)
    narrator.say(accuracy_sentence("After fine-tuning", after))

    with narrator.stage("asking without sound") as advance:
        deaf = ask_offline(checkpoint, clips, demo.out / "no-sound", advance, "audio")
    with narrator.stage("asking without pictures") as advance:
        blind = ask_offline(checkpoint, clips, demo.out / "no-pictures", advance, "video")
    narrator.say(accuracy_sentence("Sound taken away", deaf))
    narrator.say(accuracy_sentence("Pictures taken away", blind))

    if demo.offline:
        return Story(demo.seed, before, after, deaf, blind, narrator.seconds)
    return serve_and_ask(demo, narrator, clips, checkpoint, (before, after, deaf, blind))


def serve_and_ask(
    demo: Demo,
    narrator: Narrator,
    clips: Path,
    checkpoint: Path,
    offline: tuple[Measurement, Measurement, Measurement, Measurement],
) -> Story:
    """Serve the checkpoint, ask over HTTP, and return the whole story."""
    from mllm_affect.client import ask
    from mllm_affect.data.made.folders import make_long_video

    log = demo.out / "service.log"
    with running_service(checkpoint, log) as service:
        with narrator.stage("starting the service with vLLM"):
            service.wait_until_ready()
        narrator.say(f"The service answers at {service.url} (log: {log})")

        with narrator.stage("asking over HTTP") as advance:
            plan = Plan(TASK, clips, split="test", url=service.url, limit=SERVED_CLIPS)
            served = measure(plan, demo.out / "served", advance)
        narrator.say(accuracy_sentence("Over HTTP", served))

        with narrator.stage("asking about one long video"):
            long = make_long_video(demo.out / "long.mp4", demo.seed)
            answer = ask(long.path, task=TASK, url=service.url).as_dict()
        pictures = [video_picture(LONG_TITLE, LONG_CAPTION, long.path, answer, long.spans_s)]

        if demo.real_video is None:
            narrator.say("No video of a real person was given (--real-video), so none was asked.")
        else:
            with narrator.stage("asking about a video of a real person"):
                real = ask(demo.real_video, task=TASK, url=service.url).as_dict()
            pictures.append(video_picture(REAL_TITLE, REAL_CAPTION, demo.real_video, real))
    return Story(
        demo.seed, *offline, narrator.seconds, served=served, answer=answer, pictures=pictures
    )  # fmt: skip


def clear(out: Path) -> None:
    """Remove what an earlier demonstration left in `out`, and nothing else."""
    for name in OWN_FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    (out / "figures.json").unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


def make_clips(demo: Demo, advance: Advance) -> Path:
    """Make the labelled clips; held-out faces and voices are in no training clip of any set."""
    from mllm_affect.data.made.folders import make_folders

    folder = demo.out / "clips"
    make_folders(folder, {"train": TRAIN_CLIPS, "test": HELD_OUT_CLIPS}, demo.seed, advance)
    return folder


def fine_tune(demo: Demo, clips: Path, advance: Advance) -> Path:
    """Train a LoRA adapter through the real ms-swift, merge it, return the merged checkpoint."""
    from finetune.progress import Progress
    from finetune.recipe import load_recipe
    from finetune.run import run

    def report(progress: Progress) -> None:
        if progress.total:
            advance(progress.done, progress.total)

    recipe = load_recipe(RECIPE, {"data": clips, "tasks": (TASK,), "seed": demo.seed})
    return run(recipe, demo.out / "training", report, trusted=True).checkpoint


def ask_offline(
    checkpoint: Path, clips: Path, out: Path, advance: Advance, ablate: Ablation | None = None
) -> Measurement:
    """Ask about every held-out clip in this process, with the code that the service uses too."""
    plan = Plan(TASK, clips, split="test", model=checkpoint, ablate=ablate, trusted=True)
    return measure(plan, out, advance)


def accuracy_sentence(name: str, measured: Measurement) -> str:
    """Say an accuracy with its interval beside the majority answer's."""
    summary = measured.summary
    return (
        f"{name}: {report.share(summary.accuracy)} right of {summary.videos} "
        f"(95 % interval {report.interval_text(summary.accuracy_interval)}; "
        f"always “{summary.majority}”: {report.share(summary.majority_accuracy)})"
    )


def video_picture(
    title: str,
    caption: str,
    video: Path,
    answer: Mapping[str, Any],
    truth: Sequence[tuple[float, float]] | None = None,
) -> report.Picture:
    """Draw the timeline of a video that the service was asked about."""
    segments = [segment_prediction(item) for item in answer["segments"]]
    content = timeline.video_timeline(following_links(video), segments, POSITIVE, truth=truth)
    return report.Picture(title, plots.timeline(content), caption)

"""`mllm-affect predict --input DIR`: a checkpoint's answers about every video of a corpus.

Does: read options, open the engine, draw progress, print counts.  Does not: ask (see
eval.corpus_answers).
"""

from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import (
    Cache,
    Device,
    Dtype,
    EngineUrl,
    Force,
    Json,
    Model,
    Precision,
    Trusted,
    err,
    out,
    print_json,
    verb,
)
from mllm_affect.cli.progress import progress


@verb
def videos(
    *,
    corpus: Annotated[
        Path,
        typer.Option(
            "--input", help="A folder of videos, a labelled set, or a list of paths (one a line)."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            help="A table, .parquet or .csv, a row a segment and task; or predictions, .jsonl.",
        ),
    ],
    split: Annotated[
        str | None, typer.Option("--split", help="Only this split of a labelled set.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="A task's id or prompt file; repeatable.")
    ] = None,
    model: Model = None,
    engine_url: EngineUrl = None,
    device: Device = "auto",
    dtype: Dtype = Precision.auto,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=64, help="Videos in flight at --engine-url.")
    ] = 4,
    cache: Cache = None,
    force: Force = False,
    trusted: Trusted = False,
    json: Json = False,
) -> None:
    """Answer tasks about every video of a folder; one file of all answers in the end.

    Example: mllm-affect predict --input interviews --task ah --model runs/ah/merged
    --output runs/interviews.parquet

    A stopped run goes on where it ended when the same command is given again. Videos of a labelled
    set come with what was asked and said; labels are not needed. Predictions (.jsonl) are what
    `export abaw-ah` takes.
    """
    from eval.answerers import open_engine
    from eval.corpus_answers import CorpusPlan, answer_corpus
    from mllm_affect import __version__
    from mllm_affect.data.corpus import find_videos
    from mllm_affect.data.footage import Footage
    from mllm_affect.engine.placement import Placement
    from mllm_affect.media.cache import open_cache
    from mllm_affect.model.miniature import embedded_checkpoint
    from mllm_affect.pipeline import UNSCORED, answer_video
    from mllm_affect.scoring.answers import VideoAnswer
    from mllm_affect.scoring.scoring_file import scoring_of
    from mllm_affect.tasks.prompts import load_task
    from mllm_affect.tasks.task import Task
    from mllm_affect.tasks.video_context import VideoContext

    placement = Placement(device, dtype.value)
    tasks = tuple(load_task(one) for one in task or ("ah",))
    found = find_videos(corpus, except_below=output.parent, split=split)
    checkpoint = embedded_checkpoint() if model is None else model
    clips = open_cache(cache)
    with (
        open_engine(model, engine_url, placement) as (
            engine,
            profile,
            made_with,
        ),
        progress("answering", show=not json) as advance,
    ):
        scorings = UNSCORED if made_with["engine"] == "echo" else scoring_of(checkpoint, force)

        def ask(video: Footage, about: Task, context: VideoContext) -> VideoAnswer:
            return answer_video(
                video, about, engine, profile, context=context, scorings=scorings, force=force,
                cache=clips, trusted=trusted, in_flight=8 if engine_url else None,
            )  # fmt: skip

        settings = {
            **made_with,
            "tasks": {one.id: one.prompt_hash for one in tasks},
            "calibration": {name: one.id for name, one in scorings.tasks.items()},
        }
        if found.sha256 and any(one.context for one in tasks):
            settings["examples"] = found.sha256  # what was asked and said is told to the model
        scoring = scorings.tasks.get(tasks[0].id)
        run_settings = {
            **made_with,
            "task": tasks[0].id,
            "prompt": tasks[0].prompt_hash,
            "examples": found.sha256,
            "split": split,
            "calibration": scoring.id if scoring else None,
            "version": __version__,
        }
        plan = CorpusPlan(
            found, tasks, output, settings, at_once if engine_url else 1, run_settings
        )
        run = answer_corpus(plan, ask, advance)
    if json:
        print_json(
            {
                "output": str(output), "answers": run.answered, "refused": run.refused,
                "answered_before": run.answered_before,
            }
        )  # fmt: skip
        return
    if profile.note:
        out.print(profile.note, style="dim", highlight=False)
    for video, code in run.refused.items():
        err.print(f"[yellow]refused[/] {video} \\[{code}]", highlight=False)
    out.print(f"{output}: {run.answered} answers, {len(run.refused)} refused.", highlight=False)
    if found.left_out:
        told = ", ".join(f"{count} ({reason})" for reason, count in found.left_out.items())
        out.print(f"Left out: {told}.", highlight=False)

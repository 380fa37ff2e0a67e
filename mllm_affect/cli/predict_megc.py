"""`mllm-affect predict megc`: a checkpoint's answers to the micro-expression challenge.

Does: read options, open the engine, draw progress, print counts.  Does not: ask (see
eval.megc.predicting).
"""

from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import (
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
from mllm_affect.cli.export_megc import MegcTask
from mllm_affect.cli.progress import progress


@verb
def megc(
    *,
    task: Annotated[MegcTask, typer.Option("--task", help="ME-VQA or ME-LVQA.")],
    questions: Annotated[
        list[Path],
        typer.Option("--questions", help="A question file, repeatable, or a folder of them."),
    ],
    clips: Annotated[
        Path, typer.Option("--clips", help="Folder in which all clips are, however deep.")
    ],
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder for predictions.jsonl and timelines.")
    ],
    model: Model = None,
    engine_url: EngineUrl = None,
    device: Device = "auto",
    dtype: Dtype = Precision.auto,
    train: Annotated[
        Path | None,
        typer.Option(
            "--train",
            help="Training file or its folder: which labels come together, how counts are written.",
        ),
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Answer each question by itself (an ablation).")
    ] = False,
    force: Force = False,
    trusted: Trusted = False,
    json: Json = False,
) -> None:
    """Answer question files of the micro-expression challenge with a checkpoint.

    Example: mllm-affect predict megc --task vqa --questions me_vqa_samm_v2_test_to_answer.jsonl
    --clips /data/megc --model runs/me/model --out runs/me-vqa

    A stopped run goes on where it ended when the same command is given again. Long videos also get
    a timeline each: JSON, CSV and captions.
    """
    from eval.answerers import open_engine
    from eval.megc.predicting import PredictionPlan, predict
    from mllm_affect.data.megc.layout import question_files, train_file
    from mllm_affect.engine.placement import Placement
    from mllm_affect.expressions.viewer import Viewer

    placement = Placement(device, dtype.value)
    plan = PredictionPlan(
        task=task.value,
        questions=tuple(question_files(questions, task.value)),
        clips=clips,
        out=out_folder,
        train=train_file(train, task.value),
        alone=alone,
        force=force,
    )
    with (
        open_engine(model, engine_url, placement) as (
            engine,
            profile,
            made_with,
        ),
        progress(f"answering {task.value}", show=not json) as advance,
    ):
        found = predict(plan, Viewer(engine, profile, trusted), made_with, advance)
    if json:
        print_json(
            {
                "out": str(found.path), "rows": found.rows, "clips": found.clips,
                "fallback": found.fallback, "answered_before": found.answered_before,
            }
        )  # fmt: skip
        return
    if profile.note:
        out.print(profile.note, style="dim", highlight=False)
    if found.fallback:
        err.print(
            f"[yellow]warning[/] {found.fallback} clips were answered without pictures: their "
            "folder is missing or cannot be used.",
            highlight=False,
        )
    out.print(f"{found.path}: {found.rows} rows about {found.clips} clips.", highlight=False)

"""`mllm-affect evaluate megc`: scores of the micro-expression challenge.

Does: print the figures and write metrics.json.  Does not: compute them (eval.megc).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.cli.export_megc import MegcTask

if TYPE_CHECKING:
    from eval.megc.summary import Summary


@verb
def megc(
    truth: Annotated[
        list[Path],
        typer.Option(
            "--truth", help="A question file with its true answers, one a set, or a folder of them."
        ),
    ],
    predictions: Annotated[
        list[Path],
        typer.Option(
            "--predictions", help="Predictions, or an answered question file; repeatable."
        ),
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for metrics.json.")],
    train: Annotated[
        Path | None,
        typer.Option("--train", help="Training file or folder: adds what its usual answers score."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against", help="Other predictions about the same clips, to compare with; repeatable."
        ),
    ] = None,
    task: Annotated[
        MegcTask, typer.Option("--task", help="Which files of a folder are meant.")
    ] = MegcTask.vqa,
    json: Json = False,
) -> None:
    """Score answers to the micro-expression challenge's questions, each with its 95 % interval.

    Example: mllm-affect evaluate megc --truth me_vqa_samm_v2_test_to_answer.jsonl
    --predictions predictions.jsonl --train me_vqa_samm_casme2_smic_v2.jsonl --out runs/megc

    The figures are unofficial: the organisers' scorer could not be read.
    """
    from eval.megc import summary as megc_summary
    from mllm_affect.data.megc.layout import question_files, train_file

    summary = megc_summary.from_files(
        question_files(truth, task.value),
        predictions,
        train_file(train, task.value),
        against=against or (),
    )
    path = megc_summary.write(summary, out_dir)
    if json:
        print_json({"out": str(path), **summary.as_dict()})
    else:
        _print_table(summary, path)


def _print_table(summary: "Summary", path: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("figure (unofficial)", "value", "95 % interval", "no vision", box=SIMPLE_HEAD)
    for figure in summary.figures:
        if figure.value is None:
            continue
        between = figure.interval
        blind = (summary.floor or {}).get(figure.name)
        table.add_row(
            figure.name,
            f"{figure.value:.3f}",
            f"{between.low:.3f} to {between.high:.3f}" if between else "",
            "" if blind is None else f"{blind:.3f}",
        )
    out.print(table)
    if summary.against:
        out.print(summary.against.sentence(), highlight=False)
    for line in summary.made_with.values():
        out.print(line, style="dim", highlight=False)
    out.print(
        f"{summary.rows} questions about {summary.clips} clips, {summary.unanswered} without an "
        f"answer (counted as wrong), {summary.unknown_questions} of unknown wording. "
        f"Written: {path}",
        highlight=False,
    )

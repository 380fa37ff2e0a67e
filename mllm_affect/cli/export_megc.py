"""`mllm-affect export megc`: the micro-expression challenge's submission.

Does: read predictions, print every defect, write the zip.  Does not: check or write itself.
"""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, err, out, print_json, verb
from mllm_affect.errors import UserError


class MegcTask(StrEnum):
    """Which of the micro-expression tasks."""

    vqa = "vqa"
    lvqa = "lvqa"


@verb
def megc(
    task: Annotated[MegcTask, typer.Option("--task", help="ME-VQA or ME-LVQA.")],
    questions: Annotated[
        list[Path],
        typer.Option(
            "--questions", help="An organisers' question file, one a set, or the folder of both."
        ),
    ],
    predictions: Annotated[
        list[Path], typer.Option("--predictions", help="Predictions, one JSON line a question.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="The zip to write.")],
    train: Annotated[
        Path | None,
        typer.Option("--train", help="Training file or its folder: counts are written as it does."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a submission to the micro-expression challenge, or list all that is wrong with it.

    Example: mllm-affect export megc --task vqa
    --questions me_vqa_casme3_v2_test_to_answer.jsonl
    --questions me_vqa_samm_v2_test_to_answer.jsonl
    --predictions predictions.jsonl --out submission.zip
    """
    from eval.exports.megc import prepare, write_submission
    from eval.megc.predictions import read_predicted
    from mllm_affect.data.megc.layout import question_files, train_file
    from mllm_affect.data.megc.question_files import read_train_file
    from mllm_affect.scoring.event_answers import count_form

    trained = train_file(train, task.value)
    counts = count_form(read_train_file(trained)) if trained is not None else None
    asked = question_files(questions, task.value)
    submission = prepare(asked, read_predicted(predictions), task.value, counts)
    try:
        write_submission(submission, out_file)
    except UserError as error:
        if json:
            problems = [asdict(problem) for problem in submission.problems]
            refusal = {"code": error.code, "sentence": error.sentence}
            print_json({"error": refusal, "problems": problems})
            raise typer.Exit(2) from error
        for problem in submission.problems:
            err.print(f"{problem} \\[{problem.code}]", highlight=False)
        raise
    if json:
        found = {"files": list(submission.files), "warnings": list(submission.warnings)}
        print_json({"out": str(out_file), "rows": submission.rows, **found})
        return
    for warning in submission.warnings:
        err.print(f"[yellow]warning[/] {warning}", highlight=False)
    out.print(f"{out_file}: {submission.rows} rows in {len(submission.files)} files, each checked.")

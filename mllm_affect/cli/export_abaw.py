"""`export` for the ambivalence/hesitancy challenge: trials, frame rows, and their check.

Does: read predictions, write and check files.  Does not: word rows (eval.exports).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb

Order = Annotated[
    Path, typer.Option("--order", help="The organisers' list; its row order is kept.")
]


class Form(StrEnum):
    """What a submission line holds."""

    label = "label"
    probability = "probability"


def add_to(export: typer.Typer) -> None:
    """Add the commands."""
    export.command("abaw-ah")(abaw_ah)
    export.command("abaw-ah-frames")(abaw_ah_frames)
    export.command("check")(check)


@verb
def abaw_ah(
    predictions: Annotated[
        list[Path],
        typer.Option(
            "--predictions",
            help="What `evaluate` or `predict` wrote; repeat it for up to five trials, in order.",
        ),
    ],
    order: Order,
    out_file: Annotated[
        Path, typer.Option("--out", help="trial-0.txt to trial-4.txt, or a .zip of all trials.")
    ],
    form: Annotated[
        Form, typer.Option("--form", help="`path,pred` or `path,p0,p1,pred`.")
    ] = Form.probability,
    spread: Annotated[
        bool,
        typer.Option(
            help="Spread probabilities over the scale by rank, as the challenge's metric wants."
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Write a submission to the ambivalence/hesitancy challenge, every id checked.

    Example: mllm-affect export abaw-ah --predictions runs/bah/predictions.jsonl
    --order test.txt --out trial-0.txt
    """
    from eval.exports.abaw_ah import Rows, write_submission
    from eval.exports.matching import read_order
    from eval.predictions import read_predictions

    trials = [read_predictions(path) for path in predictions]
    lines = write_submission(trials, order, out_file, Rows(form.value, spread))
    if json:
        told = {"out": str(out_file), "trials": len(trials), "lines": lines, "form": form.value}
        print_json(told)
    else:
        out.print(f"{out_file}: {lines} lines in the organisers' order, every id checked.")
        _tell(read_order(order).sentence(order))


@verb
def abaw_ah_frames(
    predictions: Annotated[
        Path, typer.Option("--predictions", help="What `evaluate` or `predict` wrote.")
    ],
    order: Order,
    data: Annotated[
        Path, typer.Option("--data", help="Folder of the videos, read for frame timestamps.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="The file to write.")],
    json: Json = False,
) -> None:
    """Write frame rows as in the challenge's 8th edition, every id checked.

    Example: mllm-affect export abaw-ah-frames --predictions runs/bah/predictions.jsonl
    --order split-frames/test.txt --data BAH --out frames.txt
    """
    from eval.exports.abaw_ah_frames import write_frames
    from eval.exports.matching import read_order
    from eval.frames import frame_times
    from eval.predictions import read_predictions
    from mllm_affect.data.footage import footage_by_name

    rows, by_name = read_predictions(predictions), footage_by_name(data)
    lines = write_frames(rows, order, out_file, lambda video: frame_times(by_name(video)))
    if json:
        print_json({"out": str(out_file), "lines": lines})
    else:
        out.print(f"{out_file}: {lines} frame rows in the organisers' order, every id checked.")
        _tell(read_order(order).sentence(order))


@verb
def check(
    file: Annotated[Path, typer.Argument(help="A trial file, frame rows, or a .zip of trials.")],
    order: Order,
    json: Json = False,
) -> None:
    """Read a submission back and list everything that is wrong with it; exit 1 if anything is.

    Example: mllm-affect export check trials.zip --order test.txt
    """
    from eval.exports.checking import file_problems
    from eval.exports.matching import read_order

    listed = read_order(order)
    problems = file_problems(file, listed.ids)
    if json:
        print_json({"file": str(file), "rows_listed": len(listed.ids), "problems": problems})
    elif problems:
        for problem in problems:
            out.print(problem, highlight=False, markup=False)
    else:
        out.print(f"{file}: nothing wrong; {len(listed.ids)} ids in the organisers' order.")
        _tell(listed.sentence(order))
    if problems:
        raise typer.Exit(1)


def _tell(sentence: str) -> None:
    if sentence:
        out.print(sentence, highlight=False, markup=False)

"""`mllm-affect make folds`: a labelled folder once a person or dataset that is left out.

Does: read options, print counts.  Does not: fold (see mllm_affect.data.folding).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb


class By(StrEnum):
    """What a fold leaves out."""

    participant = "participant"
    dataset = "dataset"


@verb
def make_folds(
    *,
    data: Annotated[Path, typer.Option("--data", help="Labelled videos (examples.jsonl or BAH).")],
    out_folder: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    by: Annotated[By, typer.Option("--by", help="What a fold leaves out.")] = By.participant,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", min=2, help="Put people together into so many folds; else one each."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of who goes together.")] = 0,
    json: Json = False,
) -> None:
    """Write a folder for each fold: some people or a dataset are tested, others train and tune.

    Example: mllm-affect make folds --data runs/units --out runs/folds

    Nothing is copied: each fold has its own list and links to the videos. Train on each, evaluate
    each with `evaluate au --fold NAME`, and pool them with `evaluate au --predictions`. With 300
    people give --folds 5.
    """
    from mllm_affect.data.folding import write_folds

    made = write_folds(data, out_folder, by.value, folds, seed)
    if json:
        print_json(
            {
                "folds": {name: str(folder) for name, folder in made.folders.items()},
                "left_out": dict(made.left_out),
            }
        )
        return
    out.print(f"{len(made.folders)} folds in {out_folder}", highlight=False)
    for reason, count in made.left_out.items():
        out.print(f"{count} videos left out: {reason}", highlight=False)

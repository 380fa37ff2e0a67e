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
    data: Annotated[
        Path, typer.Option("--data", help="A folder with examples.jsonl and its videos.")
    ],
    out_folder: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    by: Annotated[By, typer.Option("--by", help="What a fold leaves out.")] = By.participant,
    json: Json = False,
) -> None:
    """Write a folder for each fold: one person or dataset is tested, others train and tune.

    Example: mllm-affect make folds --data runs/units --out runs/folds

    Nothing is copied: each fold has its own list and links to the videos. Train on each, evaluate
    each with `evaluate au --fold NAME`, and pool them with `evaluate au --predictions`.
    """
    from mllm_affect.data.folding import write_folds

    folders = write_folds(data, out_folder, by.value)
    if json:
        print_json({"folds": {name: str(folder) for name, folder in folders.items()}})
        return
    out.print(f"{len(folders)} folds in {out_folder}", highlight=False)

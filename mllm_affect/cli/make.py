"""The `make` verb: made data in the shape of a dataset, to try a chain without the dataset.

Does: read options, draw progress, print counts.  Does not: draw or write files.
"""

from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, three_counts, verb
from mllm_affect.cli.make_folds import make_folds
from mllm_affect.cli.make_megc import make_megc
from mllm_affect.cli.make_units import make_units
from mllm_affect.cli.progress import progress

group = typer.Typer(
    no_args_is_help=True,
    help="Make data from drawn faces and synthetic voices; fold labelled data.",
)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group.command("megc")(make_megc)
    group.command("units")(make_units)
    group.command("folds")(make_folds)
    app.add_typer(group, name="make")


@group.command("bah", epilog="Example: mllm-affect make bah --out runs/made-bah --seed 0")
@verb
def make_bah(
    *,
    out_folder: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(min=0, help="Of people, questions and scenes.")] = 0,
    participants: Annotated[
        str, typer.Option(help="Participants in train, val and test.")
    ] = "28,14,14",
    videos_each: Annotated[
        int, typer.Option(min=1, max=7, help="Videos of every participant.")
    ] = 3,
    private: Annotated[
        int, typer.Option(min=0, help="Participants of a further split without labels, `private`.")
    ] = 0,
    json: Json = False,
) -> None:
    """Make a small release in the shape of BAH, all quirks included, of invented people.

    Videos of 11 to 47 s; half of them are ambivalent somewhere. Neither the question, nor the
    words, nor voice or face alone tell which: only voice and face together do. About a minute.
    """
    from mllm_affect.data.bah.made_plan import ReleasePlan
    from mllm_affect.data.bah.made_release import make_release

    plan = ReleasePlan(three_counts(participants, "--participants"), videos_each, seed, private)
    with progress("making videos", show=not json) as advance:
        made = make_release(out_folder, plan, advance)
    if json:
        print_json({"out": str(out_folder), **made})
        return
    for split, count in made["videos"].items():
        positive = made["positive"].get(split)
        kinds = "no labels" if positive is None else f"{positive} positive"
        out.print(f"{split:7s} {count} videos, {kinds}", highlight=False)
    out.print(f"{made['participants']} participants in {out_folder}", highlight=False)

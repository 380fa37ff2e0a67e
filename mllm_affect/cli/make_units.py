"""`mllm-affect make units`: made clips with coded action units.

Does: read options, draw progress, print counts.  Does not: draw or write files.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, three_counts, verb
from mllm_affect.cli.progress import progress


@verb
def make_units(
    *,
    out_folder: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(min=0, help="Of people, movements and light.")] = 0,
    people: Annotated[str, typer.Option(help="People in train, val and test.")] = "24,8,10",
    clips_each: Annotated[int, typer.Option(min=1, help="Clips of every person.")] = 28,
    shifted: Annotated[
        bool,
        typer.Option(
            "--shifted", help="Let the light tell what moves in train and val, not in test."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make clips of drawn faces on which action units move a little, for the evidence projector.

    Example: mllm-affect make units --out runs/units

    Every face looks at rest already as if units were shown, so that only motion tells which move.
    """
    from mllm_affect.data.made.coded import CodedPlan, make_coded

    plan = CodedPlan(three_counts(people, "--people"), clips_each, seed, shifted)
    with progress("making clips", show=not json) as advance:
        examples = make_coded(out_folder, plan, advance)
    counts = dict(Counter(example.split for example in examples))
    if json:
        print_json({"out": str(out_folder), "clips": counts})
        return
    for split, count in counts.items():
        out.print(f"{split:5s} {count} clips", highlight=False)

"""`mllm-affect make megc`: made data in the micro-expression challenge's shape.

Does: read options, draw progress, print counts.  Does not: draw faces or write files.
"""

from pathlib import Path
from typing import Annotated

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.cli.progress import progress


@verb
def make_megc(
    *,
    out_folder: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(min=0, help="Of people, movements and questions.")] = 0,
    subjects: Annotated[int, typer.Option(min=1, max=40, help="Of every training set.")] = 4,
    clips_each: Annotated[int, typer.Option(min=1, help="Clips of every subject.")] = 3,
    test_clips: Annotated[int, typer.Option(min=2, help="Of each of the two test sets.")] = 6,
    long_videos: Annotated[
        int, typer.Option(min=0, max=20, help="Of 1 to 3 minutes, per set and split.")
    ] = 1,
    json: Json = False,
) -> None:
    """Make clips, question files and coding sheets in the challenge's shape, ids invented.

    Small, short movements of drawn faces; every trap of the real files is included. The first test
    folder of each set is whole, the second is a single image or missing.

    Example: mllm-affect make megc --out runs/made-megc --seed 0
    """
    from mllm_affect.data.megc.made_data import make_megc as make
    from mllm_affect.data.megc.made_plan import MegcPlan

    plan = MegcPlan(seed, subjects, clips_each, test_clips, long_videos)
    with progress("drawing frames", show=not json) as advance:
        made = make(out_folder, plan, advance)
    if json:
        print_json({"out": str(out_folder), **made})
        return
    clips, videos = made["clips"], made["long_videos"]
    out.print(
        f"{clips['train']} training and {clips['test']} test clips, "
        f"{videos['train']} and {videos['test']} long videos in {out_folder}",
        highlight=False,
    )

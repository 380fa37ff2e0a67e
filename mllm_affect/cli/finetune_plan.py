"""The `finetune plan` verb: what a training takes, before anything is loaded.

Does: read options, print the plan.  Does not: estimate (see finetune.planning).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mllm_affect.cli.common import Json, out, print_json, verb
from mllm_affect.errors import UserError

if TYPE_CHECKING:
    from finetune.planning.plan import TrainingPlan

MIB, GIB = 1 << 20, 1 << 30


@verb
def plan_training(
    *,
    config: Annotated[str, typer.Option(help="A shipped recipe's name, or a .yaml file.")],
    model: Annotated[
        str | None,
        typer.Option(help="Checkpoint folder (its config.json is read), or `miniature`."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of the training split: segments x tasks.")
    ] = None,
    size: Annotated[str, typer.Option(help="Width x height of the videos.")] = "1280x720",
    nproc: Annotated[
        int | None, typer.Option(min=1, help="Processes: one a GPU, or so many on a CPU.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe."),
    ] = None,
    json: Json = False,
) -> None:
    """Tell tokens, steps, memory of each device, disk and the exact command of a training.

    Example: mllm-affect finetune plan --config qwen3-omni-30b-a3b-lora --model MODEL --rows 12000
    """
    from finetune.planning.plan import as_dict, make_training_plan
    from finetune.recipe import load_recipe, parse_settings
    from finetune.run import make_plan

    changes: dict[str, Any] = parse_settings(tuple(settings or ()))
    given = {"model": model, "gpus": nproc}
    changes |= {name: value for name, value in given.items() if value is not None}
    recipe = load_recipe(config, changes)
    settled = make_plan(recipe, Path("OUT"), weights=False)
    plan = make_training_plan(
        recipe, settled.base, settled.tasks, settled.sampling, settled.command,
        rows=rows, size=_size(size),
    )  # fmt: skip
    if json:
        print_json(as_dict(plan))
    else:
        _print(plan)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise UserError("bad_size", f"--size is {text!r}; give width x height, as in 1280x720.")
    return int(width), int(height)


def _print(plan: "TrainingPlan") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("", "estimate", "how", box=SIMPLE_HEAD)
    parts = plan.parts
    table.add_row(
        "parameters",
        f"{parts.total:,}",
        f"language {parts.language:,} + experts {parts.experts:,} + vision {parts.vision:,} + "
        f"audio {parts.audio:,} + projectors {parts.projectors:,}",
    )
    table.add_row("  trained", f"{plan.trained:,}", "those with a gradient")
    table.add_row("tokens a row", f"{plan.row.tokens:,}", plan.row.formula)
    steps = "?" if plan.steps.steps is None else f"{plan.steps.steps:,}"
    table.add_row("steps", steps, plan.steps.formula)
    for share in plan.memory.shares:
        table.add_row(share.name, _bytes(share.bytes), share.formula)
    table.add_row("peak of a device", _bytes(plan.memory.peak), plan.memory.formula)
    table.add_row("host memory", _bytes(plan.host.bytes), plan.host.formula)
    table.add_row("disk", _bytes(plan.disk.bytes), plan.disk.formula)
    out.print(table)
    out.print(
        "Not counted: what the driver and libraries take (some 2 GiB on a GPU), and gaps between "
        "blocks. Megatron is not planned for.",
        style="dim",
    )
    typer.echo(plan.command.shell())


def _bytes(size: float) -> str:
    return f"{size / GIB:,.2f} GiB" if size >= GIB else f"{size / MIB:,.2f} MiB"

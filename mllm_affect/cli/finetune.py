"""The `finetune` verb: train a checkpoint from a recipe, merge an adapter, list the recipes.

Does: read options, print results.  Does not: train (see the finetune package).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mllm_affect.cli.common import (
    Device,
    Dtype,
    Json,
    Precision,
    Trusted,
    err,
    out,
    print_json,
    verb,
)
from mllm_affect.cli.finetune_plan import plan_training
from mllm_affect.cli.stage_bars import stage_bars
from mllm_affect.errors import UserError

group = typer.Typer(
    no_args_is_help=True, help="Fine-tune a checkpoint through ms-swift, from a recipe."
)


class Talker(StrEnum):
    """What becomes of the weights of speech output."""

    keep = "keep"
    drop = "drop"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group.command("plan")(plan_training)
    app.add_typer(group, name="finetune")


@group.command(
    "run",
    epilog="Example: mllm-affect finetune run --config miniature-lora --data clips --out runs/ft",
)
@verb
def run_recipe(
    *,
    config: Annotated[str, typer.Option(help="A shipped recipe's name, or a .yaml file.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for everything it writes.")],
    data: Annotated[
        Path | None, typer.Option(help="Labelled videos (examples.jsonl or BAH).")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Checkpoint folder to start from, or `miniature`.")
    ] = None,
    nproc: Annotated[
        int | None, typer.Option(min=1, help="Processes: one a GPU, or so many on a CPU.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps decoded clips, as `prepare` makes it."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the exact command and stop.")
    ] = False,
    trusted: Trusted = False,
    json: Json = False,
) -> None:
    """Prepare rows, train through ms-swift, merge, and leave a checkpoint to serve."""
    from finetune.devices import check_gpus
    from finetune.recipe import load_recipe, parse_settings
    from finetune.run import make_plan, run
    from mllm_affect.media.cache import open_cache

    changes: dict[str, Any] = parse_settings(tuple(settings or ()))
    given = {"data": data, "model": model, "gpus": nproc}
    changes |= {name: value for name, value in given.items() if value is not None}
    recipe = load_recipe(config, changes)
    if dry_run:
        try:
            check_gpus(recipe)
        except UserError as error:
            err.print(f"[yellow]warning[/] {error.sentence}", highlight=False)
        command = make_plan(recipe, out_folder).command
        if json:
            print_json(
                {
                    "arguments": ["swift", *command.arguments],
                    "variables": dict(command.variables),
                    "folder": str(command.folder),
                }
            )
        else:
            typer.echo(command.shell())
        return
    with stage_bars(json) as report:
        outcome = run(recipe, out_folder, report, open_cache(cache), trusted=trusted)
    if json:
        print_json({"checkpoint": str(outcome.checkpoint), "manifest": outcome.manifest})
        return
    loss = "" if outcome.loss is None else f", last loss {outcome.loss:.3f}"
    left_out = outcome.manifest["rows"]["data"]["left_out"]
    for reason, count in left_out.items():
        err.print(f"[yellow]warning[/] left out, {reason}: {count}", highlight=False)
    out.print(f"{outcome.steps} steps on {outcome.manifest['rows']['rows']} rows{loss}")
    out.print(f"checkpoint: {outcome.checkpoint}", highlight=False)


@group.command(
    "merge",
    epilog="Example: mllm-affect finetune merge runs/ft/adapter --base miniature --out merged",
)
@verb
def merge_adapter(
    *,
    adapter: Annotated[Path, typer.Argument(help="Folder of a peft LoRA adapter.")],
    base: Annotated[str, typer.Option(help="Checkpoint it was trained on, or `miniature`.")],
    out_folder: Annotated[Path, typer.Option("--out", help="New folder for the checkpoint.")],
    prompts: Annotated[
        int, typer.Option(min=0, help="Prompts on which both must agree; 0 does not compare.")
    ] = 64,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest logit difference; else 1e-4, in bfloat16 by depth and prompts."
        ),
    ] = None,
    dtype: Dtype = Precision.auto,
    device: Device = "auto",
    talker: Annotated[
        Talker, typer.Option(help="Weights of speech output: keep or drop them.")
    ] = Talker.keep,
    json: Json = False,
) -> None:
    """Fold a LoRA adapter into its base: one checkpoint to serve.

    Base with adapter and the merged checkpoint are asked about the same made clips; where a logit
    differs by more than the tolerance the merge is kept as OUT-unchecked and the exit status is 1.
    """
    from finetune.agreement import AgreementCheck
    from finetune.merging import merge
    from mllm_affect.engine.placement import Placement

    placed = Placement(device, dtype.value)
    placed = placed.settled() if prompts else placed
    check = AgreementCheck(prompts, tolerance, placed.device, placed.dtype) if prompts else None
    folder, agreement = merge(adapter, base, out_folder, check, keep_talker=talker is Talker.keep)
    if json:
        found = None if agreement is None else agreement.as_dict()
        print_json({"checkpoint": str(folder), "agreement": found})
        return
    if agreement is not None:
        said = f"largest logit difference {agreement.largest:.2g} over {agreement.prompts} prompts"
        out.print(f"{said} (allowed {agreement.tolerance:g})", highlight=False)
    out.print(f"checkpoint: {folder}", highlight=False)


@group.command(
    "card", epilog="Example: mllm-affect finetune card runs/ft/merged --evaluation runs/ft-test"
)
@verb
def make_card(
    *,
    checkpoint: Annotated[Path, typer.Argument(help="Folder that `finetune run` wrote.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder that `evaluate` wrote for this checkpoint.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the model card: data, figures with intervals and priors, use, limits, duties."""
    from finetune.card import write_card

    path = write_card(checkpoint, evaluation)
    if json:
        print_json({"card": str(path)})
    else:
        out.print(f"card: {path}", highlight=False)


@group.command("recipes", epilog="Example: mllm-affect finetune recipes")
@verb
def list_recipes(*, json: Json = False) -> None:
    """List the recipes that come with the package."""
    from finetune.recipe import load_recipe, shipped_recipes

    recipes = {name: load_recipe(name) for name in shipped_recipes()}
    if json:
        print_json({name: recipe.model_dump(mode="json") for name, recipe in recipes.items()})
        return
    for name, recipe in recipes.items():
        out.print(f"[bold]{name}[/]  {recipe.title}", highlight=False)

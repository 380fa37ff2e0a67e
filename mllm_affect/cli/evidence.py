"""The `evidence` verb: give a checkpoint the evidence projector, see its prior, count its cost.

Does: read options and print.  Does not: train (see finetune) or evaluate (see evaluate).
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from mllm_affect.cli.common import Json, out, print_json, verb

group = typer.Typer(
    no_args_is_help=True,
    help="The evidence projector for action units, after AULLM++, our reading: content token, "
    "instruction token, counterfactual consistency.",
)

Base = Annotated[
    str, typer.Option("--base", help="Folder of a Qwen3-Omni checkpoint, or `miniature`.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.add_typer(group, name="evidence")


@group.command("add", epilog="Example: mllm-affect evidence add --base miniature --out runs/with")
@verb
def add(
    *,
    out_folder: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    base: Base = "miniature",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that differs, as in graph=dense or units=[1,2,12]."),
    ] = None,
    counterfactual: Annotated[
        float | None,
        typer.Option(min=0.0, help="Weight of CCR in training; 0 switches it off."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the projector's weights.")] = 0,
    json: Json = False,
) -> None:
    """Write a checkpoint with a fresh, untrained projector; every other weight is the base's."""
    from mllm_affect.model.evidence.composing import compose
    from mllm_affect.model.evidence.config import LossWeights
    from mllm_affect.model.miniature import embedded_checkpoint

    folder = embedded_checkpoint() if base == "miniature" else Path(base)
    losses = LossWeights() if counterfactual is None else LossWeights(counterfactual=counterfactual)
    config = compose(folder, out_folder, _settings(settings or []), losses, seed)
    if json:
        print_json({"out": str(out_folder), "projector": config.as_mapping()})
        return
    out.print(
        f"{out_folder}: {config.fusion}, {config.graph} graph over {len(config.units)} units; "
        "train it before you ask it",
        highlight=False,
    )


@group.command("prior", epilog="Example: mllm-affect evidence prior --picture prior.png")
@verb
def show_prior(
    *,
    units: Annotated[
        str, typer.Option(help="Action units, by number, separated by commas.")
    ] = "1,2,4,5,6,12,15,26",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Draw this checkpoint's units with its learned strengths.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw it into this PNG.")] = None,
    json: Json = False,
) -> None:
    """Show which action units speak to which, and why; with a checkpoint, how strongly."""
    from mllm_affect.model.evidence.prior import KINDS, prior
    from mllm_affect.model.evidence.showing import draw_graph, learned_strengths

    if checkpoint is not None:
        chosen, strengths_AA = learned_strengths(checkpoint)
    else:
        chosen, strengths_AA = _numbers(units), None
    found = prior(chosen)
    edges: list[dict[str, Any]] = [
        {"from": other, "to": one, "kind": KINDS[found.kinds_AA[i, j]]}
        | ({} if strengths_AA is None else {"strength": round(float(strengths_AA[i, j]), 4)})
        for i, one in enumerate(chosen)
        for j, other in enumerate(chosen)
        if i != j and found.mask_AA[i, j]
    ]
    if picture is not None:
        draw_graph(found, strengths_AA, picture)
    if json:
        print_json({"units": list(chosen), "edges": edges})
        return
    for edge in edges:
        strength = f"  {edge['strength']:+.3f}" if "strength" in edge else ""
        out.print(f"AU{edge['from']} -> AU{edge['to']}: {edge['kind']}{strength}", highlight=False)


@group.command("cost", epilog="Example: mllm-affect evidence cost")
@verb
def show_cost(
    *,
    base: Annotated[
        str, typer.Option(help="`30b-a3b`, `miniature`, or a folder with config.json.")
    ] = "30b-a3b",
    frames: Annotated[int, typer.Option(min=2, help="Frames of the clip.")] = 10,
    json: Json = False,
) -> None:
    """Count what the projector adds: parameters, and operations of one answer."""
    from dataclasses import asdict, replace

    from mllm_affect.model.evidence.config import EvidenceConfig
    from mllm_affect.model.evidence.cost import Work, cost, read_sizes

    sizes, hidden = read_sizes(base)
    work = replace(Work(), frames=frames + frames % 2)
    if base == "miniature":
        work = replace(work, width=64, height=64)
    found = cost(sizes, EvidenceConfig.beside(hidden), work)
    shares = {"parameters": found.parameter_share, "operations": found.operation_share}
    if json:
        print_json({**asdict(found), "shares": shares})
        return
    out.print(
        f"parameters  {found.projector_parameters:>16,} of {found.base_parameters:,} "
        f"({found.parameter_share:.4%})\n"
        f"operations  {found.projector_operations:>16,} of {found.base_operations:,} "
        f"({found.operation_share:.4%})",
        highlight=False,
    )


def _settings(words: list[str]) -> dict[str, Any]:
    import yaml

    from mllm_affect.errors import UserError

    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError("bad_setting", f"--set needs name=value, not {word!r}.")
        found[name] = yaml.safe_load(value)
    return found


def _numbers(text: str) -> tuple[int, ...]:
    from mllm_affect.errors import UserError

    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise UserError("bad_units", f"--units needs numbers like 1,2,12, not {text!r}.") from error

"""The `predict` verb: answers of a checkpoint, kept in files.

Does: gather what can be predicted, one sub-verb each.  Does not: ask (see eval and pipeline).
"""

import typer

from mllm_affect.cli.default_group import DefaultGroup
from mllm_affect.cli.predict_megc import megc
from mllm_affect.cli.predict_videos import videos


class PredictGroup(DefaultGroup):
    """`predict --input …` is `predict videos --input …`."""

    default = "videos"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    group = typer.Typer(
        cls=PredictGroup,
        help="Ask a checkpoint and keep its answers; `predict --input …` is `predict videos …`.",
    )
    group.command(PredictGroup.default, no_args_is_help=True)(videos)
    group.command("megc", no_args_is_help=True)(megc)
    app.add_typer(group, name="predict")

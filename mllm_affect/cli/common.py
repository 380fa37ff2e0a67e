"""What every verb shares: JSON output, one-sentence errors and exit statuses.

Does: print results and errors.  Does not: know any verb.
Exit status 0 is success, 1 a check that failed or an engine that is away, 2 bad input,
130 an interrupt.
"""

import functools
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from mllm_affect.errors import EngineError, UserError
from mllm_affect.safe_text import json_text

if TYPE_CHECKING:
    from mllm_affect.data.bah.unlabelled import StatedLabels

P = ParamSpec("P")
R = TypeVar("R")


class Precision(StrEnum):
    """In which numbers a model is asked; auto: bfloat16 on a GPU, else float32."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON (one object, or JSON lines while working).")
]

Trusted = Annotated[
    bool,
    typer.Option(
        "--trusted", help="Decode in this process: a little faster, for videos of your own only."
    ),
]

ImageFps = Annotated[
    float | None,
    typer.Option(
        "--image-fps", help="A folder of images is a video too: with so many images a second."
    ),
]

RequireSandbox = Annotated[
    bool,
    typer.Option(
        "--require-sandbox",
        help="Refuse to start, or to decode, where the kernel does not fully confine that.",
    ),
]

OtlpEndpoint = Annotated[
    str | None,
    typer.Option(
        "--otlp-endpoint",
        help="Send traces to this OpenTelemetry collector, as http://127.0.0.1:4318/v1/traces.",
    ),
]

Model = Annotated[
    Path | None,
    typer.Option(
        "--model", help="Checkpoint to run here (default: the embedded miniature), or `echo`."
    ),
]

Device = Annotated[
    str,
    typer.Option(
        "--device", help="Where the model runs: auto (a GPU where there is one), cpu, cuda, cuda:N."
    ),
]

Dtype = Annotated[
    Precision,
    typer.Option("--dtype", help="Precision of the model; auto: bfloat16 on a GPU, else float32."),
]

EngineUrl = Annotated[
    str | None, typer.Option("--engine-url", help="Ask this vLLM server, which serves --model.")
]

Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder that keeps decoded clips, as `prepare` makes it."),
]

Force = Annotated[
    bool, typer.Option("--force", help="Although the checkpoint knows other prompts.")
]


Labelled = Annotated[
    list[str] | None,
    typer.Option("--labelled", help="A split whose labels are real, though all are 0; repeatable."),
]

Unlabelled = Annotated[
    list[str] | None,
    typer.Option("--unlabelled", help="A split whose labels only hold a place; repeatable."),
]


def stated_labels(labelled: list[str] | None, unlabelled: list[str] | None) -> "StatedLabels":
    """Return what the user says of splits' labels."""
    from mllm_affect.data.bah.unlabelled import StatedLabels

    return StatedLabels(frozenset(labelled or ()), frozenset(unlabelled or ()))


def print_json(value: Any) -> None:
    """Print one JSON value on one line of standard output."""
    typer.echo(json_text(value))


def three_counts(text: str, option: str) -> tuple[int, int, int]:
    """Return the three numbers that an option lists.  Raises UserError `bad_count`."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise UserError("bad_count", f"{option} is {text!r}; give three numbers, as in 28,14,14.")
    train, val, test = (int(part) for part in parts)
    return train, val, test


def fail(code: str, sentence: str, status: int, as_json: bool) -> typer.Exit:
    """Print an error (JSON on standard output if asked, else one line on standard error)."""
    if as_json:
        print_json({"error": {"code": code, "sentence": sentence}})
    else:
        from rich.markup import escape  # not needed where all goes well

        err.print(f"[bold red]error[/] {escape(sentence)} [dim]\\[{code}][/]", highlight=False)
    return typer.Exit(status)


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Turn UserError into exit 2, EngineError into 1 and Ctrl-C into 130 for one verb."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        as_json = bool(kwargs.get("json", False))
        try:
            return function(*args, **kwargs)
        except UserError as error:
            raise fail(error.code, error.sentence, 2, as_json) from error
        except EngineError as error:
            raise fail(error.code, error.sentence, 1, as_json) from error
        except KeyboardInterrupt as error:
            raise fail("interrupted", "Stopped by Ctrl-C.", 130, as_json) from error

    return run

"""Writes the reference pages from the code: `make docs`.

Does: docs/cli.md from every verb's help, docs/openapi.json from the service, docs/recipes.md from
the recipe schema, docs/media-limits.md from the limits, refusals and warnings of videos.
Does not: write prose.  `tests/test_docs.py` fails when a page is stale.
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.files import write_text

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}


def command_paths() -> Iterator[tuple[str, ...]]:
    """Yield the words of every verb and sub-verb, the bare program first."""
    yield ()
    for name, command in sorted(get_command(app).commands.items()):  # type: ignore[attr-defined]
        yield (name,)
        for child in sorted(getattr(command, "commands", {})):
            yield (name, child)


def cli_page() -> str:
    """Return docs/cli.md: the help of each verb as a user sees it."""
    runner = CliRunner()
    parts = ["# Command line\n\nWritten by `make docs` from the help texts.\n"]
    for words in command_paths():
        shown = runner.invoke(app, [*words, "--help"], env=WIDTH).output
        body = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(f"## {' '.join(('mllm-affect', *words))}\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


def openapi_page() -> str:
    """Return docs/openapi.json: the service's contract."""
    from serve.app import openapi_document

    return json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n"


def recipe_page() -> str:
    """Return docs/recipes.md: every field of a recipe with its default and meaning."""
    from finetune.recipe import Recipe

    lines = [
        "# Recipes\n",
        "Written by `make docs` from the schema of `finetune/recipe.py`.\n",
        "| field | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Recipe.model_fields.items():
        default = (
            "required"
            if field.is_required()
            else f"`{field.get_default(call_default_factory=True)}`"
        )
        lines.append(f"| `{name}` | {default} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def media_page() -> str:
    """Return docs/media-limits.md: what a video may be, every refusal and every warning."""
    from mllm_affect.media import limits, refusals, warnings

    lines = [
        "# What a video may be\n",
        "Written by `make docs` from `limits.py`, `refusals.py` and `warnings.py` in "
        "`mllm_affect/media`. Why and how: [security-media.md](security-media.md).\n",
        f"Containers: {', '.join(limits.CONTAINERS.values())}. "
        f"Pictures: {', '.join(sorted(limits.VIDEO_CODECS))}. "
        f"Sound: {', '.join(sorted(limits.AUDIO_CODECS))}, PCM.\n",
    ]
    for kind, title in (
        (limits.Limits, "One file"),
        (limits.ChildLimits, "The process that decodes it"),
        (limits.ProgramLimits, "The ffmpeg program that writes a clip file"),
    ):
        lines += [f"## {title}\n", "| limit | default | of what |", "|---|---|---|"]
        lines += [
            f"| `{item.name}` | {_shown(item.default)} | {item.metadata['meaning']} |"
            for item in fields(kind)
        ]
        lines.append("")
    lines += ["## Refusals\n", "| code | sentence |", "|---|---|"]
    lines += [f"| `{code}` | {text} |" for code, text in sorted(refusals.SENTENCES.items())]
    lines += ["\n## Warnings\n", "| code | sentence |", "|---|---|"]
    lines += [f"| `{code}` | {text} |" for code, text in sorted(warnings.SENTENCES.items())]
    return "\n".join(lines) + "\n"


def _shown(default: float | bool) -> str:
    return ("yes" if default else "no") if isinstance(default, bool) else f"{default:,}"


PAGES = {
    "cli.md": cli_page,
    "openapi.json": openapi_page,
    "recipes.md": recipe_page,
    "media-limits.md": media_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        write_text(DOCS / name, page())


if __name__ == "__main__":
    main()

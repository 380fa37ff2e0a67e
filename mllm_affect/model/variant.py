"""Qwen3-Omni comes as Instruct, Thinking and Captioner; this toolkit asks the first.

Does: tell them apart by the chat format and by the published name, refuse the other two.
Does not: score what a Thinking model says behind its thoughts: each answer would need hundreds of
tokens, and its probability would depend on the thoughts that were drawn.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal

from mllm_affect.errors import UserError

Variant = Literal["instruct", "thinking", "captioner"]

NAME = re.compile(r"qwen3-omni.*-(thinking|captioner)\b", re.IGNORECASE)
THOUGHTS = "<think>"
QUESTION = [{"role": "user", "content": [{"type": "text", "text": "?"}]}]
NAMED_BY = ("_name_or_path", "model_name")


def refuse_other_variant(checkpoint: Path, config: dict[str, Any], *, own: bool) -> None:
    """Raise UserError `other_variant` for a Thinking or Captioner checkpoint.

    `config`: its config.json.  `own`: this toolkit made it, so that it answers directly whatever
    its name; only its chat format is looked at then.
    """
    found = "thinking" if _begins_with_thoughts(checkpoint) else "instruct"
    if found == "instruct" and not own:
        found = named_variant(checkpoint, config)
    if found == "thinking":
        raise UserError(
            "other_variant",
            f"{checkpoint} is a Thinking model: it answers only behind its thoughts, and its first "
            "words are no answer. Use Qwen3-Omni-30B-A3B-Instruct.",
        )
    if found == "captioner":
        raise UserError(
            "other_variant",
            f"{checkpoint} is the Captioner, which describes sound and answers no questions. Use "
            "Qwen3-Omni-30B-A3B-Instruct.",
        )


def named_variant(checkpoint: Path, config: dict[str, Any]) -> Variant:
    """Return the variant that the name in config.json, or a folder on the way, stands for.

    Folders on the way, because a download lies in `models--Qwen--NAME/snapshots/REVISION`.
    """
    names = [str(config.get(key, "")) for key in NAMED_BY]
    names += reversed([*checkpoint.absolute().parts, *checkpoint.resolve().parts])
    for name in names:
        if found := NAME.search(name):
            return "thinking" if found[1].lower() == "thinking" else "captioner"
    return "instruct"


def _begins_with_thoughts(checkpoint: Path) -> bool:
    """Return whether the chat format opens thoughts where the answer begins."""
    text = _chat_format(checkpoint)
    if text is None or THOUGHTS not in text:
        return False
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    try:
        prompt = environment.from_string(text).render(
            messages=QUESTION, add_generation_prompt=True, tools=None
        )
    except TemplateError:
        return False  # whoever loads the checkpoint says what is wrong with it
    return prompt.rstrip().endswith(THOUGHTS)


def _chat_format(checkpoint: Path) -> str | None:
    path = checkpoint / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        try:
            found = json.loads((checkpoint / name).read_text(encoding="utf-8"))["chat_template"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(found, str):
            return found
    return None

"""Instruct, Thinking and Captioner are told apart, and only the first is asked."""

import json
import shutil
from pathlib import Path

import pytest

from finetune.base import read_base
from mllm_affect.engine.checkpoint import check_checkpoint
from mllm_affect.errors import UserError
from mllm_affect.model.miniature import embedded_checkpoint

PUBLISHED = "models--Qwen--Qwen3-Omni-30B-A3B-{}/snapshots/26291f793822fb6be9555850f06dfe95f2d7e695"


def copy(folder: Path, *, own: bool = False) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(embedded_checkpoint(), folder)
    if not own:
        (folder / "mllm_affect.json").unlink()
    return folder


@pytest.mark.parametrize("name", ["Qwen3-Omni-30B-A3B-{}", PUBLISHED, "qwen3-omni-30b-a3b-{}-awq"])
@pytest.mark.parametrize(("variant", "said"), [("Thinking", "thoughts"), ("Captioner", "sound")])
def test_the_published_names_are_refused(
    name: str, variant: str, said: str, tmp_path: Path
) -> None:
    folder = copy(tmp_path / name.format(variant))
    for reading in (check_checkpoint, lambda path: read_base(str(path))):
        with pytest.raises(UserError, match=said) as caught:
            reading(folder)
        assert caught.value.code == "other_variant"
    link = tmp_path / "model"
    link.symlink_to(folder)
    with pytest.raises(UserError, match=said):
        check_checkpoint(link)


def test_the_name_in_the_configuration_counts(tmp_path: Path) -> None:
    folder = copy(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["_name_or_path"] = "Qwen/Qwen3-Omni-30B-A3B-Captioner"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="Captioner"):
        check_checkpoint(folder)


@pytest.mark.parametrize("own", [False, True])
def test_a_format_that_opens_thoughts_is_refused_whatever_its_name(
    own: bool, tmp_path: Path
) -> None:
    folder = copy(tmp_path / "model", own=own)
    path = folder / "chat_template.jinja"
    path.write_text(
        path.read_text() + "{%- if add_generation_prompt %}{{ '<think>\\n' }}{%- endif %}"
    )
    with pytest.raises(UserError, match="Thinking"):
        check_checkpoint(folder)


def test_a_format_that_only_mentions_thoughts_is_instruct(tmp_path: Path) -> None:
    folder = copy(tmp_path / "Qwen3-Omni-30B-A3B-Instruct")
    path = folder / "chat_template.jinja"
    mention = "{%- for message in messages %}{%- if message.thoughts %}{{ '<think>' }}"
    path.write_text(path.read_text() + mention + "{%- endif %}{%- endfor %}")
    check_checkpoint(folder)
    assert read_base(str(folder)).layers > 0


def test_what_this_toolkit_trained_is_asked_whatever_its_name(tmp_path: Path) -> None:
    check_checkpoint(copy(tmp_path / "Qwen3-Omni-30B-A3B-Captioner-tuned", own=True))

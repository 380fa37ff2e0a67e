"""The command line's promises: a frozen set of flags, help with an example, one-line errors.

`tests/cli_surface.json` is the public interface.  A flag that appears or goes is a change users
see: edit that file by hand, and the CHANGELOG with it.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mllm_affect import __version__
from mllm_affect.cli.app import VERBS, app
from mllm_affect.cli.common import fail

SURFACE_FILE = Path(__file__).parent / "cli_surface.json"
SURFACE: dict[str, list[str]] = json.loads(SURFACE_FILE.read_text(encoding="utf-8"))
WIDE = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


def commands() -> dict[str, Any]:
    """Every runnable command by its words."""
    found: dict[str, Any] = {}
    for verb, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        children = getattr(command, "commands", None)
        if children is None:
            found[verb] = command
        else:
            found |= {f"{verb} {name}": child for name, child in children.items()}
    return found


def surface(command: Any) -> list[str]:
    """Arguments in capitals and options with all their spellings, sorted."""
    names = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            names.append(parameter.name.upper())
        elif "--help" not in parameter.opts:
            names.append("/".join([*parameter.opts, *parameter.secondary_opts]))
    return sorted(names)


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), env=WIDE)


def test_the_flags_are_those_that_were_promised() -> None:
    assert {name: surface(command) for name, command in commands().items()} == SURFACE


def test_every_verb_is_there() -> None:
    assert {name.split()[0] for name in SURFACE} == set(VERBS)


@pytest.mark.parametrize("words", sorted(SURFACE))
def test_help_shows_an_example_and_json(words: str) -> None:
    result = run(*words.split(), "--help")
    assert result.exit_code == 0
    assert f"mllm-affect {words}" in " ".join(result.output.split())
    assert "Example" in result.output
    assert "--json" in result.output


def test_version_and_bare_call() -> None:
    assert run("--version").output == f"mllm-affect {__version__}\n"
    assert all(verb in run().output for verb in VERBS)


BAD_INPUT = {
    "segment": ("segment {missing}.mp4", "{missing}.mp4"),
    "segment a text file": ("segment {text}.mp4", "text.mp4"),
    "segment an empty file": ("segment {empty}.mp4", "empty.mp4"),
    "prepare a missing folder": ("prepare {missing} --out {out}", "{missing}"),
    "prepare a folder without videos": ("prepare {folder} --out {out}", "{folder}"),
    "prepare into the corpus": ("prepare {folder} --out {folder}", "{folder}"),
    "prepare for a task and a rate": ("prepare {folder} --task ah --fps 4 --out {out}", "--task"),
    "prepare at an impossible size": ("prepare {folder} --max-pixels 9 --out {out}", "max_pixels"),
    "ask about a missing file": ("ask {missing}.mp4 Why?", "{missing}.mp4"),
    "ask without a question": ("ask {text}.mp4", "question"),
    "serve what is no checkpoint": ("serve --model {folder}", "{folder}"),
    "serve a checkpoint that is not there": ("serve --model {missing}", "{missing}"),
    "finetune with an unknown recipe": ("finetune run --config nosuch --out {out}", "nosuch"),
    "finetune on nothing": (
        "finetune run --config miniature-lora --data {missing} --out {out}",
        "{missing}",
    ),
    "merge what is no adapter": (
        "finetune merge {folder} --base miniature --out {out}",
        "{folder}",
    ),
    "check what is no miniature": ("miniature check {missing}", "{missing}"),
    "evaluate without data": ("evaluate ah --out {out}", "--data"),
    "evaluate an unknown task": ("evaluate nosuch --data {folder} --out {out}", "nosuch"),
    "evaluate a missing folder": ("evaluate ah --data {missing} --out {out}", "{missing}"),
    "evaluate missing predictions": (
        "evaluate --predictions {missing}.jsonl --out {out}",
        "{missing}.jsonl",
    ),
    "evaluate predictions and a model": (
        "evaluate ah --predictions {missing}.jsonl --model {folder} --out {out}",
        "--predictions",
    ),
    "evaluate a service and a model": (
        "evaluate ah --data {folder} --url http://127.0.0.1:9 --model {folder} --out {out}",
        "--url",
    ),
    "ensemble of missing files": (
        "ensemble --predictions {missing}.jsonl --predictions {missing}.jsonl --out {out}",
        "{missing}.jsonl",
    ),
    "check a submission that is not there": (
        "export check {missing}.txt --order {text}.mp4",
        "{missing}.txt",
    ),
    "export without predictions": (
        "export csv --predictions {missing}.jsonl --out {out}/t.csv",
        "{missing}.jsonl",
    ),
    "export without a reference": (
        "export abaw-ah --predictions {missing}.jsonl --order {missing} --out {out}/trial-0.txt",
        "{missing}",
    ),
    "export a micro-expression file that is none": (
        "export megc --task vqa --questions {text}.mp4 --predictions {missing}.jsonl --out {out}",
        "{missing}",
    ),
    "validate no micro-expression file": ("validate megc", "--questions"),
    "validate a sheet of no dataset": ("validate megc --sheet {missing}.csv", "DATASET=FILE"),
    "make micro-expressions where something is": (
        "make megc --out {text}.mp4 --subjects 1",
        "text.mp4",
    ),
    "evaluate micro-expressions without truth": (
        "evaluate megc --truth {missing}.jsonl --predictions {missing}.jsonl --out {out}",
        "missing.jsonl",
    ),
    "demo with a missing real video": (
        "demo --out {out} --real-video {missing}.mp4",
        "{missing}.mp4",
    ),
}


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "text.mp4").write_text("this is no video\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    names = ("missing", "text", "empty", "out", "folder")
    return {name: str(tmp_path / name) for name in names}


@pytest.mark.parametrize("case", sorted(BAD_INPUT))
def test_bad_input_is_one_sentence_and_exit_2(case: str, places: dict[str, str]) -> None:
    words, said = (text.format(**places) for text in BAD_INPUT[case])
    plain = run(*words.split())
    assert plain.exit_code == 2, plain.output
    assert said in plain.output
    assert "Traceback" not in plain.output
    assert len(plain.output.strip().splitlines()) == 1

    as_json = run(*words.split(), "--json")
    assert as_json.exit_code == 2
    error = json.loads(as_json.stdout)["error"]
    assert said in error["sentence"]
    assert error["code"]
    assert not Path(places["out"]).exists(), "nothing half-written"


def test_brackets_in_a_sentence_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    fail("missing_package", 'pip install "mllm-affect[cpu]".', 2, as_json=False)
    assert capsys.readouterr().err == ('error pip install "mllm-affect[cpu]". [missing_package]\n')


def test_an_option_that_does_not_exist_is_exit_2() -> None:
    assert run("doctor", "--nothing").exit_code == 2

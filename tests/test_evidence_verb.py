"""The evidence verb: composing, showing the prior, counting the cost."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mllm_affect.cli.app import app


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["evidence", *map(str, words)])


def test_a_composite_is_written_with_its_settings(tmp_path: Path) -> None:
    words = ("add", "--out", tmp_path / "out", "--set", "graph=dense", "--set", "units=[1,2,12]")
    done = run(*words, "--counterfactual", "0", "--json")
    assert done.exit_code == 0, done.output
    evidence = json.loads((tmp_path / "out" / "config.json").read_text())["thinker_config"][
        "evidence"
    ]
    assert evidence["projector"] == json.loads(done.stdout)["projector"]
    assert evidence["projector"]["graph"] == "dense"
    assert evidence["projector"]["units"] == [1, 2, 12]
    assert evidence["losses"]["counterfactual"] == 0
    shown = run(
        "prior", "--checkpoint", tmp_path / "out", "--picture", tmp_path / "a.png", "--json"
    )
    edges = json.loads(shown.stdout)["edges"]
    assert {"from": 2, "to": 1, "kind": "co-occurs", "strength": 0.0} in edges
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_at_the_large_sizes_the_projector_costs_less_than_two_percent() -> None:
    found = json.loads(run("cost", "--json").stdout)
    assert 30e9 < found["base_parameters"] < 33e9
    assert 0 < found["shares"]["parameters"] <= 0.02
    assert 0 < found["shares"]["operations"] <= 0.02


def test_the_miniature_is_counted_as_it_is() -> None:
    from safetensors import safe_open

    from mllm_affect.model.miniature import embedded_checkpoint

    found = json.loads(run("cost", "--base", "miniature", "--json").stdout)
    total = 0
    with safe_open(embedded_checkpoint() / "model.safetensors", framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118  not a mapping
            total += weights.get_tensor(name).numel()
    assert found["base_parameters"] == total


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "--out", "OUT", "--set", "graph=odd"), "bad_evidence"),
        (("add", "--out", "OUT", "--set", "graph"), "bad_setting"),
        (("add", "--out", "OUT", "--set", "colour=red"), "bad_evidence"),
        (("add", "--out", "OUT", "--base", "nowhere"), "bad_checkpoint"),
        (("prior", "--units", "1,x"), "bad_units"),
        (("prior", "--checkpoint", "nowhere"), "bad_checkpoint"),
        (("cost", "--base", "nowhere"), "bad_checkpoint"),
    ],
)
def test_bad_input_is_one_sentence(words: tuple[str, ...], code: str, tmp_path: Path) -> None:
    done = run(*(tmp_path / "out" if word == "OUT" else word for word in words), "--json")
    assert done.exit_code == 2, done.output
    assert json.loads(done.stdout)["error"]["code"] == code
    assert not list(tmp_path.iterdir())

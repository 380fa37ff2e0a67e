"""A claim that falls short, or cannot be measured, must never look like one that holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eval.figures import __main__ as figures
from eval.figures import measuring
from eval.figures.__main__ import measure_all
from eval.figures.claim import Claim, Goal, show
from eval.figures.claims import CLAIMS
from eval.provenance import code_hash


def claim(value: float, goal: Goal) -> Claim:
    return Claim("a claim", goal, "s", "make it", lambda: value)


@pytest.mark.parametrize(
    ("value", "goal", "reached"),
    [
        (0.9, Goal(at_least=0.9), True),
        (0.899, Goal(at_least=0.9), False),
        (0.5, Goal(at_most=0.5), True),
        (0.501, Goal(at_most=0.5), False),
    ],
)
def test_goals_at_their_edges(
    value: float, goal: Goal, reached: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure_all((claim(value, goal),)) is reached
    assert capsys.readouterr().out.startswith("ok" if reached else "MISS")


def test_one_miss_fails_all_and_the_rest_is_still_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> float:
        raise KeyError("after")

    claims = (
        Claim("broken", Goal(at_least=1), "", "make it", broken),
        claim(1.0, Goal(at_most=2.0)),
    )
    assert measure_all(claims) is False
    lines = capsys.readouterr().out.splitlines()
    assert "not measured" in lines[0]
    assert lines[1].startswith("ok")
    assert all("make it" in line for line in lines)


def test_every_claim_has_one_bound_a_name_of_its_own_and_a_command() -> None:
    for entry in CLAIMS:
        assert (entry.goal.at_least is None) != (entry.goal.at_most is None)
        assert entry.command
    assert len({entry.name for entry in CLAIMS}) == len(CLAIMS)


def test_figures_are_shown_in_their_unit() -> None:
    assert show(0.912, "%") == "91.2 %"
    assert show(312.0, "clips") == "312 clips"
    assert show(0.1234, "s") == "0.123 s"
    assert Goal(at_most=540).text("s") == "at most 540 s"
    assert Goal(at_least=0.9).text("%") == "at least 90.0 %"


def test_reading_is_held_against_a_bare_decode_by_one_number() -> None:
    assert 0.0 < measuring.against_bare_decode("B-frames", rounds=1) < 10.0


def test_figures_by_other_code_are_never_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figures.json"
    ran = tmp_path / "ran"
    fake = tmp_path / "mllm-affect"
    fresh = json.dumps({"code": "fresh", "after": {"accuracy": 0.5}})
    fake.write_text(f"#!/bin/sh\necho \"$@\" > {ran}\nprintf '%s' '{fresh}' > {path}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(measuring, "PROGRAM", fake)

    path.write_text(json.dumps({"code": code_hash(), "after": {"accuracy": 0.9}}))
    assert measuring.demo_figures(tmp_path)["after"]["accuracy"] == 0.9
    assert not ran.exists()
    path.write_text(json.dumps({"code": "older", "after": {"accuracy": 0.9}}))
    assert measuring.demo_figures(tmp_path, seed=3, offline=True)["after"]["accuracy"] == 0.5
    assert ran.read_text().split() == [
        "demo",
        "--out",
        str(tmp_path),
        *["--seed", "3", "--offline"],
    ]


def test_the_program_exits_1_where_a_claim_falls_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "CLAIMS", (claim(2.0, Goal(at_most=1.0)),))
    monkeypatch.setattr(sys, "argv", ["figures"])
    assert figures.main() == 1
    monkeypatch.setattr(sys, "argv", ["figures", "--only", "nothing of this name"])
    assert figures.main() == 1
    monkeypatch.setattr(sys, "argv", ["figures", "--only", "a claim"])
    monkeypatch.setattr(figures, "CLAIMS", (claim(1.0, Goal(at_most=1.0)),))
    assert figures.main() == 0


def test_the_best_of_several_runs_is_taken() -> None:
    assert measuring.best_seconds([sys.executable, "-c", ""], attempts=2) < 5.0
    with pytest.raises(subprocess.CalledProcessError):
        measuring.best_seconds([sys.executable, "-c", "raise SystemExit(3)"], attempts=1)

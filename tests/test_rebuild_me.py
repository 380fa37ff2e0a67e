"""The README's micro-expression commands on made data, held to the figures that are claimed."""

from pathlib import Path

import pytest

from eval.figures.claims import CLAIMS, ME
from eval.me_chain import COMMANDS, MADE, chain_figures

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_shows_the_commands_that_are_run() -> None:
    shown = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert MADE in shown
    for command in COMMANDS:
        assert command.replace("lvqa", "vqa") in shown


@pytest.mark.rebuild
@pytest.mark.timeout(1800)
def test_the_commands_reach_the_claimed_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = chain_figures(tmp_path)
    for task in ("vqa", "lvqa"):
        assert figures[task]["unanswered"] == 0
        assert len(figures[task]["submission"]) == 2
    monkeypatch.chdir(tmp_path)
    missed = {
        claim.name: value
        for claim in CLAIMS
        if claim.command == ME and not claim.goal.reached(value := claim.measure())
    }
    assert missed == {}

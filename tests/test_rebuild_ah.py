"""The README's five commands on a made release of BAH, held to the figures that are claimed."""

from pathlib import Path

import pytest

from eval.ah_chain import COMMANDS, MADE, RANGED, chain_figures, seeded, table
from eval.figures.claims import AH, CLAIMS

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_shows_the_commands_that_are_run() -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8")
    assert MADE in shown
    for command in COMMANDS:
        assert f"    {command}\n" in shown


def test_another_seed_changes_people_and_training_and_nothing_else() -> None:
    assert [seeded(command, 0) for command in (MADE, *COMMANDS)] == [MADE, *COMMANDS]
    changed = [c for c in (MADE, *COMMANDS) if seeded(c, 3) != c]
    assert [seeded(command, 3).removeprefix(command) for command in changed] == [
        " --seed 3",
        " --set seed=3",
    ]
    found = {0: dict.fromkeys(RANGED, 0.5), 1: dict.fromkeys(RANGED, 0.7)}
    assert "| macro-F1 | 0.600 | 0.500 | 0.700 |" in table(found)


@pytest.mark.rebuild
@pytest.mark.timeout(1800)
def test_the_five_commands_reach_the_claimed_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = chain_figures(tmp_path)
    assert figures["submission_lines"] == figures["videos"] >= 40
    assert figures["folds"] == 5
    assert set(figures["priors"]) >= {"always no", "always yes", "question", "question and words"}
    monkeypatch.chdir(tmp_path)
    missed = {
        claim.name: value
        for claim in CLAIMS
        if claim.command == AH and not claim.goal.reached(value := claim.measure())
    }
    assert missed == {}

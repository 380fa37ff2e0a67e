"""`evaluate` on a release of BAH: the listed split, without whom consent keeps out, and said so."""

import json
from pathlib import Path

from typer.testing import CliRunner

from eval.predictions import read_predictions
from mllm_affect.cli.app import app
from mllm_affect.data.bah.made_plan import ReleasePlan
from mllm_affect.data.bah.made_release import make_release


def test_a_release_is_evaluated_without_those_who_refused(tmp_path: Path) -> None:
    folder, out = tmp_path / "bah", tmp_path / "out"
    make_release(folder, ReleasePlan((1, 1, 2), 2))
    people = folder / "meta_data.yml"
    text = people.read_text(encoding="utf-8")
    people.write_text(
        text.replace("M004:\n  Use in challenges: 'Yes'", "M004:\n  Use in challenges: 'No'"),
        encoding="utf-8",
    )
    words = f"evaluate ah --data {folder} --split test --model echo --trusted --out {out}".split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert {row.participant for row in read_predictions(out / "predictions.jsonl")} == {"M003"}
    assert json.loads((out / "metrics.json").read_text())["videos"] == 2
    assert "2 (consent: not for challenges)" in " ".join(result.output.split())

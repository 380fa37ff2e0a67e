"""Building, checking and reporting the miniature, at a size that takes seconds."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mllm_affect.cli.app import app
from mllm_affect.errors import UserError
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.miniature.build import BuildPlan, build
from mllm_affect.model.miniature.check import Figure, check_figures
from mllm_affect.model.miniature.questions import questions
from mllm_affect.model.miniature.train import Schedule
from mllm_affect.tasks.prompts import load_task

TINY = BuildPlan(
    seed=3,
    train_clips=8,
    held_out_clips=4,
    schedule=Schedule(warm_steps=1, steps=2, clips_per_step=4, questions_per_clip=2),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "miniature"
    told: list[str] = []
    build(folder, TINY, lambda stage, _done, _total: told.append(stage))
    assert {"drawing clips", "warming up", "training"} <= set(told)
    return folder


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["miniature", *words])


@pytest.mark.rebuild
def test_the_same_seed_builds_the_same_files(built: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "again", TINY)
    noted = json.loads((built / "manifest.json").read_text(encoding="utf-8"))
    assert again["sha256"] == noted["sha256"]
    assert again["figures"] == noted["figures"]
    other = build(tmp_path / "other", replace(TINY, seed=4))
    assert other["sha256"]["model.safetensors"] != noted["sha256"]["model.safetensors"]


def test_the_manifest_says_how_and_what(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["plan"]["seed"] == 3
    assert "--seed 3" in manifest["command"]
    assert manifest["versions"]["torch"]
    assert {"ah", "ah_without_audio", "ah_without_video"} <= manifest["figures"].keys()
    assert "real people" in manifest["what"]
    profile = json.loads((built / "mllm_affect.json").read_text(encoding="utf-8"))
    assert profile["prompt_hashes"] == {"ah": load_task("ah").prompt_hash}


def test_a_folder_in_use_and_a_bad_count_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError) as used:
        build(tmp_path, TINY)
    assert used.value.code == "not_empty"
    for plan in (replace(TINY, train_clips=7), replace(TINY, held_out_clips=7)):
        with pytest.raises(UserError) as count:
            build(tmp_path / "new", plan)
        assert count.value.code == "bad_count"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_build_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "miniature", TINY, stop)
    assert list(tmp_path.iterdir()) == []


def test_check_finds_what_was_changed(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(built, folder)
    assert run("check", str(folder)).exit_code == 0
    (folder / "config.json").write_text("{}")
    (folder / "generation_config.json").unlink()
    (folder / "extra.py").write_text("")
    result = run("check", str(folder), "--json")
    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert sorted(problems) == [
        "config.json has changed",
        "extra.py is not in the manifest",
        "generation_config.json is missing",
    ]


def test_check_measures_again_and_finds_the_same(built: Path) -> None:
    figures = check_figures(built)
    assert {figure.name for figure in figures} > {"ah", "ah_without_audio"}
    assert all(figure.measured == figure.noted for figure in figures)
    assert not Figure("ah", noted=0.97, measured=0.90).holds
    assert Figure("ah_without_audio", noted=0.5, measured=0.45).holds


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "/nonexistent-folder"], "no_manifest"),
        (["build", "--out", "{used}"], "not_empty"),
        (["build", "--out", "{new}", "--train-clips", "6"], "bad_count"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(tmp_path: Path, words: list[str], code: str) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("")
    filled = [word.format(used=tmp_path / "used", new=tmp_path / "new") for word in words]
    plain = run(*filled)
    assert plain.exit_code == 2
    assert code in plain.output
    as_json = run(*filled, "--json")
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["error"]["code"] == code
    assert not (tmp_path / "new").exists()


@pytest.mark.rebuild
def test_build_from_the_command_line(tmp_path: Path) -> None:
    sizes = ["--train-clips", "4", "--held-out-clips", "4", "--warm-steps", "0", "--steps", "1"]
    result = run("build", "--out", str(tmp_path / "m"), *sizes)
    assert result.exit_code == 0, result.output
    assert "new faces and voices" in result.output
    result = run("check", str(tmp_path / "m"), "--figures", "--json")
    assert json.loads(result.stdout.splitlines()[-1])["problems"] == []


def test_path_is_that_of_the_shipped_checkpoint() -> None:
    assert run("path").stdout.strip() == str(embedded_checkpoint())
    assert json.loads(run("path", "--json").stdout) == {"path": str(embedded_checkpoint())}


def test_the_wording_of_the_demonstration_is_never_trained() -> None:
    wordings = [question.text for question in questions()]
    assert load_task("ah").question in wordings
    assert load_task("ah_demo").question not in wordings
    for question in questions():
        assert set(question.answers) >= {question.answer(spec) for spec in _some_specs()}


def _some_specs() -> list[Any]:
    from mllm_affect.data.made.clips import plan_clips

    return plan_clips(40, "train", 0)

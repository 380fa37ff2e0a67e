"""`evaluate au` from made clips and a checkpoint with evidence to its files."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noise_inputs import noise_input
from typer.testing import CliRunner

from eval.units.ablation import SHIFTED, Study
from eval.units.heads import HEADS, scores_of, table
from eval.units.measuring import UnitPlan, predict_units
from eval.units.predictions import UnitPrediction, read_unit_predictions
from eval.units.run import KEPT
from eval.units.summary import summarise_units
from mllm_affect.cli.app import app
from mllm_affect.data.examples import read_examples, write_examples
from mllm_affect.data.made.coded import CodedPlan, make_coded
from mllm_affect.data.unit_labels import MADE_UNITS, UNITS_LABEL, unit_labels
from mllm_affect.engine.unit_reader import UnitReader
from mllm_affect.errors import UserError
from mllm_affect.model.evidence.composing import compose
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.tasks.model_input import ModelInput

EACH = 2


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coded") / "units"
    make_coded(folder, CodedPlan((2, 2, 2), EACH))
    return folder


@pytest.fixture(scope="module")
def whole(coded: Path, composite: Path) -> list[UnitPrediction]:
    return predict_units(UnitPlan(coded, composite, flow_split="train", trusted=True))


def test_a_reader_gives_the_head_of_the_state_before_the_answer(composite: Path) -> None:
    import torch

    from mllm_affect.model.encode import encode

    reader = UnitReader(composite)
    inputs = [noise_input(seed) for seed in range(3)]
    read_NA = reader.read(inputs)["answer"]
    assert read_NA.shape == (3, len(reader.units))
    thinker = reader._model.thinker
    for place, made in enumerate(inputs):
        encoded = encode(reader._processor, made)
        with torch.inference_mode():
            out = thinker(**encoded, output_hidden_states=True, use_cache=False)
            logits_A = thinker.evidence_projector.answer_head(out.hidden_states[-1][0, -1])
        np.testing.assert_allclose(read_NA[place], logits_A.double().sigmoid(), atol=1e-5)


def test_a_token_is_taken_away_for_one_reading_only(composite: Path) -> None:
    reader = UnitReader(composite)
    inputs = [noise_input(seed) for seed in range(2)]
    whole = reader.read(inputs)
    without = reader.read(inputs, ("content",))
    assert np.abs(whole["answer"] - without["answer"]).max() > 1e-6
    for head in ("evidence", "nodes"):
        np.testing.assert_array_equal(whole[head], without[head])
    np.testing.assert_array_equal(reader.read(inputs)["answer"], whole["answer"])


def test_the_projector_s_own_heads_hear_nothing_of_the_language_model(composite: Path) -> None:
    import torch

    reader = UnitReader(composite)
    inputs = [noise_input(seed) for seed in range(3)]
    before = reader.read(inputs)
    with torch.no_grad():
        reader._model.thinker.model.norm.weight.mul_(-3.0)
    after = reader.read(inputs)
    assert np.abs(before["answer"] - after["answer"]).max() > 1e-6
    for head in ("evidence", "nodes"):
        np.testing.assert_array_equal(before[head], after[head])
    assert np.abs(before["evidence"] - before["nodes"]).max() > 1e-6


def test_a_checkpoint_that_gives_no_token_is_the_plain_model(tmp_path: Path) -> None:
    compose(embedded_checkpoint(), tmp_path / "plain", {"given": []}, seed=5)
    reader = UnitReader(tmp_path / "plain")
    assert reader.given == ()
    inputs = [noise_input(0)]
    read, without = reader.read(inputs), reader.read(inputs, ("content", "instruction"))
    np.testing.assert_array_equal(read["answer"], without["answer"])


def test_a_checkpoint_without_evidence_is_refused() -> None:
    with pytest.raises(UserError, match="no evidence projector"):
        UnitReader(embedded_checkpoint())


def test_a_stopped_evaluation_reads_no_video_twice(
    coded: Path,
    composite: Path,
    whole: list[UnitPrediction],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = UnitPlan(coded, composite, leanings=False, trusted=True)
    asked: list[int] = []
    read = UnitReader.read

    def counted(self: UnitReader, inputs: list[ModelInput], *ways: Any) -> Any:
        asked.append(len(inputs))
        return read(self, inputs, *ways)

    monkeypatch.setattr(UnitReader, "read", counted)

    def stop(done: int, total: int) -> None:
        assert done < total
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_units(plan, stop, tmp_path / "kept")
    assert asked == [4]
    rows = predict_units(plan, keep=tmp_path / "kept")
    assert asked == [4, 4]
    for row, undisturbed in zip(rows, whole, strict=True):
        assert row.probabilities == undisturbed.probabilities
        assert row.thresholds == undisturbed.thresholds


def test_predictions_carry_labels_thresholds_of_others_and_what_was_leant_on(
    coded: Path, whole: list[UnitPrediction]
) -> None:
    rows = whole
    tested = [example for example in read_examples(coded) if example.split == "test"]
    assert [row.video for row in rows] == [example.video for example in tested]
    for row, example in zip(rows, tested, strict=True):
        assert list(row.labels) == unit_labels(example.labels[UNITS_LABEL], MADE_UNITS)
        assert len(row.without_content) == len(row.without_instruction) == len(MADE_UNITS)
        assert len(row.flow) == len(row.flow_thresholds) == len(MADE_UNITS)
    assert len({row.thresholds for row in rows}) == 1


def test_thresholds_do_not_move_when_the_tested_labels_do(
    coded: Path, composite: Path, whole: list[UnitPrediction], tmp_path: Path
) -> None:
    shutil.copytree(coded, tmp_path / "other")
    examples = [
        example.model_copy(update={"labels": {"au": "yes", UNITS_LABEL: "1,2,4,5,6,12,15,26"}})
        if example.split == "test"
        else example
        for example in read_examples(coded)
    ]
    write_examples(tmp_path / "other", examples)
    plan = UnitPlan(tmp_path / "other", composite, leanings=False, trusted=True)
    second = predict_units(plan)
    assert whole[0].labels != second[0].labels
    assert [row.thresholds for row in whole] == [row.thresholds for row in second]


def test_a_long_video_shows_what_any_of_its_segments_does(
    coded: Path, composite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut into two, a video's probabilities are the higher of its halves'."""
    from mllm_affect.media.video import open_video
    from mllm_affect.model.profile import ModelProfile, read_profile
    from mllm_affect.tasks.model_input import model_input
    from mllm_affect.tasks.prompts import load_task

    monkeypatch.setattr(ModelProfile, "segment_seconds", lambda _profile: 0.5)
    first = predict_units(UnitPlan(coded, composite, leanings=False, trusted=True))[0]
    task = read_profile(composite).fit(load_task("au"))
    with open_video(coded / first.video, trusted=True) as video:
        inputs = [model_input(clip, task) for clip in video.read(task.sampling, 0.5)]
    assert len(inputs) == 2
    expected_A = UnitReader(composite).read(inputs)["answer"].max(0)
    np.testing.assert_allclose(first.probabilities, expected_A, atol=1e-5)


def test_a_video_that_cannot_be_read_counts_as_wrong(
    coded: Path, composite: Path, whole: list[UnitPrediction], tmp_path: Path
) -> None:
    broken = shutil.copytree(coded, tmp_path / "broken")
    victims = [
        next(example for example in read_examples(coded) if example.split == split)
        for split in ("val", "test")
    ]
    for example in victims:
        (broken / example.video).write_bytes(b"no video")
    rows = predict_units(UnitPlan(broken, composite, trusted=True))
    assert [row.video for row in rows] == [row.video for row in whole]
    (wrong,) = [row for row in rows if row.problem]
    assert wrong.video == victims[1].video
    assert wrong.problem is not None
    assert ": " in wrong.problem, "code and sentence"
    for name in ("probabilities", "without_content", "without_instruction"):
        assert [1 - value for value in getattr(wrong, name)] == list(wrong.labels)
    for one, other in zip(rows, whole, strict=True):
        if one.video != wrong.video:
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert summarise_units(rows).unusable == 1
    for example in read_examples(coded):
        if example.split == "val":
            (broken / example.video).write_bytes(b"no video")
    with pytest.raises(UserError, match=f"None of {2 * EACH} videos can be used"):
        predict_units(UnitPlan(broken, composite, trusted=True))


def test_a_checkpoint_that_learned_other_words_is_refused(
    coded: Path, composite: Path, tmp_path: Path
) -> None:
    from mllm_affect.model.profile import read_profile, write_profile

    shutil.copytree(composite, tmp_path / "other")
    profile = read_profile(composite)
    other = profile.model_copy(update={"prompt_hashes": {"au": "0" * 64}})
    write_profile(tmp_path / "other", other)
    with pytest.raises(UserError, match="another prompt"):
        predict_units(UnitPlan(coded, tmp_path / "other"))


def test_a_split_never_tunes_itself_and_nobody_is_on_both_sides(
    coded: Path, composite: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="must not see the split that is tested"):
        predict_units(UnitPlan(coded, composite, thresholds_split="test"))
    shutil.copytree(coded, tmp_path / "leaking")
    examples = [
        example.model_copy(update={"participant": "same"}) for example in read_examples(coded)
    ]
    write_examples(tmp_path / "leaking", examples)
    with pytest.raises(UserError, match="give everyone one split"):
        predict_units(UnitPlan(tmp_path / "leaking", composite))


def test_the_verb_writes_predictions_figures_picture_and_report(
    coded: Path, composite: Path, tmp_path: Path
) -> None:
    words = ["evaluate", "au", "--data", str(coded), "--model", str(composite), "--trusted"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "au"), "--json"])
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "au" / KEPT).exists()
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["scores"]["videos"] == 2 * EACH
    assert {item["token"] for item in said["leanings"]} == {"content token", "instruction token"}
    html = (tmp_path / "au" / "unit-report.html").read_text()
    for words_shown in ("AU26", "optical-flow baseline", "Who speaks to whom", "Clips whose"):
        assert words_shown in html
    assert "drawn faces" in html
    assert (tmp_path / "au" / "unit-graph.svg").is_file()
    rows = read_unit_predictions([tmp_path / "au" / "unit-predictions.jsonl"])
    assert len(rows) == 2 * EACH
    refused = CliRunner().invoke(app, ["evaluate", "au", "--out", str(tmp_path / "no"), "--json"])
    assert refused.exit_code == 2
    assert "--predictions" in refused.output


def test_made_units_and_folds_from_the_command_line(tmp_path: Path) -> None:
    words = ["make", "units", "--out", str(tmp_path / "units"), "--people", "1,1,1"]
    done = CliRunner().invoke(app, [*words, "--clips-each", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["clips"] == {"train": 1, "val": 1, "test": 1}
    words = ["make", "folds", "--data", str(tmp_path / "units"), "--out", str(tmp_path / "folds")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["folds"]) == 3
    done = CliRunner().invoke(app, [*words, "--by", "light"])
    assert done.exit_code == 2


def test_heads_of_trained_checkpoints_are_scored_each_with_thresholds_of_its_own(
    coded: Path, composite: Path, tmp_path: Path
) -> None:
    study = Study(tmp_path)
    (tmp_path / "seed-0" / SHIFTED / "trained").mkdir(parents=True)
    (tmp_path / "seed-0" / SHIFTED / "trained/merged").symlink_to(composite)
    study.clips(0, shifted=True).symlink_to(coded)
    found = scores_of(study, SHIFTED, 0)
    assert found.keys() == set(HEADS)
    measured = predict_units(UnitPlan(coded, composite, leanings=False, trusted=True))
    assert found["answer"] == pytest.approx(summarise_units(measured).scores.f1)
    text = table({(SHIFTED, head): {0: score} for head, score in found.items()})
    assert f"{found['evidence']:.3f}" in text


def test_probabilities_and_thresholds_keep_their_digits(whole: list[UnitPrediction]) -> None:
    """Rounded to six, a threshold between two near probabilities would turn answers round."""
    for name in ("probabilities", "thresholds", "flow"):
        values = [value for row in whole for value in getattr(row, name)]
        assert any(value != round(value, 6) for value in values), name

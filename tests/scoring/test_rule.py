"""From segments to a verdict: the task's own rule, scoring.json's, and abstention."""

from pathlib import Path

import numpy as np
import pytest
from scoring_entry import SEGMENTER, entry

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_json
from mllm_affect.media.sampling.policy import FixedCount
from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.scoring.abstention import Abstention, Quality, quality_of, reasons_to_abstain
from mllm_affect.scoring.rule import rule_for
from mllm_affect.scoring.scoring_file import ScoringFile, read_scoring, scoring_of, write_scoring
from mllm_affect.tasks.prompts import load_task

GOOD = Quality(brightness=0.5, has_sound=True)
SEGMENTS = [{"yes": 0.9, "no": 0.1}, {"yes": 0.2, "no": 0.8}]
AH = load_task("ah")


def scorings(**changes: object) -> ScoringFile:
    return ScoringFile().with_task(entry(**changes))


def test_without_a_scoring_the_task_decides() -> None:
    rule = rule_for(AH, ScoringFile(), SEGMENTER, 5.0)
    assert rule.calibration_id is None
    verdict = rule.verdict(SEGMENTS, [1.0, 4.0], [GOOD, GOOD])
    assert verdict.probabilities == verdict.uncalibrated
    assert verdict.probabilities["yes"] == pytest.approx((0.9 + 0.8) / 5)
    assert verdict.answer == "no"


def test_a_scoring_pools_calibrates_and_decides() -> None:
    found = scorings(pooling="max", temperature=2.0, bias=0.0, threshold=0.7)
    rule = rule_for(AH, found, SEGMENTER, 5.0)
    verdict = rule.verdict(SEGMENTS, [1.0, 4.0], [GOOD, GOOD])
    assert verdict.uncalibrated["yes"] == pytest.approx(0.9)
    assert verdict.probabilities["yes"] == pytest.approx(0.75)  # odds 9, and their square root 3
    assert verdict.answer == "yes"
    assert rule.calibration_id == found.tasks["ah"].id


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prompt_hash": "0"}, "prompt"),
        ({"segmenter": "whole"}, "segmenter"),
        ({"max_seconds": 8.0}, "segmenter"),
        ({"sampling": Sampling(fps=4.0)}, "sampling"),
        ({"sampling": Sampling(policy=FixedCount(8))}, "sampling"),
        ({"answers": ("no", "yes")}, "answers"),
    ],
)
def test_a_scoring_for_other_inputs_is_refused_unless_forced(
    changes: dict[str, object], says: str
) -> None:
    found = scorings(**changes)
    with pytest.raises(UserError, match=says) as caught:
        rule_for(AH, found, SEGMENTER, 5.0)
    assert caught.value.code == "other_scoring"
    assert rule_for(AH, found, SEGMENTER, 5.0, force=True).calibration_id


def test_any_change_gives_another_id_and_none_is_lost_on_disk(tmp_path: Path) -> None:
    assert read_scoring(tmp_path) == ScoringFile()
    first, other = entry(), entry(task="other")
    write_scoring(tmp_path, first)
    write_scoring(tmp_path, other)
    found = read_scoring(tmp_path)
    assert found.tasks == {"ah": first, "other": other}
    assert found.tasks["ah"].id == first.id
    assert len({first.id, other.id, entry(temperature=1.1).id, entry(threshold=0.4).id}) == 4


def test_a_scoring_fitted_to_other_weights_is_refused_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    made = entry().made_from.model_copy(update={"weights": weights_hash(tmp_path)})
    write_scoring(tmp_path, entry(made_from=made))
    write_scoring(tmp_path, entry(task="other"))  # whose weights nobody noted
    found = scoring_of(tmp_path)
    assert found == read_scoring(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match=r"other weights than these \(task ah\)") as caught:
        scoring_of(tmp_path)
    assert caught.value.code == "other_scoring"
    assert scoring_of(tmp_path, force=True) == found
    with pytest.raises(UserError):
        scoring_of(tmp_path, weights="0" * 64)


def test_a_file_can_be_made_to_answer_always() -> None:
    found = scorings(abstention=Abstention(least_seconds=100.0)).never_abstaining()
    verdict = rule_for(AH, found, SEGMENTER, 5.0).verdict([{"yes": 0.9, "no": 0.1}], [5.0], [GOOD])
    assert (verdict.answer, verdict.reasons) == ("yes", ())


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", '{"schema_version": 2}', '{"tasks": {"ah": {}}}']
)
def test_a_file_that_is_no_scoring(tmp_path: Path, text: str) -> None:
    (tmp_path / "scoring.json").write_text(text)
    with pytest.raises(UserError) as caught:
        read_scoring(tmp_path)
    assert caught.value.code == "bad_scoring"


@pytest.mark.parametrize(
    ("qualities", "durations", "codes"),
    [
        ([GOOD, GOOD], [5.0, 5.0], []),
        ([GOOD], [0.4], ["too_short"]),
        ([GOOD, GOOD.model_copy(update={"has_sound": False})], [5.0, 4.0], []),
        ([GOOD, GOOD.model_copy(update={"has_sound": False})], [1.0, 4.0], ["missing_audio"]),
        ([Quality(brightness=0.01, has_sound=True)], [5.0], ["too_dark"]),
        ([GOOD.model_copy(update={"face_share": 0.2})], [5.0], ["mostly_no_face"]),
        (
            [Quality(brightness=0.0, has_sound=False, face_share=0.0)],
            [0.2],
            ["too_short", "missing_audio", "too_dark", "mostly_no_face"],
        ),
    ],
)
def test_reasons_to_abstain(
    qualities: list[Quality], durations: list[float], codes: list[str]
) -> None:
    reasons = reasons_to_abstain(Abstention(), qualities, durations)
    assert [reason.code for reason in reasons] == codes


def test_abstaining_tells_the_probability_all_the_same() -> None:
    rule = rule_for(AH, scorings(), SEGMENTER, 5.0)
    silent = [GOOD.model_copy(update={"has_sound": False})] * 2
    verdict = rule.verdict(SEGMENTS, [1.0, 4.0], silent)
    assert verdict.answer is None
    assert [reason.code for reason in verdict.reasons] == ["missing_audio"]
    heard = rule.verdict(SEGMENTS, [1.0, 4.0], [GOOD, GOOD])
    assert verdict.probabilities == heard.probabilities
    assert heard.answer is not None


def test_every_reason_can_be_switched_off() -> None:
    off = Abstention(most_without_sound=1, most_without_face=1, least_brightness=0, least_seconds=0)
    worst = Quality(brightness=0.0, has_sound=False, face_share=0.0)
    assert reasons_to_abstain(off, [worst], [0.0]) == ()


def test_the_quality_of_a_clip() -> None:
    segment = Segment("0", 0, 0.0, 1.0, 0, 25, True)
    white = np.full((2, 32, 32, 3), 255, np.uint8)
    silence = np.zeros(16_000, np.int16)
    clip = Clip(segment, Sampling(), white, np.zeros(2), silence)
    assert quality_of(clip) == Quality(brightness=1.0, has_sound=False)
    heard = Clip(segment, Sampling(), white * 0, np.zeros(2), silence + 1)
    assert quality_of(heard) == Quality(brightness=0.0, has_sound=True)


def test_the_id_of_an_entry_written_before_its_newest_fields_stays() -> None:
    old = entry().model_dump(mode="json") | {"sampling": entry().sampling.facts()}
    for part in ("before", "out_of_fold", "fitted"):
        del old[part]["macro_f1_interval"]
    del old["made_from"]["chose_checkpoint"]
    assert entry().id == sha256_json(old)
    made = entry().made_from.model_copy(update={"chose_checkpoint": True})
    assert entry(made_from=made).id != entry().id

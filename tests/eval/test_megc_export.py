"""The micro-expression submission: byte-faithful, deterministic, refused for every defect."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from megc_rows import LVQA, VQA, predict, write_questions

from eval.exports.megc import Submission, prepare, write_submission
from eval.megc.predictions import Predicted, read_predicted, write_predicted
from mllm_affect.errors import UserError


def prepared(
    folder: Path,
    task: str,
    rows: list[Predicted] | None = None,
    shared: bool = False,
    **options: object,
) -> Submission:
    rows = predict(task, shared=shared) if rows is None else rows
    paths = write_questions(folder, task, shared=shared)
    return prepare(paths, {row.key: row for row in rows}, task, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["vqa", "lvqa"])
def test_round_trip_keeps_every_byte_but_the_answers(tmp_path: Path, task: str) -> None:
    submission = prepared(tmp_path, task)
    assert submission.problems == ()
    write_submission(submission, tmp_path / "a.zip")
    write_submission(prepared(tmp_path, task), tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    suffix = "_v2" if task == "vqa" else ""
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [
            f"me_{task}_{name}{suffix}_test_pred.jsonl" for name in ("casme3", "samm")
        ]
        for name in archive.namelist():
            content = archive.read(name).decode()
            before = (tmp_path / name.replace("_test_pred", "_test_to_answer")).read_bytes()
            rows = [json.loads(line) for line in content.split("\r\n")]
            separators = (",", ":") if "casme3" in name else (", ", ": ")
            for row in rows:
                answer = json.dumps(row["answer"], ensure_ascii=False)
                content = content.replace(f'"answer"{separators[1]}{answer}',
                                          f'"answer"{separators[1]}""', 1)  # fmt: skip
            assert content.encode() == before
            assert all(row["answer"] != "" for row in rows)
            assert list(rows[0]) == ["note", "video_id", "video", "question", "answer"]


def test_a_missing_clip_keeps_its_rows_and_is_counted(tmp_path: Path) -> None:
    submission = prepared(tmp_path, "vqa")
    assert submission.rows == 20
    assert submission.warnings == (
        "2 clips (10 rows) were answered without pictures: their folder is missing or cannot be "
        "used.",
    )


BAD_VQA = [
    (0, None, "missing_row", "has no prediction"),
    (0, "Negative", "off_vocabulary", "'Negative' is none of"),
    (0, "positive", "contradiction", "fear is negative, not positive"),
    (1, "happiness", "contradiction", "fine class is fear and happiness"),
    (2, "dimple, lips part", "off_vocabulary", "'dimple' is no action unit"),
    (2, "dimpler", "off_vocabulary", "asks for several"),
    (3, "no", "contradiction", "dimpler is said not to be shown"),
]


@pytest.mark.parametrize("shared", [False, True], ids=["an id per row", "an id per clip"])
@pytest.mark.parametrize(("place", "answer", "code", "said"), BAD_VQA)
def test_each_defect_of_a_clip_is_listed_and_nothing_written(
    tmp_path: Path, place: int, answer: str | None, code: str, said: str, shared: bool
) -> None:
    rows = predict("vqa", shared=shared)
    rows[place] = replace(rows[place], answer=answer)
    submission = prepared(tmp_path, "vqa", rows, shared)
    assert code in [problem.code for problem in submission.problems]
    assert any(said in problem.sentence for problem in submission.problems)
    with pytest.raises(UserError) as caught:
        write_submission(submission, tmp_path / "out.zip")
    assert caught.value.code == "invalid_submission"
    assert not (tmp_path / "out.zip").exists()


BAD_LVQA = [
    (0, 3, "contradiction", "3 events are not 1 micro- and 1 macro"),
    (0, 1, "contradiction", "1 events, but event 2 is asked about"),
    (0, "two", "wrong_count", "'two' is no count"),
    (0, -2, "wrong_count", "is no count"),
    (3, None, "contradiction", "2 events show 0 action units"),
    (4, "micro-expression", "contradiction", "2 events are called micro-expression"),
    (4, "micro", "off_vocabulary", "'micro' is none of"),
    (4, None, "missing_row", "has no prediction"),
]


@pytest.mark.parametrize("shared", [False, True], ids=["an id per row", "an id per video"])
@pytest.mark.parametrize(("place", "answer", "code", "said"), BAD_LVQA)
def test_each_defect_of_a_long_video_is_listed(
    tmp_path: Path, place: int, answer: str | int | None, code: str, said: str, shared: bool
) -> None:
    rows = predict("lvqa", shared=shared)
    rows[place] = replace(rows[place], answer=answer)
    problems = prepared(tmp_path, "lvqa", rows, shared).problems
    assert code in [problem.code for problem in problems]
    assert any(said in problem.sentence for problem in problems)


def test_every_defect_is_listed_at_once(tmp_path: Path) -> None:
    problems = prepared(tmp_path, "vqa", predict("vqa")[3:]).problems
    assert [problem.code for problem in problems] == ["missing_row"] * 3
    assert "line 1 (casme3_test_MADE-0_1: What is the coarse" in str(problems[0])


def test_counts_take_the_form_asked_for_or_must_have_one(tmp_path: Path) -> None:
    rows = predict("lvqa")
    text = prepared(tmp_path, "lvqa", rows, counts="string").files
    assert all(b'"2"' in content for content in text.values())
    rows[0] = replace(rows[0], answer="2")
    mixed = prepared(tmp_path, "lvqa", rows).problems
    assert [problem.code for problem in mixed] == ["mixed_counts"]
    assert prepared(tmp_path, "lvqa", rows, counts="number").problems == ()


def test_a_long_video_may_show_units_outside_the_challenges_names(tmp_path: Path) -> None:
    rows = predict("lvqa")
    rows[3] = replace(rows[3], answer="dimpler, lip pucker")
    assert prepared(tmp_path, "lvqa", rows).problems == ()
    rows[3] = replace(rows[3], answer="dimpler, lip puckerer")
    assert [p.code for p in prepared(tmp_path, "lvqa", rows).problems] == ["off_vocabulary"]
    clip = predict("vqa")
    clip[2] = replace(clip[2], answer="dimpler, lip pucker")
    assert "off_vocabulary" in [p.code for p in prepared(tmp_path, "vqa", clip).problems]


def test_both_sets_of_one_version_are_needed(tmp_path: Path) -> None:
    casme3, samm = write_questions(tmp_path, "vqa")
    for paths in ([samm], [samm, samm], []):
        with pytest.raises(UserError) as caught:
            prepare(paths, {}, "vqa")
        assert caught.value.code == "missing_set"
    first = samm.rename(tmp_path / "me_vqa_samm_test_to_answer.jsonl")
    with pytest.raises(UserError) as mixed:
        prepare([casme3, first], {}, "vqa")
    assert mixed.value.code == "mixed_versions"
    with pytest.raises(UserError) as other:
        prepare([casme3], {}, "lvqa")
    assert other.value.code == "bad_file_name"


def test_questions_that_nobody_knows_are_counted_and_strangers_too(tmp_path: Path) -> None:
    casme3, samm = write_questions(tmp_path, "vqa")
    samm.write_bytes(samm.read_bytes().replace(VQA[0].encode(), b"What now?"))
    rows = predict("vqa")
    rows += [replace(row, question="What now?") for row in rows if row.question == VQA[0]]
    submission = prepare([casme3, samm], {row.key: row for row in rows}, "vqa")
    assert submission.problems == ()
    assert any(item.startswith("2 rows ask what the rules") for item in submission.warnings)
    assert any(item.startswith("4 predictions answer no") for item in submission.warnings)


def test_predictions_come_back_as_written(tmp_path: Path) -> None:
    rows = predict("lvqa")
    assert write_predicted(tmp_path / "p.jsonl", rows) == len(rows) == 4 * len(LVQA)
    assert list(read_predicted([tmp_path / "p.jsonl"]).values()) == rows

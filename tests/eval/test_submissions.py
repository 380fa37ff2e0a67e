"""What leaves for a leaderboard: checked as strictly as possible, equal to the byte."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_predictions import prediction
from typer.testing import CliRunner

from eval import metrics
from eval.exports.abaw_ah import Rows, submission_lines, write_submission
from eval.exports.abaw_ah_frames import frame_lines, write_frames
from eval.exports.checking import file_problems, trial_problems
from eval.exports.matching import differences
from eval.exports.spreading import spread
from eval.predictions import Prediction, SegmentPrediction, write_predictions
from mllm_affect.cli.app import app
from mllm_affect.errors import UserError

ORDER = [f"Videos/p{i}/Visite 1/q, {i}.mp4" for i in range(1, 5)]
PLAIN_ORDER = [name.replace(", ", "_") for name in ORDER]


def rows(order: list[str] = PLAIN_ORDER, shift: float = 0.0) -> list[Prediction]:
    return [
        replace(prediction(name, "yes", 0.2 * place + 0.15 + shift), threshold=0.5)
        for place, name in enumerate(order)
    ]


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "test.txt"
    path.write_text("".join(f"{name},1,so, I think\n" for name in PLAIN_ORDER))
    return path


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_spreading_changes_neither_answers_nor_the_usual_average_precision(
    drawn: list[tuple[float, bool]],
) -> None:
    probabilities = [p for p, _ in drawn]
    said = [p >= 0.4 for p in probabilities]
    scores = spread(probabilities, said)
    assert [score >= 0.5 for score in scores] == said
    assert all(0.0 <= score < 1.0 for score in scores)
    for (one, high), (other, low) in zip(
        sorted(zip(probabilities, scores, strict=True))[1:],
        sorted(zip(probabilities, scores, strict=True)),
        strict=False,
    ):
        assert (high == low) if one == other else (high > low)
    label_N = np.array([label for _, label in drawn])
    assert metrics.average_precision(np.array(scores), label_N) == pytest.approx(
        metrics.average_precision(np.array(probabilities), label_N)
    )


def test_spreading_gives_a_perfect_ranker_what_it_deserves_by_the_organisers_metric() -> None:
    label_N = np.arange(300) % 2 == 0
    bunched_N = np.where(label_N, 0.9, 0.1) + np.linspace(-1e-4, 1e-4, 300)
    assert metrics.challenge_average_precision(bunched_N, label_N) < 0.76
    scores = np.array(spread(bunched_N.tolist(), (bunched_N >= 0.5).tolist()))
    assert metrics.challenge_average_precision(scores, label_N) > 0.99


@pytest.mark.parametrize("form", ["label", "probability"])
def test_what_is_written_passes_the_check(tmp_path: Path, reference: Path, form: str) -> None:
    out = tmp_path / "trial-3.txt"
    assert write_submission([rows()], reference, out, Rows(form)) == 4  # type: ignore[arg-type]
    assert file_problems(out, PLAIN_ORDER) == []
    assert [line[-1] for line in out.read_text().splitlines()] == list("0011")


GOOD = submission_lines(rows(), PLAIN_ORDER)
FIRST = GOOD.splitlines(keepends=True)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace(FIRST, ""), f"{PLAIN_ORDER[0]} is listed and missing here"),
        (GOOD + "Videos/z.mp4,0.500000,0.500000,0\n", "Videos/z.mp4 is here and not listed"),
        (GOOD + FIRST, f"{PLAIN_ORDER[0]} is here more than once"),
        (GOOD.replace("p1/Visite 1", "P1/Visite_1"), f"listed is {PLAIN_ORDER[0]}"),
        (GOOD.replace("Videos/p2/", "p2/"), f"listed is {PLAIN_ORDER[1]}"),
        ("".join(reversed(GOOD.splitlines(keepends=True))), f"{PLAIN_ORDER[0]} is listed"),
        (GOOD.replace("\n", "\r\n"), "carriage returns"),
        ("\ufeff" + GOOD, "byte order mark"),
        (GOOD[:-1], "no end"),
        (GOOD.replace("\n", "\n\n", 1), "empty lines"),
        (GOOD.replace(",0\n", ",2\n", 1), "'2', not 0 or 1"),
        (GOOD.replace(",0.125000,", ",0.125001,"), "exactly 1.0"),
        (GOOD.replace("0.125000,0\n", "0.125000,1\n"), "no threshold explains"),
        (GOOD.replace(FIRST, f"{PLAIN_ORDER[0]},0\n"), "some rows have probabilities"),
        ("path,pred\n" + GOOD, "path is here and not listed"),
        ("", "no rows"),
    ],
)
def test_every_fault_is_named(text: str, said: str) -> None:
    assert text != GOOD
    problems = trial_problems(text.encode(), PLAIN_ORDER)
    assert any(said in problem for problem in problems), problems
    assert trial_problems(GOOD.encode(), PLAIN_ORDER) == []


def test_the_fault_that_the_organisers_check_lets_pass_is_found() -> None:
    """Their probability check compares the first character of a line only."""
    names = ["Videos/a.mp4", "Videos/b.mp4"]
    swapped = "Videos/b.mp4,0.900000,0.100000,0\nVideos/a.mp4,0.100000,0.900000,1\n"
    assert len(trial_problems(swapped.encode(), names)) == 2
    assert trial_problems(b"\xff\xfe,1\n", names) == ["the file is not UTF-8 text"]


def test_each_difference_is_listed_once() -> None:
    found = differences(
        ["a/1.mp4", "b/2.MP4", "x/3.mp4", "new.mp4", "a/1.mp4"],
        ["a/1.mp4", "b/2.mp4", "y/3.mp4", "gone.mp4"],
    )
    assert found.missing == ("gone.mp4",)
    assert found.extra == ("new.mp4",)
    assert found.repeated == ("a/1.mp4",)
    assert found.renamed == (("b/2.MP4", "b/2.mp4"), ("x/3.mp4", "y/3.mp4"))
    assert len(list(found.sentences())) == 5
    composed, decomposed = "caf\u00e9.mp4", "cafe\u0301.mp4"
    assert differences([decomposed], [composed]).renamed == ((decomposed, composed),)


def test_the_archive_is_flat_ordered_and_the_same_every_time(
    tmp_path: Path, reference: Path
) -> None:
    trials = [rows(shift=0.001 * number) for number in range(5)]
    for name in ("one.zip", "two.zip"):
        write_submission(trials, reference, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == [f"trial-{number}.txt" for number in range(5)]
        assert archive.read("trial-0.txt").decode() == GOOD
    assert file_problems(tmp_path / "one.zip", PLAIN_ORDER) == []
    with zipfile.ZipFile(tmp_path / "one.zip", "a") as archive:
        archive.writestr("folder/trial-0.txt", GOOD)
    problems = file_problems(tmp_path / "one.zip", PLAIN_ORDER)
    assert any("6 files" in problem for problem in problems)
    assert any("folder/trial-0.txt is not named" in problem for problem in problems)
    (tmp_path / "broken.zip").write_text("no zip")
    assert "not a zip" in file_problems(tmp_path / "broken.zip", PLAIN_ORDER)[0]


@pytest.mark.parametrize(
    ("trials", "name", "code"),
    [
        ([rows()], "submission.txt", "bad_trial_name"),
        ([rows()], "trial-5.txt", "bad_trial_name"),
        ([rows()] * 2, "trial-0.txt", "too_many_trials"),
        ([rows()] * 6, "trials.zip", "too_many_trials"),
        ([rows()[1:]], "trial-0.txt", "mismatched_ids"),
        ([rows(), rows()[1:]], "trials.zip", "mismatched_ids"),
        ([[replace(rows()[0], answer="yes"), *rows()[1:]]], "trial-0.txt", "inconsistent_answers"),
        (
            [[replace(rows()[0], answer="yes", threshold=None), *rows()[1:]]],
            "trial-0.txt",
            "inconsistent_answers",
        ),
    ],
)
def test_a_refusal_writes_nothing(
    tmp_path: Path, reference: Path, trials: list[list[Prediction]], name: str, code: str
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UserError) as caught:
        write_submission(trials, reference, tmp_path / name)
    assert caught.value.code == code
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_ids_with_commas_cannot_be_listed_and_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.txt"
    path.write_text("".join(f"{name}\n" for name in ORDER))
    with pytest.raises(UserError) as caught:
        write_submission([rows(ORDER)], path, tmp_path / "trial-0.txt")
    assert caught.value.code == "mismatched_ids"


TIMES_T = np.arange(10) * 0.5


def framed(video: str) -> Prediction:
    return replace(
        prediction(video, "yes", 0.6),
        threshold=0.6,
        segments=(
            SegmentPrediction(0, 0.0, 3.0, "yes", {"yes": 0.7, "no": 0.3}),
            SegmentPrediction(1, 3.0, 5.0, "yes", {"yes": 0.55, "no": 0.45}),
        ),
    )


def test_frame_rows_follow_the_segments_and_the_listed_order(tmp_path: Path) -> None:
    names = [f"Videos/a b.mp4/frame-{number}.jpg" for number in (6, 0, 5, 9)]
    faces = [f"cropped-aligned-faces/{name}" for name in names]
    said = frame_lines([framed("Videos/a b.mp4")], names, lambda _: TIMES_T)
    assert said == "".join(f"{n},{v}\n" for n, v in zip(names, "0110", strict=True))
    listed = tmp_path / "frames.txt"
    listed.write_text("".join(f"{name},0\n" for name in faces))
    out = tmp_path / "out.txt"
    assert write_frames([framed("Videos/a b.mp4")], listed, out, lambda _: TIMES_T) == 4
    assert file_problems(out, faces) == []


@pytest.mark.parametrize(
    ("item", "names", "code"),
    [
        (framed("v.mp4"), ["v.mp4/frame-10.jpg"], "unknown_frames"),
        (framed("v.mp4"), ["v.mp4/10.jpg"], "bad_reference"),
        (framed("w.mp4"), ["v.mp4/frame-1.jpg"], "mismatched_ids"),
        (prediction("v.mp4", "yes", None), ["v.mp4/frame-1.jpg"], "unusable_answers"),
        (
            replace(framed("v.mp4"), segments=framed("v.mp4").segments[:1]),
            ["v.mp4/frame-1.jpg"],
            "unusable_answers",
        ),
    ],
)
def test_frame_rows_that_cannot_be_right_are_refused(
    item: Prediction, names: list[str], code: str
) -> None:
    with pytest.raises(UserError) as caught:
        frame_lines([item], names, lambda _: TIMES_T)
    assert caught.value.code == code


def test_the_verbs_write_and_check(tmp_path: Path, reference: Path) -> None:
    write_predictions(tmp_path / "p.jsonl", rows())
    words = f"--predictions {tmp_path}/p.jsonl --order {reference}"
    archive = tmp_path / "trials.zip"
    run = CliRunner().invoke
    written = run(app, f"export abaw-ah {words} {words[: words.index('--order')]} "
                       f"--out {archive} --json".split())  # fmt: skip
    assert json.loads(written.stdout)["trials"] == 2
    assert run(app, f"export check {archive} --order {reference}".split()).exit_code == 0
    short = tmp_path / "short.txt"
    short.write_text("".join(reference.read_text().splitlines(keepends=True)[:-1]))
    checked = run(app, f"export check {archive} --order {short} --json".split())
    assert checked.exit_code == 1
    assert len(json.loads(checked.stdout)["problems"]) == 2
    gone = run(app, f"export check {tmp_path}/none.txt --order {reference}".split())
    assert gone.exit_code == 2

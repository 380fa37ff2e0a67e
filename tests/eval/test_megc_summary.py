"""Intervals, floors, comparisons and joined files of the micro-expression scores."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from megc_pairs import COARSE, FINE, UNITS, coarse_rows, pair

from eval.megc.comparing import compare
from eval.megc.figures import SumFigure, evaluate
from eval.megc.lvqa_scores import lvqa_figures
from eval.megc.pairs import pair_up, unanswered
from eval.megc.people import Filmed
from eval.megc.predictions import read_predicted
from eval.megc.summary import from_files, summarise
from eval.megc.vqa_scores import vqa_figures
from mllm_affect.data.megc.question_files import Trained, read_question_file
from mllm_affect.data.megc.questions import Asked, Kind, recognise, word
from mllm_affect.errors import UserError


def trained(text: str, answer: str | int) -> Trained:
    return Trained(1, "1", "samm", "i", "6", "f", text, recognise(text), answer)


def test_the_floor_stands_beside_the_figures_and_intervals_hold_them() -> None:
    rows = coarse_rows("samm", "nn nn np pp pn ss nn nn")
    summary = summarise("vqa", rows, [trained(COARSE, "negative")], resamples=200)
    by_name = {figure.name: figure for figure in summary.figures}
    figure = by_name["UF1 Coarse SAMM"]
    assert figure.value is not None
    assert figure.interval is not None
    assert figure.interval.low < figure.value < figure.interval.high
    assert summary.floor is not None
    # Always negative: 2*5/(5+8) for one class of three.
    assert summary.floor["UF1 Coarse SAMM"] == pytest.approx((10 / 13) / 3)
    assert "unofficial" in summary.standing
    assert summarise("vqa", rows, None, resamples=200).figures == summary.figures


def test_clips_are_redrawn_whole() -> None:
    twice = [pair("samm", FINE, "fear", said, f"v{n}") for n, said in enumerate(["fear", "anger"])]
    lone = [item for item in vqa_figures(twice) if item.name == "UAR Fine-Grained SAMM"]
    together = [
        item
        for item in vqa_figures([pair("samm", FINE, p.truth, p.said, "v") for p in twice])
        if item.name == "UAR Fine-Grained SAMM"
    ]
    wide, none = evaluate(lone[0]).interval, evaluate(together[0]).interval
    assert wide is not None
    assert none is not None
    assert (wide.low, wide.high) == (0.0, 1.0)
    assert (none.low, none.high) == (0.5, 0.5)


def test_a_perfect_answerer_has_a_perfect_interval_however_rare_a_class() -> None:
    rows = coarse_rows("samm", "pp " + "nn " * 6 + "ss")
    micro, macro = "micro-expression", "macro-expression"
    types = [
        pair("samm", word(Asked(Kind.event_type, number=1)), name, name, f"v{n}")
        for n, name in enumerate([micro, *[macro] * 7])
    ]
    fine = [pair("samm", FINE, p.truth, p.said, p.video) for p in rows]
    figures = [*vqa_figures(rows + fine), *lvqa_figures(types)]
    found = [evaluate(item) for item in figures if item.name.startswith(("UF1", "UAR"))]
    found = [item for item in found if item.rows]
    assert len(found) == 2 * 6 + 2 * 2
    for item in found:
        assert item.interval is not None
        assert item.value == item.interval.low == item.interval.high == 1.0, item.name


def uar_coarse(answers: str) -> SumFigure:
    figures = vqa_figures(coarse_rows("samm", answers))
    return next(item for item in figures if item.name == "UAR Coarse SAMM")


def test_a_class_that_the_truth_lacks_scores_nothing_in_every_redraw() -> None:
    found = evaluate(uar_coarse("pp nn nn nn"))
    assert found.interval is not None
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx([2 / 3] * 3)


def test_a_class_that_a_redraw_lacks_leaves_its_mean() -> None:
    figure = uar_coarse("pp nn nx sn")
    # Classes score 1, 1/2 and 0; a redraw of the last two clips knows no positive.
    drawn = figure.value_NK[[1, 2, 3]].sum(axis=0)
    assert figure.of(figure.value_NK.sum(axis=0)) == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert figure.of(drawn) == pytest.approx((1 / 2 + 0) / 2)


def test_people_are_redrawn_whole_in_long_videos(tmp_path: Path) -> None:
    text = word(Asked(Kind.count_all))
    videos = [("a", 0, 0), ("a", 0, 0), ("b", 0, 4), ("b", 0, 4)]
    rows = [
        replace(pair("samm", text, true, said, f"v{n}"), filmed=Filmed(f"samm/{who}", "subject"))
        for n, (who, true, said) in enumerate(videos)
    ]
    by_name = {item.name: item for item in lvqa_figures(rows)}
    interval = evaluate(by_name["MAE events SAMM"]).interval
    assert interval is not None
    # Of two people drawn, both may be a or both b; of four videos hardly.
    assert (interval.low, interval.high) == (0.0, 4.0)
    found = compare(rows, [replace(row, said=row.truth) for row in rows])
    assert (found.clips, found.redrawn, found.unit) == (4, 2, "people")
    assert "over 2 people." in found.sentence()
    summary = summarise("lvqa", rows, resamples=10)
    assert (summary.clips, summary.redrawn, summary.filmed) == (4, 2, {"subject": 4})
    assert "2 whole people redrawn 10 times" in summary.made_with["interval"]
    assert "4 by the truth file's subject" in summary.made_with["interval"]


@pytest.mark.parametrize(
    ("video", "extra", "person", "source"),
    [
        ("1_001_2", {"subject": "s7"}, "samm/s7", "subject"),
        ("test/clip_b.mp4", {}, "samm/6", "training file"),
        ("clip_of_two", {}, "samm/clip_of_two", "nothing"),
        ("1_001_2", {}, "samm/1", "name"),
        ("long/006_1", {}, "samm/6", "name"),
        ("CLIP-001", {}, "samm/CLIP-001", "nothing"),
        ("1_0012_2", {}, "samm/1_0012_2", "nothing"),
    ],
)
def test_who_is_filmed_is_told_by_subject_training_name_or_nothing(
    tmp_path: Path, video: str, extra: dict[str, str], person: str, source: str
) -> None:
    train = [
        replace(trained(COARSE, "negative"), subject=subject, filename=name)
        for subject, name in [
            ("6", "clip_b"), ("006", "clip_b"), ("6", "clip_of_two"), ("7", "clip_of_two"),
        ]
    ]  # fmt: skip
    truth = read_question_file(lvqa_truth(tmp_path, {video: (1, "dimpler")}, **extra))
    pairs = pair_up([truth], {}, train)
    assert {p.filmed for p in pairs} == {Filmed(person, source)}  # type: ignore[arg-type]
    assert {p.redrawn for p in pairs} == {person}


def test_two_predictions_are_compared_clip_by_clip() -> None:
    units = word(Asked(Kind.units))
    truth = [("a", COARSE, "negative"), ("a", units, "brow lowerer, chin raiser")]
    truth += [("b", COARSE, "positive"), ("c", COARSE, "surprise")]
    said = [["negative", "Chin raiser, brow lowerer", "positive", ""],
            ["positive", "brow lowerer", "positive", "surprise"]]  # fmt: skip
    ours, theirs = (
        [pair("samm", text, true, told, clip)
         for (clip, text, true), told in zip(truth, side, strict=True)]
        for side in said
    )  # fmt: skip
    found = compare(ours, theirs)
    assert (found.questions, found.clips) == (4, 3)
    assert (found.ours, found.theirs) == (3 / 4, 2 / 4)
    # Drawn alone, clip a says +1 and clip c says -1.
    assert (found.interval.low, found.interval.high) == (-1.0, 1.0)


def lvqa_truth(folder: Path, videos: dict[str, tuple[int, str]], **extra: str) -> Path:
    """A truth file with a count and a list of units for each video, an id per row."""
    path = folder / "me_lvqa_samm_test_to_answer.jsonl"
    rows = [
        {"video_id": f"samm_test_{video}_{place}", "video": video, "question": text,
         "answer": answer, **extra}
        for video, answers in videos.items()
        for place, (text, answer) in enumerate(
            zip((word(Asked(Kind.count_all)), UNITS), answers, strict=True), start=1
        )
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_blank_list_is_an_answer_beside_a_count_of_none_and_no_other(tmp_path: Path) -> None:
    truth = read_question_file(
        lvqa_truth(tmp_path, dict.fromkeys(("said", "counted", "absent", "null"), (0, "")))
    )
    said: dict[tuple[str, int], object] = {
        ("said", 1): 0, ("said", 2): "", ("counted", 1): 2, ("counted", 2): "",
        ("absent", 1): 0, ("null", 1): None, ("null", 2): None,
    }  # fmt: skip
    predictions = tmp_path / "predictions.jsonl"
    rows = [
        {"dataset": "samm", "video_id": f"samm_test_{video}_{place}",
         "question": truth.rows[place - 1].text, "answer": answer}
        for (video, place), answer in said.items()
    ]  # fmt: skip
    predictions.write_text("\n".join(map(json.dumps, rows)))
    pairs = pair_up([truth], read_predicted([predictions]))
    answered = {(p.video, p.text == UNITS): p.answered for p in pairs}
    assert [video for (video, units), told in answered.items() if units and told] == ["said"]
    assert unanswered(pairs) == 4
    found = {item.name: evaluate(item, resamples=0).value for item in lvqa_figures(pairs)}
    assert found["F1_AU SAMM"] == 1 / 4
    assert found["MAE events SAMM"] == (0 + 2 + 0 + 1) / 4
    both = compare(pairs, pairs)
    assert both.ours == (2 + 1) / 8  # counts of two videos, the list of one


def test_files_are_joined_by_question_and_missing_answers_counted(tmp_path: Path) -> None:
    truth = tmp_path / "me_vqa_samm_v2_test_to_answer.jsonl"
    rows = [
        {"video_id": f"m{n}", "video": f"M-{n}", "question": COARSE, "answer": "negative"}
        for n in range(3)
    ]
    truth.write_text("\n".join(map(json.dumps, rows)))
    predictions = tmp_path / "predictions.jsonl"
    said = [
        {"dataset": "samm", "video_id": "m1", "question": COARSE, "answer": "negative"},
        {"dataset": "samm", "video_id": "m0", "question": COARSE, "answer": None},
        {"dataset": "casme3", "video_id": "m2", "question": COARSE, "answer": "negative"},
    ]
    predictions.write_text("\n".join(map(json.dumps, said)))
    summary = from_files([truth], [predictions], resamples=10)
    assert (summary.rows, summary.clips, summary.unanswered) == (3, 3, 2)
    by_name = {figure.name: figure.value for figure in summary.figures}
    assert by_name["UAR Coarse SAMM"] == pytest.approx((1 / 3) / 3)
    assert set(summary.inputs) == {truth.name, predictions.name}

    truth.write_text(json.dumps({**rows[0], "answer": None}))
    with pytest.raises(UserError) as caught:
        from_files([truth], [predictions])
    assert caught.value.code == "no_truth"
    predictions.write_text("\n".join(map(json.dumps, [said[0], said[0]])))
    with pytest.raises(UserError) as twice:
        from_files([truth], [predictions])
    assert twice.value.code == "bad_predictions"

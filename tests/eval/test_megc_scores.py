"""Known answers of the micro-expression scores, by hand and by independent libraries."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.megc import class_scores, text_scores
from eval.megc.comparing import compare
from eval.megc.figures import SumFigure, evaluate
from eval.megc.lvqa_scores import f1_and_jaccard, lvqa_figures, unit_set
from eval.megc.pairs import Pair, pair_up, unanswered
from eval.megc.people import Filmed
from eval.megc.predictions import read_predicted
from eval.megc.summary import from_files, summarise
from eval.megc.vqa_scores import COLUMNS, vqa_figures
from mllm_affect.data.megc.question_files import Trained, read_question_file
from mllm_affect.data.megc.questions import Asked, Kind, recognise, word
from mllm_affect.errors import UserError

COARSE, FINE = word(Asked(Kind.coarse)), word(Asked(Kind.fine))


def pair(
    dataset: str, text: str, truth: str | int, said: str | int, video: str | None = None
) -> Pair:
    return Pair(dataset, video or f"v{hash((dataset, text, truth, said))}", text,
                recognise(text), truth, said)  # fmt: skip


def values(pairs: list[Pair], task: str = "vqa") -> dict[str, float | None]:
    gather = vqa_figures if task == "vqa" else lvqa_figures
    return {item.name: evaluate(item, resamples=0).value for item in gather(pairs)}


def coarse_rows(dataset: str, answers: str) -> list[Pair]:
    """`answers` holds pairs of first letters, truth and answer; `-` is no answer."""
    names = {"p": "positive", "n": "negative", "s": "surprise", "-": "", "x": "happy"}
    return [
        pair(dataset, COARSE, names[true], names[said], f"{dataset}{place}")
        for place, (true, said) in enumerate(answers.split())
    ]


def test_overall_pools_the_rows_and_is_not_the_mean_of_the_sets() -> None:
    samm = coarse_rows("samm", "nn nn np pp")
    cas = coarse_rows("casme3", "ns ss")
    found = values(samm + cas)
    # SAMM: negative 2*2/(3+2) = 4/5, positive 2*1/(1+2) = 2/3, surprise 0/0 counts as 0.
    assert found["UF1 Coarse SAMM"] == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)
    assert found["UAR Coarse SAMM"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    # CAS: negative 0, surprise 2*1/(1+2); positive occurs nowhere.
    assert found["UF1 Coarse CAS"] == pytest.approx((2 / 3) / 3)
    # Pooled: negative 2*2/(4+2), positive 2*1/(1+2), surprise 2*1/(1+2): all 2/3.
    assert found["UF1 Coarse Overall"] == pytest.approx(2 / 3)
    assert found["UAR Coarse Overall"] == pytest.approx((2 / 4 + 1 + 1) / 3)
    mean = ((4 / 5 + 2 / 3) / 3 + (2 / 3) / 3) / 2
    assert found["UF1 Coarse Overall"] != pytest.approx(mean)


def test_the_eighteen_columns_are_there() -> None:
    rows = coarse_rows("samm", "nn") + coarse_rows("casme3", "nn")
    rows += [pair(name, FINE, "fear", "fear") for name in ("samm", "casme3")]
    found = values(rows)
    wanted = [f"{column} {scope}" for column in COLUMNS for scope in ("Overall", "SAMM", "CAS")]
    assert len(wanted) == 18
    assert set(wanted) <= found.keys()


def test_empty_and_unknown_answers_are_wrong_and_no_class() -> None:
    found = values(coarse_rows("samm", "nn n- nx ss"))
    # negative 2*1/(3+1) = 1/2, surprise 1, positive 0.
    assert found["UF1 Coarse Overall"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["UAR Coarse Overall"] == pytest.approx((1 / 3 + 1 + 0) / 3)


def test_both_readings_of_the_fine_divisor() -> None:
    rows = [
        pair("samm", FINE, true, said, f"v{n}")
        for n, (true, said) in enumerate(
            [("anger", "anger"), ("anger", "disgust"), ("fear", "fear"), ("fear", "")]
        )
    ]
    found = values(rows)
    # anger 2*1/(2+1) = 2/3, fear 2*1/(2+1) = 2/3; disgust and "" are only among the answers.
    assert found["UF1 Fine-Grained Overall"] == pytest.approx(2 / 3)
    assert found["UF1 Fine-Grained (truth or answers) Overall"] == pytest.approx((4 / 3) / 4)
    assert found["UAR Fine-Grained Overall"] == pytest.approx(1 / 2)
    assert found["UAR Fine-Grained (truth or answers) Overall"] == pytest.approx(1 / 4)


names = st.sampled_from(["anger", "fear", "happiness", "others", ""])


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(names, names), min_size=1, max_size=12))
def test_class_scores_equal_scikit_learn(answers: list[tuple[str, str]]) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    truth, said = [a for a, _ in answers], [b for _, b in answers]
    classes = tuple(sorted({*truth, *said}))
    table_LA = class_scores.as_table(class_scores.one_hot(truth, said, classes).sum(0), classes)
    for counted, labels in (
        (class_scores.true_classes, sorted(set(truth))),
        (class_scores.true_or_said_classes, list(classes)),
    ):
        known = {"average": "macro", "labels": labels, "zero_division": 0}
        assert class_scores.uf1(table_LA, counted(table_LA)) == pytest.approx(
            sklearn_metrics.f1_score(truth, said, **known)
        )
        assert class_scores.uar(table_LA, counted(table_LA)) == pytest.approx(
            sklearn_metrics.recall_score(truth, said, **known)
        )


TRUTH = [
    "The action units present are: brow lowerer, lid tightener. Therefore, the fine-grained "
    "expression class is anger, and the coarse expression class is negative.",
    "negative",
    "The micro-expression shows the action unit dimpler on the face.",
]
SAID = [
    "The action units present are: brow lowerer, lip pressor. Therefore, the fine-grained "
    "expression class is anger, and the coarse expression class is negative.",
    "positive",
    "The micro-expression in this clip shows the action unit dimpler.",
]


def test_bleu_from_sums_is_sacrebleus_and_nltks() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    nltk_bleu = pytest.importorskip("nltk.translate.bleu_score")
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    found = text_scores.corpus_bleu(text_scores.bleu_counts(TRUTH, SAID).sum(axis=0))
    assert found == pytest.approx(sacrebleu.corpus_bleu(SAID, [TRUTH]).score / 100)
    cut = Tokenizer13a()
    true, said = ([cut(text).split() for text in (rows[0], rows[2])] for rows in (TRUTH, SAID))
    long_rows = text_scores.bleu_counts([TRUTH[0], TRUTH[2]], [SAID[0], SAID[2]])
    expected = nltk_bleu.corpus_bleu([[row] for row in true], said)
    assert text_scores.corpus_bleu(long_rows.sum(axis=0)) == pytest.approx(expected)
    assert "13a" in text_scores.provenance()["bleu"]


def test_bleu_and_rouge_of_one_word_empty_and_equal_answers() -> None:
    def bleu(truth: list[str], said: list[str]) -> float:
        return text_scores.corpus_bleu(text_scores.bleu_counts(truth, said).sum(axis=0))

    assert bleu(TRUTH, TRUTH) == pytest.approx(1.0)
    assert bleu(TRUTH, ["", "", ""]) == 0.0
    assert bleu(["no"], ["no"]) == 0.0, "a corpus without a 4-gram scores 0, as sacrebleu has it"
    rouge = text_scores.rouge1(
        ["a b c", "yes", "yes", "Lips, part!"], ["a c d x", "yes", "", "lips part"]
    )
    # Two of three and two of four words in common: 2 * (2/3 * 2/4) / (2/3 + 2/4) = 4/7.
    assert rouge.tolist() == pytest.approx([4 / 7, 1.0, 0.0, 1.0])


def test_rouge_equals_a_count_by_hand() -> None:
    for true, said in zip(TRUTH, SAID, strict=True):
        words = [set_of(text) for text in (true, said)]
        common = sum(min(words[0].count(w), words[1].count(w)) for w in set(words[0]))
        expected = 2 * common / (len(words[0]) + len(words[1]))
        assert text_scores.rouge1([true], [said])[0] == pytest.approx(expected)


def set_of(text: str) -> list[str]:
    kept = "".join(c if c.isalnum() else " " for c in text.lower())
    return kept.split()


UNITS = word(Asked(Kind.distinct_units))


def test_action_unit_sets_fall_for_no_spelling() -> None:
    true = unit_set("lip pressor, lips part,nostril dilater")
    assert true == {"lip pressor", "lips part", "nostril dilater"}
    assert f1_and_jaccard(true, unit_set("nostril dilater, lips part, lip pressor")) == (1.0, 1.0)
    # Three misspelt or other names count as three wrong ones.
    said = unit_set("lip tightener, lip part, nostril dilator")
    assert f1_and_jaccard(true, said) == (0.0, 0.0)
    assert f1_and_jaccard(true, unit_set("lip pressor, dimpler")) == (
        pytest.approx(2 / 5), pytest.approx(1 / 4),
    )  # fmt: skip
    assert f1_and_jaccard(frozenset(), frozenset()) == (1.0, 1.0)
    assert f1_and_jaccard(true, frozenset()) == (0.0, 0.0)


def counts(dataset: str, truths: list[str | int], answers: list[str | int]) -> list[Pair]:
    text = word(Asked(Kind.count_all))
    return [
        pair(dataset, text, true, said, f"v{n}")
        for n, (true, said) in enumerate(zip(truths, answers, strict=True))
    ]


def test_counts_are_the_same_as_number_and_as_text() -> None:
    as_numbers = values(counts("samm", [3, 5, 0], [1, 5, 2]), "lvqa")
    as_texts = values(counts("samm", ["3", "5", 0], [1, " 5", "2"]), "lvqa")
    assert as_numbers == as_texts
    assert as_numbers["MAE events SAMM"] == pytest.approx(4 / 3)
    assert as_numbers["RMSE events SAMM"] == pytest.approx(math.sqrt(8 / 3))
    unread = values(counts("samm", [4, 1], ["", "four"]), "lvqa")
    assert unread["MAE events SAMM"] == pytest.approx((4 + 1) / 2)
    # A blank or unreadable count is never right, also where there is nothing to count.
    none = values(counts("samm", [0, 0, 0, 0], ["", "none", "0.0", 0]), "lvqa")
    assert none["MAE events SAMM"] == pytest.approx(3 / 4)
    assert none["RMSE events SAMM"] == pytest.approx(math.sqrt(3 / 4))
    with pytest.raises(UserError) as caught:
        values(counts("samm", ["many"], [1]), "lvqa")
    assert caught.value.code == "bad_truth"


def test_errors_equal_scikit_learn() -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    true, said = random.integers(0, 9, (2, 30)).tolist()
    found = values(counts("casme3", true, said), "lvqa")
    assert found["MAE events CAS"] == pytest.approx(sklearn_metrics.mean_absolute_error(true, said))
    assert found["RMSE events CAS"] == pytest.approx(
        sklearn_metrics.root_mean_squared_error(true, said)
    )


def test_event_types_and_units_by_hand() -> None:
    micro, macro = "micro-expression", "macro-expression"
    rows = [
        pair("samm", word(Asked(Kind.event_type, number=n)), true, said, "v")
        for n, (true, said) in enumerate([(micro, micro), (macro, micro), (macro, macro)], start=1)
    ]
    rows += [pair("samm", UNITS, "dimpler, lips part", "dimpler", "v"), pair("samm", UNITS, "", "")]
    found = values(rows, "lvqa")
    assert found["UF1 type Overall"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["UAR type Overall"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["F1_AU Overall"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["Jaccard_AU Overall"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["MAE events Overall"] is None


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

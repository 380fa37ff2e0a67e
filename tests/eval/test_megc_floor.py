"""The floor without vision: the best blind answer for each figure, whatever the order of rows."""

import random
from dataclasses import replace

import pytest

from eval.megc.constant_answers import MOST_CANDIDATES, ConstantAnswers, Metric
from eval.megc.floor import constants, floors
from eval.megc.lvqa_scores import lvqa_figures
from eval.megc.pairs import Pair
from eval.megc.vqa_scores import vqa_figures
from mllm_affect.data.megc.question_files import Trained
from mllm_affect.data.megc.questions import Asked, Kind, recognise, word

COARSE, UNITS = word(Asked(Kind.coarse)), word(Asked(Kind.distinct_units))
TOTAL, MICRO = word(Asked(Kind.count_all)), word(Asked(Kind.count_micro))
MICRO_TYPE, MACRO_TYPE = "micro-expression", "macro-expression"


def trained(text: str, answer: str | int, dataset: str = "samm", clip: str = "f") -> Trained:
    return Trained(1, "1", dataset, "i", "6", clip, text, recognise(text), answer)


def asked(text: str, truth: str | int, dataset: str = "samm", video: str = "v") -> Pair:
    return Pair(dataset, video, text, recognise(text), truth, "", answered=False)


def counted(text: str, *answers: int, dataset: str = "samm") -> list[Trained]:
    return [trained(text, n, dataset, f"f{place}") for place, n in enumerate(answers)]


def test_counts_take_the_median_for_mae_and_the_rounded_mean_for_rmse() -> None:
    train = counted(MICRO, 1, 1, 1, 2, 9)
    found = floors(lvqa_figures, [asked(MICRO, 3)], train)
    assert found["MAE micro-expressions SAMM"] == 3 - 1
    assert found["RMSE micro-expressions SAMM"] == 3 - 3  # the mean is 2.8
    even = floors(lvqa_figures, [asked(MICRO, 2)], counted(MICRO, 0, 0, 4, 4))
    assert even["MAE micro-expressions SAMM"] == 0, "the middle of all medians"
    # The most frequent answer is neither.
    assert floors(lvqa_figures, [asked(MICRO, 3)], counted(MICRO, 0, 0, 4, 5, 6))[
        "MAE micro-expressions SAMM"
    ] == abs(3 - 4)


def test_the_dataset_decides_where_training_has_it() -> None:
    train = counted(MICRO, 1, 1, 1) + counted(MICRO, 7, 7, 7, 7, 7, dataset="casme3")
    pairs = [asked(MICRO, 1), asked(MICRO, 7, "casme3"), asked(MICRO, 7, "other")]
    found = floors(lvqa_figures, pairs, train)
    assert found["MAE micro-expressions SAMM"] == 0
    assert found["MAE micro-expressions CAS"] == 0
    assert found["MAE micro-expressions other"] == 0, "all datasets pooled"


def test_a_total_is_not_below_the_events_asked_about() -> None:
    train = counted(TOTAL, 2, 2, 3)
    third, first = (word(Asked(Kind.event_type, number=n)) for n in (9, 1))
    pairs = [
        asked(TOTAL, 12, video="a"), asked(third, MACRO_TYPE, video="a"),
        asked(first, MACRO_TYPE, video="a"),
        asked(TOTAL, 2, video="b"), asked(first, MACRO_TYPE, video="b"),
    ]  # fmt: skip
    said = {
        p.clip: p.said for p in constants(ConstantAnswers(train), "MAE", pairs) if p.text == TOTAL
    }
    assert said == {"samm/a": 9, "samm/b": 2}
    assert floors(lvqa_figures, pairs, train)["MAE events SAMM"] == (3 + 0) / 2
    # Learned under the same bound: where training videos' own questions give the large totals
    # away, the constant serves the others.
    bounded = [
        trained(TOTAL, 1, clip="a"), trained(TOTAL, 1, clip="b"),
        *(row for clip in "cde" for row in (trained(TOTAL, 9, clip=clip),
                                            trained(third, MACRO_TYPE, clip=clip))),
    ]  # fmt: skip
    assert ConstantAnswers(bounded).best_total("MAE", "samm", 0) == 1


def test_totals_take_the_median_for_mae_and_the_rounded_mean_for_rmse() -> None:
    blind = ConstantAnswers(counted(TOTAL, 1, 1, 1, 2, 9))
    assert blind.best_total("MAE", "samm", 0) == 1
    assert blind.best_total("RMSE", "samm", 0) == 3, "the mean is 2.8"
    assert ConstantAnswers([]).best_total("RMSE", "samm", 0) == 0
    assert ConstantAnswers([]).best_total("RMSE", "samm", 2) == 2


@pytest.mark.parametrize("metric", ["BLEU", "ROUGE"])
def test_of_many_texts_the_most_frequent_are_tried(metric: Metric) -> None:
    text = word(Asked(Kind.analysis))
    often = "the class of this clip is zeal"
    train = [trained(text, f"answer {n:03d} says nothing else") for n in range(MOST_CANDIDATES + 1)]
    train += [trained(text, often)] * 2 * len(train)
    assert ConstantAnswers(train).best(metric, "samm", text, Asked(Kind.analysis)) == often


def test_answers_that_are_no_text_or_number_are_left_out() -> None:
    train = [trained(COARSE, True), trained(COARSE, 1.5), trained(COARSE, "negative")]  # type: ignore[arg-type]
    assert ConstantAnswers(train).shares("samm", COARSE, Asked(Kind.coarse)) == {"negative": 1.0}
    assert ConstantAnswers(train[:2]).best("UF1", "samm", COARSE, Asked(Kind.coarse)) is None


def test_classes_take_the_most_frequent_or_a_guess_in_proportion() -> None:
    answers = ["negative"] * 6 + ["positive"] * 2 + ["surprise"] * 2
    train = [trained(COARSE, answer) for answer in answers]
    pairs = [asked(COARSE, answer, video=f"v{n}") for n, answer in enumerate(answers)]
    found = floors(vqa_figures, pairs, train)
    # Always negative scores 2 * 6 / 16 / 3 = .25; guessing in proportion a third.
    assert found["UF1 Coarse SAMM"] == pytest.approx(1 / 3)
    assert found["UAR Coarse SAMM"] == pytest.approx(1 / 3)
    one_sided = floors(vqa_figures, [replace(p, truth="negative") for p in pairs], train)
    assert one_sided["UAR Coarse SAMM"] == pytest.approx(1 / 3), "always negative, of three classes"
    assert one_sided["UF1 Coarse SAMM"] == pytest.approx(1 / 3)
    types = [trained(word(Asked(Kind.event_type, number=n)), MACRO_TYPE) for n in (1, 2, 3)]
    pair = asked(word(Asked(Kind.event_type, number=33)), MACRO_TYPE)
    assert floors(lvqa_figures, [pair], types)["UAR type SAMM"] == pytest.approx(1 / 2)


def test_action_units_take_the_list_with_the_best_mean_overlap() -> None:
    train = [
        trained(UNITS, "brow lowerer, dimpler"), trained(UNITS, "brow lowerer, lips part"),
        trained(UNITS, "brow lowerer, jaw drop"), trained(UNITS, ""), trained(UNITS, ""),
    ]  # fmt: skip
    # The most frequent answer, nothing, would score 2/5 of F1; one unit scores 3/5 * 2/3.
    pair = asked(UNITS, "brow lowerer, chin raiser")
    found = floors(lvqa_figures, [pair], train + train[:3])
    assert found["F1_AU SAMM"] == pytest.approx(2 / 3)
    calm = floors(lvqa_figures, [asked(UNITS, "")], [trained(UNITS, "")] * 3)
    assert calm["F1_AU SAMM"] == 1.0, "an empty list is an answer"


def test_texts_take_the_answer_nearest_to_the_others() -> None:
    text = word(Asked(Kind.analysis))
    near = "the action unit dimpler is shown and the class is fear"
    answers = [
        "nothing is known", "nothing is known", near, near.replace("fear", "anger"),
        near.replace("fear", "sadness"), near.replace("dimpler", "jaw drop"),
    ]  # fmt: skip
    blind = ConstantAnswers([trained(text, answer) for answer in answers])
    for metric in ("ROUGE", "BLEU"):
        assert blind.best(metric, "samm", text, Asked(Kind.analysis)) == near
    assert blind.best("UF1", "samm", text, Asked(Kind.analysis)) == "nothing is known"


def test_a_wording_that_training_lacks_is_answered_by_its_kind_or_not_at_all() -> None:
    shown = "Is the action unit {} shown on the face?".format
    train = [
        trained(shown("dimpler"), "yes"), trained(shown("lips part"), "no"),
        trained(shown("lips part"), "no"),
    ]  # fmt: skip
    blind = ConstantAnswers(train)
    found = [
        blind.best("BLEU", "samm", text, recognise(text))
        for text in (shown("dimpler"), shown("jaw drop"), COARSE, "What now?")
    ]
    assert found == ["yes", "no", None, None]
    assert floors(vqa_figures, [asked(COARSE, "negative")], train)["UF1 Coarse SAMM"] == 0.0


def test_the_order_of_rows_plays_no_part() -> None:
    train = [
        trained(COARSE, "surprise"), trained(COARSE, "negative"),
        trained(COARSE, "surprise", "casme2"), trained(COARSE, "positive", "smic"),
        *counted(TOTAL, 1, 3, 3, 8), *counted(MICRO, 0, 1, 1, 0),
        trained(UNITS, "dimpler"), trained(UNITS, "lips part"),
    ]  # fmt: skip
    pairs = [asked(COARSE, "negative"), asked(TOTAL, 4), asked(MICRO, 1), asked(UNITS, "dimpler")]
    expected = floors(lvqa_figures, pairs, train), floors(vqa_figures, pairs, train)
    # Within SAMM both classes come once; over all datasets surprise is more frequent.
    assert ConstantAnswers(train).best("UF1", "samm", COARSE, Asked(Kind.coarse)) == "surprise"
    for seed in range(8):
        random.Random(seed).shuffle(train)
        assert (floors(lvqa_figures, pairs, train), floors(vqa_figures, pairs, train)) == expected

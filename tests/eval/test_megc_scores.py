"""Known answers of the micro-expression scores, by hand and by independent libraries."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from megc_pairs import FINE, UNITS, coarse_rows, pair, values

from eval.megc import class_scores, text_scores
from eval.megc.lvqa_scores import f1_and_jaccard, unit_set
from eval.megc.pairs import Pair
from eval.megc.vqa_scores import COLUMNS
from mllm_affect.data.megc.questions import Asked, Kind, word
from mllm_affect.errors import UserError


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


def test_text_columns_are_the_corpus_bleu_and_the_mean_rouge_of_their_rows() -> None:
    text = word(Asked(Kind.analysis))
    rows = [pair("samm", text, true, said) for true, said in zip(TRUTH, SAID, strict=True)]
    rows += [pair("casme3", text, "a b c d", "a b c d"), pair("casme3", text, "no", "a b c")]
    found = values(rows)
    rouge_N = text_scores.rouge1(TRUTH, SAID)
    assert 0.1 < rouge_N.mean() < 0.9
    assert found["ROUGE SAMM"] == pytest.approx(rouge_N.mean())
    assert found["ROUGE CAS"] == pytest.approx(1 / 2)
    assert found["ROUGE Overall"] == pytest.approx((rouge_N.sum() + 1 + 0) / 5)
    bleu = text_scores.corpus_bleu(text_scores.bleu_counts(TRUTH, SAID).sum(axis=0))
    assert found["BLEU SAMM"] == pytest.approx(bleu)
    assert found["BLEU Overall"] != pytest.approx(bleu)


def test_rouge_equals_a_count_by_hand() -> None:
    for true, said in zip(TRUTH, SAID, strict=True):
        words = [set_of(text) for text in (true, said)]
        common = sum(min(words[0].count(w), words[1].count(w)) for w in set(words[0]))
        expected = 2 * common / (len(words[0]) + len(words[1]))
        assert text_scores.rouge1([true], [said])[0] == pytest.approx(expected)


def set_of(text: str) -> list[str]:
    kept = "".join(c if c.isalnum() else " " for c in text.lower())
    return kept.split()


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
    unanswered = replace(pair("samm", UNITS, "", ""), answered=False)
    missed = values([unanswered], "lvqa")
    assert missed["F1_AU Overall"] == missed["Jaccard_AU Overall"] == 0.0, "not even where none is"

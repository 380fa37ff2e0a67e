"""Task 1's columns: UF1 and UAR of both classes, BLEU and ROUGE-1, overall and by dataset.

Does: say from which rows and sums each column comes.  Does not: resample or print.

Overall pools the rows of all datasets; it is not the mean of theirs.  Coarse scores divide by the
three classes; for fine ones the divisor is undetermined, so both readings are given: the classes in
the truth, and those in the truth or among the answers.  Answers are compared after trimming white
space, letter by letter.
"""

from collections.abc import Callable, Sequence

import numpy as np

from eval.megc import class_scores, text_scores
from eval.megc.figures import SumFigure, Sums, scopes
from eval.megc.pairs import Pair, Shares, as_said
from mllm_affect.data.megc.questions import Kind
from mllm_affect.data.megc.vocabulary import COARSE
from mllm_affect.errors import UserError

ClassScore = Callable[[class_scores.Counts], float]

FINE_SCORES: dict[str, ClassScore] = {
    "UF1 Fine-Grained": lambda t: class_scores.uf1(t, class_scores.true_classes(t)),
    "UAR Fine-Grained": lambda t: class_scores.uar(t, class_scores.true_classes(t)),
    "UF1 Fine-Grained (truth or answers)": lambda t: class_scores.uf1(
        t, class_scores.true_or_said_classes(t)
    ),
    "UAR Fine-Grained (truth or answers)": lambda t: class_scores.uar(
        t, class_scores.true_or_said_classes(t)
    ),
}
COLUMNS = (
    "UF1 Coarse", "UAR Coarse", "UF1 Fine-Grained", "UAR Fine-Grained", "BLEU", "ROUGE",
)  # fmt: skip
"""The leaderboard's columns, each Overall, SAMM and CAS: 18 numbers."""


def vqa_figures(pairs: Sequence[Pair], shares: Shares = as_said) -> list[SumFigure]:
    """Return every column of task 1.

    `shares` gives the probability of each answer to a question, for the class scores of answers
    that are drawn.  Raises UserError `bad_truth`.
    """
    figures: list[SumFigure] = []
    for scope, datasets in scopes([pair.dataset for pair in pairs]).items():
        rows = [pair for pair in pairs if pair.dataset in datasets]
        figures += _class_figures(scope, rows, Kind.coarse, shares)
        figures += _class_figures(scope, rows, Kind.fine, shares)
        figures += _text_figures(scope, rows)
    return figures


def _coarse_scores(whole_LA: class_scores.Counts) -> dict[str, ClassScore]:
    return {
        "UF1 Coarse": class_scores.of_fixed_classes(class_scores.uf1, whole_LA),
        "UAR Coarse": class_scores.of_fixed_classes(class_scores.uar, whole_LA),
    }


def _class_figures(
    scope: str, pairs: Sequence[Pair], kind: Kind, shares: Shares
) -> list[SumFigure]:
    rows = [pair for pair in pairs if pair.asked is not None and pair.asked.kind is kind]
    truth = [str(pair.truth).strip() for pair in rows]
    said = [shares(pair) for pair in rows]
    answers = {answer for of_row in said for answer in of_row}
    classes = COARSE if kind is Kind.coarse else tuple(sorted({*truth, *answers}))
    try:
        flat_NK = class_scores.weighted(truth, said, classes)
    except ValueError as error:
        raise UserError("bad_truth", f"A true {kind} class cannot be used: {error}.") from error
    whole_LA = class_scores.as_table(flat_NK.sum(axis=0), classes)
    scores = _coarse_scores(whole_LA) if kind is Kind.coarse else FINE_SCORES
    redrawn = tuple(pair.redrawn for pair in rows)

    def of(score: ClassScore) -> Callable[[Sums], float]:
        return lambda sums_K: score(class_scores.as_table(sums_K, classes))

    return [
        SumFigure(f"{name} {scope}", flat_NK, redrawn, of(score)) for name, score in scores.items()
    ]


def _text_figures(scope: str, pairs: Sequence[Pair]) -> list[SumFigure]:
    truth, said = [str(pair.truth) for pair in pairs], [str(pair.said) for pair in pairs]
    redrawn = tuple(pair.redrawn for pair in pairs)
    rouge_N = text_scores.rouge1(truth, said)
    return [
        SumFigure(
            f"BLEU {scope}", text_scores.bleu_counts(truth, said), redrawn, text_scores.corpus_bleu
        ),
        SumFigure(
            f"ROUGE {scope}",
            np.column_stack([rouge_N, np.ones(len(rouge_N))]),
            redrawn,
            lambda sums_K: float(sums_K[0] / sums_K[1]),
        ),
    ]

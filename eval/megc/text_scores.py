"""BLEU and ROUGE-1 of answers, by kept libraries, from sums that can be redrawn.

Does: count n-grams per row (sacrebleu) and score rows (rouge-score), and turn sums of them into the
corpus figures.  Does not: implement either score.

nltk's corpus BLEU is lower where answers are shorter than four words: it counts one possible n-gram
of every order even in them.  Which one the organisers use is not known.
"""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError

ORDER = 4
SMOOTHING = "exp"
BLEU_COLUMNS = 2 * ORDER + 2
"""Matched and possible n-grams of order 1 to 4, and the lengths of answer and truth."""

Floats = NDArray[np.float64]


def bleu_counts(truth: Sequence[str], said: Sequence[str]) -> Floats:
    """Return each row's n-gram counts: (N, BLEU_COLUMNS)."""
    bleu = _bleu()
    rows = []
    for true, answer in zip(truth, said, strict=True):
        score = bleu.sentence_score(answer, [true])
        rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
    return np.array(rows, dtype=np.float64).reshape(-1, BLEU_COLUMNS)


def sentence_bleu(truth: Sequence[str], said: Sequence[str]) -> Floats:
    """Return the BLEU of each row by itself, 0 to 1, of the orders that its answer has: (N,)."""
    bleu = _bleu()
    pairs = zip(truth, said, strict=True)
    scores = [bleu.sentence_score(answer, [true]).score / 100.0 for true, answer in pairs]
    return np.array(scores, dtype=np.float64)


def corpus_bleu(sums_K: Floats) -> float:
    """Return corpus BLEU, 0 to 1, from the sums of `bleu_counts`."""
    counts = [round(value) for value in sums_K.tolist()]
    score = _bleu().compute_bleu(
        correct=counts[:ORDER],
        total=counts[ORDER : 2 * ORDER],
        sys_len=counts[-2],
        ref_len=counts[-1],
        smooth_method=SMOOTHING,
    )
    return float(score.score) / 100.0


def rouge1(truth: Sequence[str], said: Sequence[str]) -> Floats:
    """Return each row's ROUGE-1 F1: (N,)."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise _missing("rouge-score") from error
    scorer = RougeScorer(["rouge1"], use_stemmer=False)
    return np.array(
        [
            scorer.score(true, answer)["rouge1"].fmeasure
            for true, answer in zip(truth, said, strict=True)
        ],
        dtype=np.float64,
    )


def provenance() -> dict[str, str]:
    """Say with what the figures were made: libraries, versions, tokenisers."""
    return {
        "bleu": f"sacrebleu {version('sacrebleu')}, corpus BLEU, 4-gram, tokeniser 13a, case kept, "
        f"smoothing {SMOOTHING}",
        "rouge": f"rouge-score {version('rouge-score')}, ROUGE-1 F1, mean over rows, its default "
        "tokeniser (lower case, letters and digits), no stemming",
    }


@cache
def _bleu() -> Any:
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise _missing("sacrebleu") from error
    # The effective order changes a row's own score (see sentence_bleu), and no count.
    return BLEU(max_ngram_order=ORDER, tokenize="13a", effective_order=True)


def _missing(package: str) -> UserError:
    return UserError(
        "missing_package", f"These scores need {package}; install mllm-affect[leaderboard]."
    )

"""The best answers that ignore the video, one choice per metric, learned from a training file.

Does: pick the constant answer that scores best on the training rows of a wording, under one metric.
Does not: score test rows (see floor), or see a clip.

Rows are pooled by dataset and wording; where the training file lacks the dataset, by wording; where
it lacks the wording, by kind of question.  Questions about the N-th event are pooled over N.  The
order of rows plays no part: where constants tie, the one that is more frequent over all datasets
wins, then over all questions of the kind, then the one that comes first in the alphabet.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from eval.megc import text_scores
from eval.megc.lvqa_scores import f1_and_jaccard, unit_set
from mllm_affect.data.megc.answers import read_count
from mllm_affect.data.megc.question_files import Answer, Trained
from mllm_affect.data.megc.questions import Asked, Kind

Metric = Literal["UF1", "UAR", "BLEU", "ROUGE", "MAE", "RMSE", "F1_AU", "Jaccard_AU"]

MOST_CANDIDATES, MOST_REFERENCES = 30, 300
"""So many of the most frequent texts of a wording are tried, against so many of them."""

Pool = tuple[str | None, str | Kind]
"""A dataset, None for all, and a wording or a kind of question."""


class ConstantAnswers:
    """What a training file says about answers, by dataset and wording."""

    def __init__(self, rows: Sequence[Trained]) -> None:
        """Gather the training file's answers; those that are no text or number are left out."""
        self._answers: dict[Pool, Counter[str]] = {}
        self._best: dict[tuple[Metric, Pool], str] = {}
        self._totals: dict[str | None, list[tuple[int, int]]] = {}
        for row in rows:
            if isinstance(row.answer, bool) or not isinstance(row.answer, str | int):
                continue
            for pool in self._pools(row.dataset.strip().lower(), row.text, row.asked):
                self._answers.setdefault(pool, Counter())[str(row.answer)] += 1
        self._gather_totals(rows)

    def best(self, metric: Metric, dataset: str, text: str, asked: Asked | None) -> str | None:
        """Return the best constant answer to a question, None where training has none like it."""
        pool = self._pool(dataset, text, asked)
        if pool is None:
            return None
        if (metric, pool) not in self._best:
            self._best[metric, pool] = self._choose(metric, pool, asked)
        return self._best[metric, pool]

    def best_total(self, metric: Metric, dataset: str, largest: int) -> int:
        """Return the best constant number of events of a video, at least `largest`.

        Chosen on the training videos under the same bound by their own questions.
        """
        videos = self._totals.get(dataset) or self._totals.get(None) or [(0, 0)]
        power = 2 if metric == "RMSE" else 1
        constant = _least(
            lambda value: sum(abs(max(value, asked) - total) ** power for total, asked in videos),
            max(total for total, _ in videos),
        )
        return max(constant, largest)

    def shares(self, dataset: str, text: str, asked: Asked | None) -> dict[str, float]:
        """Return how often each answer to such a question comes in training; empty if unknown."""
        pool = self._pool(dataset, text, asked)
        if pool is None:
            return {}
        counts = self._answers[pool]
        return {answer: count / counts.total() for answer, count in counts.items()}

    def _pool(self, dataset: str, text: str, asked: Asked | None) -> Pool | None:
        return next((p for p in self._pools(dataset, text, asked) if p in self._answers), None)

    @staticmethod
    def _pools(dataset: str, text: str, asked: Asked | None) -> list[Pool]:
        """Return where a row belongs, the narrowest pool first."""
        pools: list[Pool] = [(dataset, text), (None, text)]
        if asked is not None:
            pools += [(dataset, asked.kind), (None, asked.kind)]
            if asked.number is not None:
                pools = pools[2:]
        return pools

    def _gather_totals(self, rows: Sequence[Trained]) -> None:
        totals: dict[tuple[str, str, str], int] = {}
        largest: Counter[tuple[str, str, str]] = Counter()
        for row in rows:
            video = (row.dataset.strip().lower(), row.subject, row.filename)
            if row.asked is None:
                continue
            if row.asked.kind is Kind.count_all and (count := _count(row.answer)) is not None:
                totals[video] = count
            largest[video] = max(largest[video], row.asked.number or 0)
        for video, total in totals.items():
            for dataset in (video[0], None):
                self._totals.setdefault(dataset, []).append((total, largest[video]))

    def _choose(self, metric: Metric, pool: Pool, asked: Asked | None) -> str:
        counts, everywhere = self._answers[pool], self._answers[None, pool[1]]
        of_kind = self._answers[None, asked.kind] if asked is not None else everywhere
        if metric in ("MAE", "RMSE"):
            return _best_count(counts, 2 if metric == "RMSE" else 1)
        if metric in ("F1_AU", "Jaccard_AU"):
            return _best_units(counts, 0 if metric == "F1_AU" else 1)
        score = _text_scores(metric, counts) if metric in ("BLEU", "ROUGE") else dict(counts)
        return min(score, key=lambda a: (-score[a], -everywhere[a], -of_kind[a], a))


def _count(answer: Answer) -> int | None:
    try:
        return read_count(answer)
    except ValueError:
        return None


def _best_count(counts: Counter[str], power: int) -> str:
    """Return the median, or for squared errors the integer nearest to the mean."""
    known = {value: n for text, n in counts.items() if (value := _count(text)) is not None}
    if not known:
        return ""
    return str(
        _least(
            lambda guess: sum(n * abs(guess - value) ** power for value, n in known.items()),
            max(known),
        )
    )


def _least(loss: Callable[[int], float], largest: int) -> int:
    """Return the integer from 0 to `largest` with the least loss, the middle one of several."""
    losses = [loss(value) for value in range(largest + 1)]
    best = [value for value, of_value in enumerate(losses) if of_value == min(losses)]
    return best[len(best) // 2]


def _best_units(counts: Counter[str], place: int) -> str:
    """Return the list of action units with the best mean overlap.

    Tried are all lists of the training file and the k most frequent units for every k.
    """
    sets = {text: unit_set(text) for text in counts}
    frequent: Counter[str] = Counter()
    for text, count in counts.items():
        for unit in sets[text]:
            frequent[unit] += count
    ranked = sorted(frequent, key=lambda unit: (-frequent[unit], unit))
    candidates = {*sets.values(), *(frozenset(ranked[:k]) for k in range(len(ranked) + 1))}

    def score(units: frozenset[str]) -> float:
        return sum(n * f1_and_jaccard(sets[text], units)[place] for text, n in counts.items())

    best = min(candidates, key=lambda units: (-score(units), sorted(units)))
    return ", ".join(sorted(best))


def _text_scores(metric: Metric, counts: Counter[str]) -> dict[str, float]:
    """Return the mean score of the most frequent answers as answers to all of the questions."""
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    references = ranked[:MOST_REFERENCES]
    weight_N = np.array([counts[text] for text in references], dtype=np.float64)
    measure = text_scores.rouge1 if metric == "ROUGE" else text_scores.sentence_bleu
    return {
        text: float(measure(references, [text] * len(references)) @ weight_N)
        for text in ranked[:MOST_CANDIDATES]
    }

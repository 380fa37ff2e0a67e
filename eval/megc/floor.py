"""What one scores without looking: the training file's most frequent answer to each question.

Does: learn those answers from the wording alone and answer with them.  Does not: see a clip.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from eval.megc.pairs import Pair
from mllm_affect.data.megc.question_files import Answer, Trained
from mllm_affect.data.megc.questions import Kind


class NoVision:
    """The most frequent answer by wording; for a wording that training lacks, by kind.

    Questions about one event are pooled over its number.  The first seen wins a tie; an unknown
    kind gets no answer.
    """

    def __init__(self, rows: Sequence[Trained]) -> None:
        """Count the answers of a training file."""
        self._by_text: dict[str, Counter[Answer]] = {}
        self._by_kind: dict[Kind, Counter[Answer]] = {}
        for row in rows:
            answer = row.answer
            if isinstance(answer, bool) or not isinstance(answer, str | int):
                continue
            self._by_text.setdefault(row.text, Counter())[answer] += 1
            if row.asked is not None:
                self._by_kind.setdefault(row.asked.kind, Counter())[answer] += 1

    def answer(self, pair: Pair) -> Answer:
        """Return the answer to a question, empty where training knows nothing like it."""
        counts = None if pair.asked and pair.asked.number else self._by_text.get(pair.text)
        if counts is None and pair.asked is not None:
            counts = self._by_kind.get(pair.asked.kind)
        return counts.most_common(1)[0][0] if counts else ""

    def answered(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Return the same questions, answered without looking."""
        return [replace(pair, said=self.answer(pair)) for pair in pairs]

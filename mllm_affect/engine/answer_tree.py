"""From next-token log-probabilities to the probability of every allowed answer.

Does: walk the tree of the answers' spellings, asking an engine for the next tokens only where
answers still share a beginning.  Does not: run a model.  See docs/design/0002.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from mllm_affect.engine.types import AnswerScores
from mllm_affect.errors import UserError

LOWEST = -100.0
"""Stands for the logarithm of a probability that the engine gave as zero."""

NextTokens = Callable[[bytes, list[bytes]], Mapping[bytes, float]]
"""Given what was written so far and the endings still allowed, the log-probability of each token
that may come next (its bytes), over those tokens only or over more."""


def check_answers(answers: Sequence[str]) -> None:
    """Raise UserError `ambiguous_answers` when one answer begins another, or fewer than two."""
    if len(answers) < 2:
        raise UserError("ambiguous_answers", "Give at least two answers to choose from.")
    for one in answers:
        for other in answers:
            if one is not other and other.startswith(one):
                raise UserError(
                    "ambiguous_answers",
                    f"The answer {one!r} begins the answer {other!r}; word them differently.",
                )


def score_answers(next_tokens: NextTokens, answers: Sequence[str]) -> AnswerScores:
    """Return the probability with which constrained decoding writes each answer.

    At every step the probability is renormalised over the tokens that keep an answer possible;
    different tokens that spell the same answer add up.
    """
    check_answers(answers)
    found = _walk(next_tokens, b"", [answer.encode() for answer in answers])
    return AnswerScores(
        {answer: max(LOWEST, _log(found.get(answer.encode(), 0.0))) for answer in answers}
    )


def _walk(next_tokens: NextTokens, written: bytes, answers: list[bytes]) -> dict[bytes, float]:
    """Return the probability of each of `answers`, all of which begin with `written`."""
    if len(answers) == 1:
        return {answers[0]: 1.0}
    endings = [answer[len(written) :] for answer in answers]
    allowed = {
        token: math.exp(value)
        for token, value in next_tokens(written, endings).items()
        if token and any(ending.startswith(token) for ending in endings)
    }
    total = sum(allowed.values())
    if total <= 0.0:
        return dict.fromkeys(answers, 1.0 / len(answers))
    found = dict.fromkeys(answers, 0.0)
    for token, probability in allowed.items():
        if probability <= 0.0:
            continue
        longer = written + token
        rest = [answer for answer in answers if answer.startswith(longer)]
        for answer, share in _walk(next_tokens, longer, rest).items():
            found[answer] += probability / total * share
    return found


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0.0 else LOWEST

"""From next-token log-probabilities to the probability of every allowed answer.

Does: walk the tree of the answers' spellings, asking an engine for the next tokens only where
answers still share a beginning.  Does not: run a model.  See docs/design/0002.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from mllm_affect.engine.types import AnswerScores
from mllm_affect.errors import EngineError, UserError

MOST_ANSWERS = 32
"""Longer answer spaces would not fit into the tokens that a model server reports for a position."""

NEGLIGIBLE = 1e-6
"""Branches less probable than this are not asked about; their answers share the rest evenly."""

LOWEST = -100.0
"""Stands for the logarithm of a probability that the engine gave as zero."""

MOST_SPELLED = 8
"""Larger answer spaces are scored in their exact spelling alone: a server reports few tokens."""

END = b""
"""The end of the answer, where a token's bytes are expected."""

NextTokens = Callable[[bytes, list[bytes]], Mapping[bytes, float]]
"""Given what was written so far and the endings still allowed, the log-probability of each token
that may come next (its bytes; END for ending here), over those tokens only or over more."""


def check_answers(answers: Sequence[str]) -> None:
    """Raise UserError `bad_answers` for an answer space that cannot be scored."""
    if not 2 <= len(answers) <= MOST_ANSWERS:
        raise UserError("bad_answers", f"Give from 2 to {MOST_ANSWERS} answers to choose from.")
    if len(set(answers)) != len(answers):
        raise UserError("bad_answers", "Two answers are the same; word them differently.")
    for answer in answers:
        if not answer or answer != answer.strip():
            raise UserError(
                "bad_answers", f"The answer {answer!r} is blank or has blanks around it; trim it."
            )


def spellings(answers: Sequence[str]) -> dict[str, str]:
    """Return what counts as which answer: `yes`, `Yes`, `YES`, each also after a blank.

    An answer's own spelling is never another's, and one that two answers could claim is neither's.
    """
    found = {answer: answer for answer in answers}
    if len(answers) > MOST_SPELLED:
        return found
    claimed: dict[str, set[str]] = {}
    for answer in answers:
        for form in (answer, answer[0].upper() + answer[1:], answer.upper()):
            for spelling in (form, f" {form}"):
                claimed.setdefault(spelling, set()).add(answer)
    clear = {spelling: min(owners) for spelling, owners in claimed.items() if len(owners) == 1}
    return found | {spelling: owner for spelling, owner in clear.items() if spelling not in found}


def score_answers(next_tokens: NextTokens, answers: Sequence[str]) -> AnswerScores:
    """Return the probability with which constrained decoding writes each answer.

    At every step the probability is renormalised over the tokens that keep an answer possible;
    different tokens and spellings of the same answer add up.  An answer may begin another one.
    Raises UserError `bad_answers`, and EngineError `engine_garbled` where no token is allowed.
    """
    check_answers(answers)
    spelled = {spelling.encode(): owner for spelling, owner in spellings(answers).items()}
    found = _walk(next_tokens, b"", spelled)
    return AnswerScores({answer: _log(found[answer]) for answer in answers})


def _walk(next_tokens: NextTokens, written: bytes, spelled: dict[bytes, str]) -> dict[str, float]:
    """Return the probability of each answer of `spelled`, whose keys all begin with `written`."""
    answers = list(dict.fromkeys(spelled.values()))
    if len(answers) == 1:
        return {answers[0]: 1.0}
    _refuse_half_a_letter(written, list(spelled))
    endings = [spelling[len(written) :] for spelling in spelled]
    tokens = next_tokens(written, endings)
    if not written:
        # A blank alone decides nothing, and a server cannot be asked to go on from it.
        tokens = {token: value for token, value in tokens.items() if token.strip() or token == END}
    shares = _shares(tokens, endings)
    found = dict.fromkeys(answers, 0.0)
    for token, share in shares.items():
        if token == END:
            found[spelled[written]] += share
            continue
        longer = written + token
        rest = {text: owner for text, owner in spelled.items() if text.startswith(longer)}
        if share < NEGLIGIBLE:
            owners = set(rest.values())
            below = dict.fromkeys(owners, 1.0 / len(owners))
        else:
            below = _walk(next_tokens, longer, rest)
        for answer, part in below.items():
            found[answer] += share * part
    return found


def _refuse_half_a_letter(written: bytes, answers: list[bytes]) -> None:
    """Raise UserError `bad_answers` where answers part inside a letter: no engine goes on there."""
    try:
        written.decode()
    except UnicodeDecodeError as error:
        names = ", ".join(repr(answer.decode()) for answer in answers)
        raise UserError(
            "bad_answers",
            f"To this model the answers {names} begin with the same part of a letter; "
            "word them differently.",
        ) from error


def _shares(tokens: Mapping[bytes, float], endings: list[bytes]) -> dict[bytes, float]:
    """Return the probability of each allowed token among the allowed ones."""
    allowed = {
        token: value
        for token, value in tokens.items()
        if any(ending.startswith(token) if token else not ending for ending in endings)
    }
    highest = max(allowed.values(), default=-math.inf)
    if not math.isfinite(highest):
        raise EngineError(
            "engine_garbled", "The model gave no probability to any allowed answer; see its log."
        )
    weights = {token: math.exp(value - highest) for token, value in allowed.items()}
    total = sum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def add_log(one: float, other: float) -> float:
    """Return the logarithm of the sum of two probabilities given as logarithms."""
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high))


def _log(probability: float) -> float:
    return max(LOWEST, math.log(probability)) if probability > 0.0 else LOWEST

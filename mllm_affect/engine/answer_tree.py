"""From next-token log-probabilities to the probability of every allowed answer.

Does: walk the tree of the answers' tokens, asking an engine for the next tokens only where several
answers are still possible.  Does not: run a model, or know token ids.  See docs/design/0002.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.vocabulary import END, control_token_in
from mllm_affect.errors import EngineError, UserError

MOST_ANSWERS = 64
LONGEST_ANSWER = 200
"""Characters.  Both bounds keep one question from taking a model server's time without end."""

NEGLIGIBLE = 1e-6
"""Beginnings less probable than this are not asked about; their answers share the rest evenly."""

MOST_BEGINNINGS = 256
"""So often an engine is asked at most for one input."""

LOWEST = -100.0
"""Stands for the logarithm of a probability that the engine gave as zero."""

MOST_SPELLED = 8
"""Larger answer spaces are scored in their exact spelling alone, which bounds the tokens to ask
about."""

Path = tuple[bytes, ...]
"""The tokens written so far, each by its bytes; a token need not be whole letters."""

NextTokens = Callable[[Path, list[bytes]], Mapping[bytes, float]]
"""Given the tokens written so far and the endings still allowed, the log-probability of each token
that may come next (its bytes; END for ending here), over those tokens only or over more."""


def check_answers(answers: Sequence[str]) -> None:
    """Raise UserError `bad_answers` for an answer space that cannot be scored."""
    if not 2 <= len(answers) <= MOST_ANSWERS:
        raise UserError("bad_answers", f"Give from 2 to {MOST_ANSWERS} answers to choose from.")
    if len(set(answers)) != len(answers):
        raise UserError("bad_answers", "Two answers are the same; word them differently.")
    for answer in answers:
        _check_answer(answer)


def _check_answer(answer: str) -> None:
    shown = repr(answer[:20])
    if len(answer) > LONGEST_ANSWER:
        raise UserError(
            "bad_answers",
            f"The answer that begins with {shown} has {len(answer)} characters; use at most "
            f"{LONGEST_ANSWER}.",
        )
    if not answer or answer != answer.strip():
        raise UserError(
            "bad_answers", f"The answer {shown} is blank or has blanks around it; trim it."
        )
    control = control_token_in(answer)
    if control is not None:
        raise UserError(
            "bad_answers",
            f"An answer contains {control!r}, which steers the model; word it differently.",
        )
    try:
        answer.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            "bad_answers", f"The answer {shown} is not valid Unicode text; word it differently."
        ) from error


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
    found = _walk(next_tokens, spelled, answers)
    return AnswerScores({answer: _log(found[answer]) for answer in answers})


@dataclass
class _Beginning:
    """A beginning of answers: its probability, and the most probable tokens that write it."""

    probability: float
    tokens: Path
    tokens_probability: float

    def add(self, probability: float, tokens: Path) -> None:
        """Count another way to write it."""
        self.probability += probability
        if probability > self.tokens_probability:
            self.tokens, self.tokens_probability = tokens, probability


def _walk(
    next_tokens: NextTokens, spelled: Mapping[bytes, str], answers: Sequence[str]
) -> dict[str, float]:
    """Return the probability of each answer; `spelled` names the answer of each spelling.

    Raises UserError `bad_answers` where the answers begin alike for too long.

    Beginnings are taken in order of their length, so that all ways to write one have been counted
    when it is asked about.  Each is asked about once, after its most probable tokens.
    """
    found = dict.fromkeys(answers, 0.0)
    beginnings = {b"": _Beginning(1.0, (), 1.0)}
    order = [(0, b"")]
    asked = 0
    while order:
        _, written = heapq.heappop(order)
        now = beginnings.pop(written)
        rest = [spelling for spelling in spelled if spelling.startswith(written)]
        owners = list(dict.fromkeys(spelled[spelling] for spelling in rest))
        if len(owners) == 1 or now.probability < NEGLIGIBLE:
            for owner in owners:
                found[owner] += now.probability / len(owners)
            continue
        asked += 1
        if asked > MOST_BEGINNINGS:
            raise UserError(
                "bad_answers",
                "The answers begin alike for too long; word them so that they differ earlier.",
            )
        endings = [spelling[len(written) :] for spelling in rest]
        tokens = next_tokens(now.tokens, endings)
        if not written:
            # A blank alone decides nothing.
            tokens = {token: v for token, v in tokens.items() if token.strip() or token == END}
        for token, share in _shares(tokens, endings).items():
            if token == END:
                found[spelled[written]] += now.probability * share
                continue
            longer, part = written + token, now.probability * share
            if longer in beginnings:
                beginnings[longer].add(part, (*now.tokens, token))
            else:
                beginnings[longer] = _Beginning(part, (*now.tokens, token), part)
                heapq.heappush(order, (len(longer), longer))
    return found


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

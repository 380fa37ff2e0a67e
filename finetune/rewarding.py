"""How good a sampled answer is, for reinforcement learning.

Does: score completions against the prompt's own format: one allowed answer and nothing else.
Does not: know ms-swift (see rewards_plugin).
"""

from collections.abc import Sequence


def right_answers(completions: Sequence[str], solution: Sequence[str]) -> list[float]:
    """Return 1 for each completion that is exactly the right answer, else 0.

    White space around it is forgiven; other words, other case and a full stop are not, because an
    answer that the service's answer space does not hold is worth nothing there.
    """
    pairs = zip(completions, solution, strict=True)
    return [float(completion.strip() == right) for completion, right in pairs]


def allowed_answers(completions: Sequence[str], allowed: Sequence[Sequence[str]]) -> list[float]:
    """Return 1 for each completion that is exactly one of the allowed answers, right or wrong.

    Partial credit: it is given only where a training names this reward beside the other.
    """
    pairs = zip(completions, allowed, strict=True)
    return [float(completion.strip() in answers) for completion, answers in pairs]

"""What one scores without looking at the clips: the floor beside every figure.

Does: answer the questions with what is best for each figure by the training file alone, and score
that.  Does not: learn the answers (see constant_answers).

Every figure has a floor of its own, because one constant is not the best for all: the median of the
training counts for MAE, the integer nearest to their mean for RMSE, never below the largest event
number that a video's questions name; the list of action units with the best mean overlap; for BLEU
and ROUGE the answer of a wording that scores best against the others of that wording.  For UF1 and
UAR it is the higher of two: the most frequent class, and guessing in the training file's
proportions, which is expected to score 1 / classes and which no constant beats where training and
test have the same proportions.  Where the training file has rows of a question's dataset, these
alone decide.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from eval.megc.constant_answers import ConstantAnswers, Metric
from eval.megc.figures import SumFigure, evaluate
from eval.megc.pairs import Pair, Shares, as_said
from mllm_affect.data.megc.question_files import Trained
from mllm_affect.data.megc.questions import Kind

Gather = Callable[[Sequence[Pair], Shares], list[SumFigure]]

METRICS: tuple[Metric, ...] = (
    "UF1", "UAR", "BLEU", "ROUGE", "MAE", "RMSE", "F1_AU", "Jaccard_AU",
)  # fmt: skip
GUESSED: frozenset[Metric] = frozenset({"UF1", "UAR"})

STATEMENT = (
    "each figure's own best blind answer by the training file (per dataset where it has the "
    "dataset): for UF1 and UAR the most frequent class or guessing in proportion, whichever is "
    "higher; for MAE the median, for RMSE the rounded mean, not below the events asked about; for "
    "action units, BLEU and ROUGE the answer with the best mean score"
)


def floors(
    gather: Gather, pairs: Sequence[Pair], train: Sequence[Trained]
) -> dict[str, float | None]:
    """Return the floor of every figure that `gather` makes; None where no row asks for it.

    A question whose like training lacks gets no answer.
    """
    blind = ConstantAnswers(train)
    found: dict[str, float | None] = {}
    asked_for = {item.name.split()[0] for item in gather(pairs, as_said)}
    for metric in (one for one in METRICS if one in asked_for):
        constant = _values(metric, gather(constants(blind, metric, pairs), as_said))
        guessed: Mapping[str, float | None] = {}
        if metric in GUESSED:
            guessed = _values(metric, gather(pairs, guessing(blind)))
        for name, value in constant.items():
            both = [one for one in (value, guessed.get(name)) if one is not None]
            found[name] = max(both, default=None)
    return found


def constants(blind: ConstantAnswers, metric: Metric, pairs: Sequence[Pair]) -> list[Pair]:
    """Return the same questions with the constant answers that are best for a metric."""
    largest: dict[str, int] = {}
    for pair in pairs:
        number = pair.asked.number if pair.asked is not None else None
        largest[pair.clip] = max(largest.get(pair.clip, 0), number or 0)
    answered = []
    for pair in pairs:
        said: str | int | None = blind.best(metric, pair.dataset, pair.text, pair.asked)
        total = pair.asked is not None and pair.asked.kind is Kind.count_all
        if total and said is not None and metric in ("MAE", "RMSE"):
            said = blind.best_total(metric, pair.dataset, largest[pair.clip])
        answered.append(replace(pair, said="" if said is None else said, answered=said is not None))
    return answered


def guessing(blind: ConstantAnswers) -> Shares:
    """Return the probability of each answer when guessing in the training file's proportions."""
    return lambda pair: blind.shares(pair.dataset, pair.text, pair.asked)


def _values(metric: Metric, figures: Sequence[SumFigure]) -> dict[str, float | None]:
    return {
        item.name: evaluate(item, resamples=0).value
        for item in figures
        if item.name.split()[0] == metric
    }

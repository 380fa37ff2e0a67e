"""Pairs of truth and answer that the tests of the micro-expression scores share."""

from eval.megc.figures import evaluate
from eval.megc.lvqa_scores import lvqa_figures
from eval.megc.pairs import Pair
from eval.megc.vqa_scores import vqa_figures
from mllm_affect.data.megc.questions import Asked, Kind, recognise, word

COARSE, FINE = word(Asked(Kind.coarse)), word(Asked(Kind.fine))
UNITS = word(Asked(Kind.distinct_units))


def pair(
    dataset: str, text: str, truth: str | int, said: str | int, video: str | None = None
) -> Pair:
    return Pair(dataset, video or f"v{hash((dataset, text, truth, said))}", text,
                recognise(text), truth, said)  # fmt: skip


def values(pairs: list[Pair], task: str = "vqa") -> dict[str, float | None]:
    gather = vqa_figures if task == "vqa" else lvqa_figures
    return {item.name: evaluate(item, resamples=0).value for item in gather(pairs)}


def coarse_rows(dataset: str, answers: str) -> list[Pair]:
    """`answers` holds pairs of first letters, truth and answer; `-` is no answer."""
    names = {"p": "positive", "n": "negative", "s": "surprise", "-": "", "x": "happy"}
    return [
        pair(dataset, COARSE, names[true], names[said], f"{dataset}{place}")
        for place, (true, said) in enumerate(answers.split())
    ]

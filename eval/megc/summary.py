"""All figures of one task over one set of predictions, with the no-vision floor beside them.

Does: gather figures, intervals and what they were made with; write them.  Does not: print.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.megc.comparing import Comparison, compare
from eval.megc.figures import Figure, evaluate
from eval.megc.floor import NoVision
from eval.megc.lvqa_scores import lvqa_figures
from eval.megc.pairs import Pair, pair_up, unanswered
from eval.megc.predictions import read_predicted
from eval.megc.text_scores import provenance
from eval.megc.vqa_scores import vqa_figures
from mllm_affect import __version__
from mllm_affect.data.megc.question_files import Task, Trained, read_question_file, read_train_file
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, write_json

STANDING = "unofficial: the organisers' scorer could not be read"


@dataclass(frozen=True)
class Summary:
    """The figures; `floor` holds the same without vision, None where no training file was given.

    `against`: the share of right answers beside that of other predictions, where some were given.
    """

    task: Task
    clips: int
    rows: int
    unanswered: int
    unknown_questions: int
    figures: tuple[Figure, ...]
    floor: dict[str, float | None] | None
    made_with: dict[str, str]
    inputs: dict[str, str] = field(default_factory=dict)
    standing: str = STANDING
    against: Comparison | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        against = self.against and self.against.as_dict()
        return {**asdict(self), "against": against}


def summarise(
    task: Task,
    pairs: Sequence[Pair],
    train: Sequence[Trained] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Summary:
    """Compute every figure with its interval.

    Raises UserError `bad_truth`, `no_rows` without any row.
    """
    if not pairs:
        raise UserError("no_rows", "There is no question to score.")
    gather = vqa_figures if task == "vqa" else lvqa_figures
    floor = None
    if train is not None:
        blind = gather(NoVision(train).answered(pairs))
        floor = {item.name: evaluate(item, resamples=0).value for item in blind}
    return Summary(
        task=task,
        clips=len({pair.clip for pair in pairs}),
        rows=len(pairs),
        unanswered=unanswered(pairs),
        unknown_questions=sum(pair.asked is None for pair in pairs),
        figures=tuple(evaluate(item, seed, resamples) for item in gather(pairs)),
        floor=floor,
        made_with={
            "mllm-affect": __version__,
            "interval": f"95 % percentile bootstrap, whole clips redrawn {resamples} times, "
            f"seed {seed}",
            **(provenance() if task == "vqa" else {}),
        },
    )


def from_files(
    truth: Sequence[Path],
    predictions: Sequence[Path],
    train: Path | None = None,
    seed: int = 0,
    resamples: int = 1000,
    against: Sequence[Path] = (),
) -> Summary:
    """Score predictions against question files whose answers are filled in.  Raises UserError.

    `against`: other predictions about the same questions, to compare with.
    """
    files = [read_question_file(path) for path in truth]
    if not files:
        raise UserError("no_truth", "Give at least one question file with its true answers.")
    pairs = pair_up(files, read_predicted(predictions))
    rows = read_train_file(train) if train is not None else None
    summary = summarise(files[0].task, pairs, rows, seed, resamples)
    used = [*truth, *predictions, *([train] if train else [])]
    return replace(
        summary,
        inputs={path.name: sha256_file(path) for path in used},
        against=compare(pairs, pair_up(files, read_predicted(against))) if against else None,
    )


def write(summary: Summary, out: Path) -> Path:
    """Write `metrics.json` into `out`; return its path."""
    path = out / "metrics.json"
    write_json(path, summary.as_dict())
    return path

"""All figures of one task over one set of predictions, with the no-vision floor beside them.

Does: gather figures, intervals and what they were made with; write them.  Does not: print.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.megc.comparing import Comparison, compare
from eval.megc.figures import Figure, evaluate
from eval.megc.floor import STATEMENT, floors
from eval.megc.lvqa_scores import lvqa_figures
from eval.megc.pairs import Pair, pair_up, unanswered
from eval.megc.predictions import read_predicted
from eval.megc.text_scores import provenance
from eval.megc.vqa_scores import vqa_figures
from mllm_affect import __version__
from mllm_affect.data.megc.question_files import (
    Task,
    Trained,
    read_question_file,
    read_train_file,
)
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, write_json

STANDING = "unofficial: the organisers' scorer could not be read"


@dataclass(frozen=True)
class Summary:
    """The figures; `floor` holds the same without vision, None where no training file was given.

    `redrawn`: how many clips (task 1) or people (task 2) were redrawn for the intervals; `filmed`:
    for how many long videos a subject, the training file, the name or nothing told who is filmed.
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
    redrawn: int = 0
    filmed: dict[str, int] = field(default_factory=dict)
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
    filmed: Counter[str] = Counter(
        source for _, source in {(p.clip, p.filmed.source) for p in pairs if p.filmed is not None}
    )
    return Summary(
        task=task,
        clips=len({pair.clip for pair in pairs}),
        rows=len(pairs),
        unanswered=unanswered(pairs),
        unknown_questions=sum(pair.asked is None for pair in pairs),
        figures=tuple(evaluate(item, seed, resamples) for item in gather(pairs)),
        floor=floors(gather, pairs, train) if train is not None else None,
        made_with={
            "mllm-affect": __version__,
            "interval": _interval(task, pairs, filmed, seed, resamples),
            **({"floor": STATEMENT} if train is not None else {}),
            **(provenance() if task == "vqa" else {}),
        },
        redrawn=len({pair.redrawn for pair in pairs}),
        filmed=dict(filmed),
    )


def _interval(
    task: Task, pairs: Sequence[Pair], filmed: Counter[str], seed: int, resamples: int
) -> str:
    """Say how the intervals are made, and what told who is filmed."""
    count = len({pair.redrawn for pair in pairs})
    what = f"{count} whole {'clips' if task == 'vqa' else 'people'}"
    told = {
        "subject": "by the truth file's subject",
        "training file": "by the training file's subject",
        "name": "by the three digits in the video's name",
        "nothing": "unknown, each taken for a person of its own",
    }
    known = "; ".join(f"{filmed[source]} {said}" for source, said in told.items() if filmed[source])
    return (
        f"95 % percentile bootstrap, {what} redrawn {resamples} times, seed {seed}"
        f"{f' (who is filmed in a video: {known})' if known else ''}"
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
    rows = read_train_file(train) if train is not None else None
    pairs = pair_up(files, read_predicted(predictions), rows or ())
    summary = summarise(files[0].task, pairs, rows, seed, resamples)
    used = [*truth, *predictions, *([train] if train else [])]
    return replace(
        summary,
        inputs={path.name: sha256_file(path) for path in used},
        against=compare(pairs, pair_up(files, read_predicted(against), rows or ()))
        if against
        else None,
    )


def write(summary: Summary, out: Path) -> Path:
    """Write `metrics.json` into `out`; return its path."""
    path = out / "metrics.json"
    write_json(path, summary.as_dict())
    return path

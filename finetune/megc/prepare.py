"""From the challenge's training files to rows, with a manifest.

Does: read labels, show every clip and window through `model_input` as prediction does, balance,
write rows.jsonl and what was left out for testing.  Does not: train.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from finetune.labelling import Balance
from finetune.megc.clip_rows import Absent, Question, clip_questions
from finetune.megc.gathered import Gathered
from finetune.megc.leave_out import leave_out, write_left_out
from finetune.megc.rule import ExpressionRule
from finetune.megc.window_rows import label_windows, on_the_clock, units_of, window_questions
from finetune.progress import Progress
from mllm_affect.data.megc.clip_folders import ClipFiles, ClipFinder
from mllm_affect.data.megc.labels import ClipLabel, VideoLabel, clip_labels, video_labels
from mllm_affect.data.megc.layout import CLIPS, frame_rate, long_sheets, train_rows
from mllm_affect.data.megc.question_files import Task, Trained
from mllm_affect.data.megc.vocabulary import ALL_UNITS
from mllm_affect.data.unit_labels import UNKNOWN
from mllm_affect.expressions.sources import read_long, read_short
from mllm_affect.expressions.windows import overlapping, scanned
from mllm_affect.files import sha256_file
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.rows import write_row

Report = Callable[[Progress], None]
L = TypeVar("L", ClipLabel, VideoLabel)


@dataclass(frozen=True)
class ExpressionPreparation:
    """What shapes rows besides clips and labels.

    `profile`: how the model must be shown clips; `sampling`: of the task that shows most frames.
    `with_units`: rows also tell a model with evidence which action units move, and on whom.
    """

    families: tuple[Family, ...]
    profile: ModelProfile
    rule: ExpressionRule = field(default_factory=ExpressionRule)
    balance: Balance = "none"
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    with_units: bool = False


def prepare_expressions(
    data: Path,
    preparation: ExpressionPreparation,
    out: Path,
    report: Report = lambda _progress: None,
    *,
    trusted: bool = False,
) -> dict[str, Any]:
    """Write rows of the training clips below `data` into `out`; return the manifest.

    Raises UserError `nobody_left_out`, `bad_data` where no clip can be learned from, or as reading
    the files and the clips does.
    """
    making = _Making(
        preparation, ClipFinder(data / CLIPS), Gathered(), out, report, trusted=trusted
    )
    for family in preparation.families:
        making.add_family(family, data)
    return making.gathered.write(
        out, preparation.families, preparation.sampling, preparation.rule, preparation.balance,
        preparation.seed,
    )  # fmt: skip


@dataclass(frozen=True)
class _Making:
    """Rows being made: where clips are found, what was gathered."""

    preparation: ExpressionPreparation
    finder: ClipFinder
    gathered: Gathered
    out: Path
    report: Report
    trusted: bool

    def add_family(self, family: Family, data: Path) -> None:
        """Add the rows of one task, all but those of who is left out."""
        task: Task = "lvqa" if family.id == "me_lvqa" else "vqa"
        paths, rows = train_rows(data, task)
        kept: Sequence[Trained] = rows
        if self.preparation.rule.leave_out is not None:
            fold = leave_out(rows, self.preparation.rule.leave_out)
            write_left_out(fold.test, task, self.finder, self.out)
            kept = fold.train
        if task == "vqa":
            labels, missing = clip_labels(kept)
            self._add_clips(labels, family)
        else:
            sheets, coded = long_sheets(data)
            paths += sheets
            videos, missing = video_labels(kept, coded)
            self._add_videos(videos, family)
        self.gathered.inputs |= {path.name: sha256_file(path) for path in paths}
        self.gathered.left_out.update(missing)

    def _add_clips(self, labels: Sequence[ClipLabel], family: Family) -> None:
        absent = self._absent([label.units for label in labels])
        sampling = self.preparation.profile.fit(family.task("coarse")).sampling
        for label, files in self._found(labels):
            rate = frame_rate(files, label.dataset)
            clip = read_short(files, rate, family, sampling, trusted=self.trusted)
            others = absent.draw(label.units) if label.units else []
            coding = self._coding(label, label.units or None)
            self._add(clip, clip_questions(label, family, others), family, coding)

    def _add_videos(self, labels: Sequence[VideoLabel], family: Family) -> None:
        absent = self._absent([event.units for label in labels for event in label.events])
        random = np.random.default_rng((self.preparation.seed, 26))
        sampling = self.preparation.profile.fit(family.task("event_here")).sampling
        for label, files in self._found(labels):
            rate = frame_rate(files, label.dataset)
            clocked = on_the_clock(label, files, rate)
            self.gathered.left_out.update(clocked.left_out)
            self.gathered.units |= {name for event in clocked.events for name in event.units}
            how = scanned(family.scan, sampling)
            clips = read_long(files, rate, how, trusted=self.trusted)
            windows = overlapping(clips, family.scan, sampling)
            rule = self.preparation.rule
            for window in label_windows(windows, clocked, rule, family.scan, random):
                coding = self._coding(label, units_of(window))
                self._add(window.clip, window_questions(window, family, absent), family, coding)
                self.gathered.windows += 1

    def _found(self, labels: Sequence[L]) -> Iterator[tuple[L, ClipFiles]]:
        """Yield labels with their files; count those that have none."""
        for done, label in enumerate(labels):
            self.report(Progress("prepare", done, len(labels)))
            files = self.finder.find(label.filename, label.subject, label.dataset)
            if not files.usable:
                self.gathered.left_out[f"frames {files.state}"] += 1
                continue
            yield label, files
            self.gathered.clips += 1
            self.gathered.people.add(label.person)
        self.report(Progress("prepare", len(labels), len(labels)))

    def _absent(self, shown: Sequence[Sequence[str]]) -> Absent:
        return Absent(shown, self.preparation.rule.no_per_yes, self.preparation.seed)

    def _coding(self, label: ClipLabel | VideoLabel, units: Sequence[str] | None) -> dict[str, str]:
        """Return what a model with evidence is told of a row; units None where not coded."""
        if not self.preparation.with_units:
            return {}
        numbers = None if units is None else [str(ALL_UNITS[name]) for name in units]
        listed = UNKNOWN if numbers is None else ",".join(numbers)
        return {"participant": label.person, "units": listed}

    def _add(
        self, clip: Clip, questions: Iterable[Question], family: Family, coding: dict[str, str]
    ) -> None:
        for question in questions:
            _, task, answer = question
            row = write_row(self.out, model_input(clip, task), answer)
            self.gathered.add(family, question, row | coding)

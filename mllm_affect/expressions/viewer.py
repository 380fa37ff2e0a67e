"""A model that looks at clip files: the one way from files to what it says.

Does: read files as the checkpoint must be shown them, ask or scan.  Does not: own the engine, or
turn probabilities into answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mllm_affect.data.megc.clip_folders import ClipFiles
from mllm_affect.data.megc.layout import frame_rate
from mllm_affect.data.megc.questions import Asked
from mllm_affect.engine.types import Engine
from mllm_affect.expressions.asking import ask_clip
from mllm_affect.expressions.scanning import scan, window_tasks
from mllm_affect.expressions.sources import read_long, read_short
from mllm_affect.expressions.windows import overlapping, scanned
from mllm_affect.model.profile import ModelProfile
from mllm_affect.scoring.video_events import DEFAULT_RULE, EventRule, Window
from mllm_affect.tasks.family import Family
from mllm_affect.tasks.task import Task


@dataclass(frozen=True)
class Viewer:
    """An engine with its checkpoint's profile.  `trusted` files are decoded in this process."""

    engine: Engine
    profile: ModelProfile = field(default_factory=ModelProfile)
    trusted: bool = False

    def ask(
        self, files: ClipFiles, dataset: str, family: Family, tasks: Mapping[Asked, Task]
    ) -> dict[Asked, dict[str, float]]:
        """Return the probability of every answer of a family's tasks about one short clip.

        Raises UserError for files that cannot be read, EngineError when the engine fails.
        """
        fit = {asked: self.profile.fit(task) for asked, task in tasks.items()}
        sampling = next(iter(fit.values())).sampling
        rate = frame_rate(files, dataset)
        clip = read_short(files, rate, family, sampling, trusted=self.trusted)
        return ask_clip(clip, fit, self.engine)

    def scan(
        self,
        files: ClipFiles,
        dataset: str,
        family: Family,
        rule: EventRule = DEFAULT_RULE,
        report: Callable[[float], None] = lambda _end_s: None,
    ) -> list[Window]:
        """Return what the model says of each window of a long video.  Raises as `ask`."""
        sampling = self.profile.fit(family.task("event_here")).sampling
        rate = frame_rate(files, dataset)
        clips = read_long(files, rate, scanned(family.scan, sampling), trusted=self.trusted)
        windows = overlapping(clips, family.scan, sampling)
        tasks = window_tasks(family, self.profile.other_units)
        return scan(windows, tasks, self.engine, rule, report)

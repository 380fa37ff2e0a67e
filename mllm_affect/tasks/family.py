"""A family of tasks: several kinds of question that share sampling, each with its answer space.

Does: describe a prompt file with `kinds` and make the Task of one kind.  Does not: read files (see
prompts) or know any particular family.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.task import Task


class KindPrompt(BaseModel):
    """One kind of question.  `question` may name things in braces: `Is {unit} shown?`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1)
    answers: tuple[str, ...] = ()
    positive: str | None = None
    max_new_tokens: int = Field(default=64, ge=1, le=4096)


class Scan(BaseModel):
    """How a long video is looked through: windows of `window_s` seconds, one every `hop_s`.

    Frames are taken `rate` a second; the model is shown them at the sampling's own rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(default=12.0, ge=1, le=240)
    window_s: float = Field(default=0.65, gt=0, le=5)
    hop_s: float = Field(default=0.17, gt=0, le=5)

    @model_validator(mode="after")
    def _windows_leave_no_gap(self) -> Self:
        if self.hop_s > self.window_s:
            raise ValueError("hop_s must not be above window_s: frames would be left out")
        return self


class Family(BaseModel):
    """Kinds of question by name; each is a Task called `<family>-<kind>`.

    `motion_picture`: short clips are shown with a picture of their optical flow after the frames.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    version: int = Field(default=1, ge=1)
    title: str = ""
    sampling: Sampling = Sampling()
    scan: Scan = Scan()
    motion_picture: bool = False
    pooling: str = "duration_mean"
    kinds: dict[str, KindPrompt] = Field(min_length=1)
    notes: str = ""

    @model_validator(mode="after")
    def _kinds_are_tasks(self) -> Self:
        for name in self.kinds:
            self.task(name)
        return self

    def task(self, kind: str, **named: str | int) -> Task:
        """Return the task of one kind; `named` fills the braces of its question.

        Braces that nothing fills stay.  Raises UserError `unknown_task` for another kind.
        """
        if kind not in self.kinds:
            raise UserError(
                "unknown_task",
                f"{self.id} has no kind {kind!r}; use one of {', '.join(self.kinds)}.",
            )
        prompt = self.kinds[kind]
        question = prompt.question
        for name, value in named.items():
            question = question.replace(f"{{{name}}}", str(value))
        return Task(
            id=f"{self.id}-{kind}",
            version=self.version,
            title=self.title,
            question=question,
            answers=prompt.answers,
            positive=prompt.positive,
            sampling=self.sampling,
            pooling=self.pooling,
            max_new_tokens=prompt.max_new_tokens,
            notes=self.notes,
        )

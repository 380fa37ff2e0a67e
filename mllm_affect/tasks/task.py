"""What a task is: a question with its answer space, and how its answers are pooled.

Does: describe and hash.  Does not: read files or video.
"""

import re
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mllm_affect.files import sha256_json
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.context import ContextWording

BRACES: Final = re.compile(r"\{[a-z_]+\}")
"""What a family of tasks fills in."""


class Task(BaseModel):
    """A question with its answer space.

    `answers` empty means free text: such a task has no probabilities.  `positive` names the
    answer whose probability is pooled over segments and compared with `threshold`.  `context` says
    what else the model is told, and `label` which label of a labelled set answers the question,
    where that is not called like the task.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: int = Field(default=1, ge=1)
    title: str = ""
    label: str | None = None
    context: ContextWording | None = None
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = ()
    positive: str | None = None
    sampling: Sampling = Sampling()
    pooling: str = "duration_mean"
    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    max_new_tokens: int = Field(default=64, ge=1, le=4096)
    notes: str = ""

    @model_validator(mode="after")
    def _answers_are_usable(self) -> Self:
        if len(set(self.answers)) != len(self.answers):
            raise ValueError("answers must differ from each other")
        if len(self.answers) == 1:
            raise ValueError("give at least two answers, or none for free text")
        if self.positive is not None and self.positive not in self.answers:
            raise ValueError(f"positive answer {self.positive!r} is not among the answers")
        return self

    @property
    def label_name(self) -> str:
        """What the right answer is called in labelled sets."""
        return self.label or self.id

    def asks(self, text: str) -> bool:
        """Whether a text asks this task's question: alone, or after lines of its context.

        A name in braces (`{unit}`), which a family of tasks fills in, stands for any.
        """
        before = r"(?:.*\n)?" if self.context is not None else ""
        asked = ".+".join(map(re.escape, BRACES.split(self.question)))
        return re.fullmatch(before + asked, text, flags=re.DOTALL) is not None

    @property
    def prompt_hash(self) -> str:
        """SHA-256 of what the model reads: question, answers, version and, where there is one, the
        wording of the context.  Kept with checkpoints."""
        read = {"question": self.question, "answers": list(self.answers), "version": self.version}
        if self.context is not None:
            read["context"] = self.context.model_dump(mode="json")
        return sha256_json(read)

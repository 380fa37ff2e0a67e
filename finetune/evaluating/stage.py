"""What is evaluated while training goes on, and the file that tells the trainer's process of it.

Does: state the recipe's fields, refuse early what could not be evaluated, write and read the file.
Does not: ask a model.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mllm_affect.data.examples import Example
from mllm_affect.data.labelled import read_labelled
from mllm_affect.errors import UserError
from mllm_affect.files import write_text
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.task import Task

NAME = "evaluation.json"
"""Beside the rows, in the folder that the trainer works in."""


class EvaluationStage(BaseModel):
    """What the recipe says about evaluation during training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str = "val"
    every: int = Field(default=50, ge=1)
    patience: int | None = Field(default=None, ge=1)


class EvaluationOrder(BaseModel):
    """All that the trainer's process needs to evaluate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: EvaluationStage
    base: Path
    data: Path
    tasks: tuple[Task, ...]
    profile: ModelProfile
    cache: Path
    trusted: bool

    def write(self, folder: Path) -> None:
        """Write the file into `folder`."""
        write_text(folder / NAME, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "EvaluationOrder":
        """Read what `write` left."""
        return cls.model_validate_json((folder / NAME).read_bytes())


def evaluated_examples(data: Path, split: str, tasks: Sequence[Task]) -> list[Example]:
    """Return the labelled examples of the split.

    Raises UserError `bad_recipe` for a task without a positive answer, and `bad_data` where no
    video of the split has a label of a task.
    """
    labelled = read_labelled(data)
    labelled.refuse_unlabelled(split, "it cannot choose a checkpoint", "bad_data")
    chosen = [item for item in labelled.examples if item.split == split]
    for task in tasks:
        if task.positive is None:
            raise UserError(
                "bad_recipe",
                f"Task {task.id} has no positive answer to evaluate; set evaluation to null.",
            )
        if not any(task.label_name in item.labels for item in chosen):
            raise UserError(
                "bad_data",
                f"The recipe evaluates on split {split!r}, where no video of {data} has a label "
                f"{task.label_name}; add some, or set evaluation to null.",
            )
    return chosen

"""`mllm_affect.json`: what a checkpoint folder says about itself to this toolkit.

Does: read and write how a checkpoint must be fed (sampling, longest segment) and what it was
trained on.
Does not: hold weights or the trainer's manifest.  A checkpoint without the file is an ordinary
Qwen3-Omni and is fed by the task's own sampling, in segments of at most MAX_SECONDS.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mllm_affect.errors import UserError
from mllm_affect.files import write_json
from mllm_affect.media.cutting import MAX_SECONDS
from mllm_affect.media.sampling.policy import SamplingPolicy
from mllm_affect.media.types import Sampling
from mllm_affect.model.split_uses import MANIFEST_NAME
from mllm_affect.tasks.task import Task

FILE_NAME = "mllm_affect.json"

LONGEST_SEGMENT_S = 60
"""No recipe and no checkpoint may ask for longer segments."""


class ModelProfile(BaseModel):
    """How to feed a checkpoint.

    `sampling` None: use the task's.  Its rate and size hold for every task; which frames are chosen
    is the task's own affair, unless `policies` says, by task id, by which policy the checkpoint
    learned it.  `max_seconds`: longest segment it was trained on, in seconds; None: not known, any
    will do.  `prompt_hashes` maps task ids to the prompt hashes it was trained with.
    `other_units`: action units besides the micro-expression challenge's 25 that it learned to see
    in long videos.  `note` is shown to whoever asks the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["miniature", "qwen3-omni"] = "qwen3-omni"
    sampling: Sampling | None = None
    max_seconds: float | None = Field(default=None, gt=0, le=LONGEST_SEGMENT_S)
    policies: dict[str, SamplingPolicy] = {}
    prompt_hashes: dict[str, str] = {}
    other_units: tuple[str, ...] = ()
    note: str = ""

    def fit(self, task: Task) -> Task:
        """Return `task` with the sampling that this checkpoint needs."""
        policy = self.policies.get(task.id, task.sampling.policy)
        sampling = replace(self.sampling or task.sampling, policy=policy)
        return task.model_copy(update={"sampling": sampling})

    def segment_seconds(self, asked: float | None = None, force: bool = False) -> float:
        """Return the bound of segments, in seconds: `asked`, else the checkpoint's, else 5.

        Raises UserError `other_segments` where `asked` is not what the checkpoint learned, unless
        forced.
        """
        if asked is None:
            return self.max_seconds or MAX_SECONDS
        if self.max_seconds not in (None, asked) and not force:
            raise UserError(
                "other_segments",
                f"The checkpoint was trained on segments of at most {self.max_seconds:g} s, not "
                f"{asked:g} s; leave the bound to the checkpoint, or force it.",
            )
        return asked

    def refuse_other_prompt(self, task: Task) -> None:
        """Raise UserError `other_prompt` for a task learned in another wording.

        A task that the checkpoint was never trained on is none of that: a base model may be asked
        anything, and so may a tuned one that was not taught this task.
        """
        learned = self.prompt_hashes.get(task.id)
        if learned is not None and learned != task.prompt_hash:
            raise UserError(
                "other_prompt",
                f"The checkpoint was trained on task {task.id} with another prompt (hash "
                f"{learned[:12]}, not {task.prompt_hash[:12]}); use the prompt file it was trained "
                "with, or force it.",
            )


def read_profile(checkpoint: Path) -> ModelProfile:
    """Read the profile of a checkpoint folder; a missing file gives the default profile.

    Raises UserError `bad_checkpoint` when the folder is no checkpoint or the file is unusable.
    """
    if not (checkpoint / "config.json").is_file():
        raise UserError(
            "bad_checkpoint",
            f"{checkpoint} holds no config.json; give the folder of a Qwen3-Omni checkpoint.",
        )
    path = checkpoint / FILE_NAME
    if not path.is_file():
        return ModelProfile()
    try:
        found = ModelProfile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        raise UserError("bad_checkpoint", f"{path} cannot be read: {error}") from error
    if found.max_seconds is None:
        return found.model_copy(update={"max_seconds": _trained_seconds(checkpoint)})
    return found


def _trained_seconds(checkpoint: Path) -> float | None:
    """Return the bound that an older version's training recorded in the manifest alone."""
    try:
        manifest = json.loads((checkpoint / MANIFEST_NAME).read_text(encoding="utf-8"))
        return float(manifest["rows"]["segmenter"]["max_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_profile(checkpoint: Path, profile: ModelProfile) -> None:
    """Write the profile into a checkpoint folder."""
    write_json(checkpoint / FILE_NAME, profile.model_dump(mode="json"))

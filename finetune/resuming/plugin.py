"""A callback for `swift sft --external_plugins .../plugin.py --callbacks mllm_affect_resume`.

Does: seal each checkpoint once all processes have written their part; seed every step by its
number, so that a resumed training draws what an undisturbed one draws.  Does not: decide what a
seal is (see seals).  ms-swift imports this file by its path.

What was drawn before a step depends on how often the readers of rows were started, which a resume
changes; a seed for each step depends on nothing else.  Rows are chosen by seeds of their own.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from swift.callbacks import TrainerCallback, callbacks_map

from finetune.plugins import RESUME_CALLBACK
from finetune.resuming.seals import PREFIX, seal
from finetune.resuming.step_seed import step_seed


def seed_all(seed: int) -> None:
    """Seed Python, numpy, and torch on the devices in use.

    Where no GPU is in use, torch.manual_seed keeps a note for one, with the stack of its caller.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


class ResumeCallback(TrainerCallback):  # type: ignore[misc]
    """Called before each step, and after a checkpoint was written and older ones were removed."""

    def on_step_begin(self, args: Any, state: Any, *_control: Any, **_rest: Any) -> None:
        """Seed all generators for the step that begins."""
        seed_all(step_seed(args.seed, state.global_step, args.process_index))

    def on_save(self, args: Any, state: Any, *_control: Any, **_rest: Any) -> None:
        """Seal the newest checkpoint, in the first process."""
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        folder = Path(args.output_dir) / f"{PREFIX}{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            seal(folder)


callbacks_map[RESUME_CALLBACK] = ResumeCallback

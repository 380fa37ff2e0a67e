"""A callback for `swift sft --external_plugins .../seal_plugin.py --callbacks mllm_affect_seal`.

Does: seal each checkpoint once all processes have written their part.  Does not: decide what a
seal is (see seals).  ms-swift imports this file by its path.
"""

from pathlib import Path
from typing import Any

from swift.callbacks import TrainerCallback, callbacks_map

from finetune.resuming.seals import PREFIX, seal

NAME = "mllm_affect_seal"


class SealCallback(TrainerCallback):  # type: ignore[misc]
    """Called after a checkpoint was written and older ones were removed."""

    def on_save(self, args: Any, state: Any, *_control: Any, **_rest: Any) -> None:
        """Seal the newest checkpoint, in the first process."""
        import torch.distributed as processes

        if processes.is_initialized():
            processes.barrier()
        folder = Path(args.output_dir) / f"{PREFIX}{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            seal(folder)


callbacks_map[NAME] = SealCallback

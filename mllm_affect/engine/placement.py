"""Where a checkpoint is loaded, and in which numbers.

Does: choose the GPU and bfloat16 where there are, count the weights from the files' headers,
refuse what the memory cannot hold.  Does not: load weights.
"""

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mllm_affect.engine.checkpoint import safetensors_header
from mllm_affect.errors import UserError

AUTO = "auto"
NUMBER_BYTES = {"float32": 4, "bfloat16": 2}
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")

SPEECH_OUTPUT = ("talker.", "code2wav.", "token2wav.")
"""Names of weights that are never loaded: they turn text into speech."""

ROOM = 1.1
"""Memory wanted for each byte of weights: activations and the loader's buffers."""


@dataclass(frozen=True)
class Placement:
    """`device`: auto, cpu, cuda or cuda:N; `dtype`: auto, float32 or bfloat16.

    auto is the first GPU where torch sees one, else the CPU, and bfloat16 on a GPU, else float32.
    """

    device: str = AUTO
    dtype: str = AUTO

    def __post_init__(self) -> None:
        """Raise UserError `bad_device` for a device that nobody could mean."""
        if not DEVICE.fullmatch(self.device):
            raise UserError(
                "bad_device", f"--device is {self.device!r}; give auto, cpu, cuda or cuda:N."
            )

    def settled(self) -> "Placement":
        """Return it without auto.  Raises UserError `no_gpu` where the named GPU is not there."""
        device, dtype = self.device, self.dtype
        gpus = _gpus() if device != "cpu" else 0
        if device == AUTO:
            device = "cuda" if gpus else "cpu"
        elif device != "cpu" and gpus <= int(device.partition(":")[2] or 0):
            raise UserError(
                "no_gpu", f"--device is {device}, but torch sees {gpus} GPUs; give cpu or auto."
            )
        if dtype == AUTO:
            dtype = "float32" if device == "cpu" else "bfloat16"
        return Placement(device, dtype)


ON_CPU = Placement("cpu", "float32")


def check_memory(checkpoint: Path, placement: Placement) -> None:
    """Refuse a checkpoint whose weights do not fit where they are to be loaded.

    `placement`: settled.  Raises UserError `too_little_memory`.
    """
    count = weight_count(checkpoint)
    needed, free = count * NUMBER_BYTES[placement.dtype], free_bytes(placement.device)
    if needed * ROOM > free:
        other = "" if placement.dtype == "bfloat16" else "--dtype bfloat16 halves it; "
        raise UserError(
            "too_little_memory",
            f"{checkpoint} has {count / 1e9:.1f} billion weights, {needed / 1e9:.0f} GB in "
            f"{placement.dtype}; {placement.device} has {free / 1e9:.0f} GB free. {other}a larger "
            "device (--device) or a model server (--engine-url) can hold it.",
        )


def weight_count(checkpoint: Path) -> int:
    """Return how many weights are loaded: all but those of speech output.

    Raises UserError `bad_checkpoint` for a damaged file.
    """
    return sum(
        prod(entry["shape"])
        for path in sorted(checkpoint.glob("*.safetensors"))
        for name, entry in safetensors_header(path).items()
        if name != "__metadata__" and not name.startswith(SPEECH_OUTPUT)
    )


def free_bytes(device: str) -> int:
    """Return the free memory of a device."""
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def _gpus() -> int:
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count()

"""What a training takes besides the devices' memory: disk, and the host's memory.

Does: estimate both, each with its formula.  Does not: measure, or plan the devices (see memory).
"""

from dataclasses import dataclass

from finetune.planning.counts import Parts
from finetune.recipe import Recipe

DTYPE_BYTES = {"float32": 4, "bfloat16": 2}
ADAPTER_BYTES = 4
"""peft keeps an adapter of a bfloat16 model in float32."""

MASTER_BYTES = 12
"""DeepSpeed writes a weight and two moments in float32 beside each weight that it trains."""

KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class Estimate:
    """So many bytes, and how they follow."""

    bytes: int
    formula: str


def disk(recipe: Recipe, parts: Parts, trained: int, base_bytes: int | None = None) -> Estimate:
    """Return what lies on the disk at most: the result, kept checkpoints, and one being written.

    `base_bytes`: of the base's weight files, whose speech output the result keeps; None where they
    are not at hand.
    """
    size = DTYPE_BYTES[recipe.dtype]
    result = max(parts.total * size, base_bytes or 0)
    each = _checkpoint_bytes(recipe, parts, trained)
    kept = KEPT_CHECKPOINTS + 1 if recipe.save_steps else 1
    speech = result - parts.total * size
    formula = f"{parts.total:,} x {size} bytes"
    formula += f" + {speech:,} bytes of speech output" if speech else ""
    return Estimate(result + kept * each, f"{formula} + {kept} checkpoints x {each:,} bytes")


def _checkpoint_bytes(recipe: Recipe, parts: Parts, trained: int) -> int:
    """Return the size of one checkpoint of the trainer, optimizer included where it goes on."""
    lora, size = recipe.method == "lora", DTYPE_BYTES[recipe.dtype]
    weight = ADAPTER_BYTES if lora else size
    frozen = 0 if lora else (parts.total - trained) * size
    if recipe.save_steps is None:
        return trained * weight + frozen
    optimizer = MASTER_BYTES if recipe.deepspeed else 2 * weight
    return trained * (weight + optimizer) + frozen


def host_memory(recipe: Recipe, parts: Parts) -> Estimate:
    """Return the host memory that all processes take while they load the base.

    Under ZeRO-3 transformers builds the fused experts on every rank before DeepSpeed shares them;
    otherwise weights go from the mapped files to the device, a tensor at a time.
    """
    size = DTYPE_BYTES[recipe.dtype]
    if recipe.use_cpu or recipe.deepspeed != "zero3":
        largest = parts.total * size if recipe.use_cpu else 0
        words = "weights stay on the host" if recipe.use_cpu else "weights are mapped, not copied"
        return Estimate(recipe.gpus * largest, words)
    return Estimate(
        recipe.gpus * parts.experts * size,
        f"{recipe.gpus} processes x {parts.experts:,} weights of experts x {size} bytes, "
        "while loading",
    )

"""The GPUs that a training runs on.

Does: take the first of the visible ones, refuse a recipe that wants more.
Does not: decide how many (see recipe) or start processes.

ms-swift starts one process a GPU and would spread a single process over every GPU that it sees, so
the child sees exactly as many as the recipe names.
"""

from collections.abc import Mapping

from finetune.recipe import Recipe
from mllm_affect.errors import UserError

VARIABLE = "CUDA_VISIBLE_DEVICES"


def chosen_gpus(recipe: Recipe, environment: Mapping[str, str]) -> str:
    """Return the value of CUDA_VISIBLE_DEVICES for the training; empty for one on the CPU.

    The first GPUs that the user's own variable names, by index or by UUID, else the first of the
    machine.
    """
    if recipe.use_cpu:
        return ""
    named = [one.strip() for one in environment.get(VARIABLE, "").split(",") if one.strip()]
    return ",".join((named or list(map(str, range(recipe.gpus))))[: recipe.gpus])


def check_gpus(recipe: Recipe) -> None:
    """Refuse a recipe for more GPUs than are visible.  Raises UserError `too_few_gpus`."""
    if recipe.use_cpu:
        return
    visible = visible_gpus()
    if visible < recipe.gpus:
        raise UserError(
            "too_few_gpus",
            f"The recipe trains on {recipe.gpus} GPUs, of which {visible} are visible here; set "
            f"gpus (--nproc) to at most that many, make others visible ({VARIABLE}), or set "
            "use_cpu for a small model.",
        )


def visible_gpus() -> int:
    """Return how many GPUs torch sees; it heeds CUDA_VISIBLE_DEVICES.  Without torch: none."""
    try:
        import torch
    except ImportError:
        return 0

    return torch.cuda.device_count()

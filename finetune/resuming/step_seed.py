"""The random seed of one training step.

Does: mix the training's seed, the step and the process into one number.  Does not: seed anything.
"""

from hashlib import blake2b

SEED_BYTES = 4
"""numpy accepts seeds below 2**32."""


def step_seed(seed: int, step: int, process: int) -> int:
    """Return a seed in [0, 2**32) that neighbouring steps, processes and trainings do not share."""
    told = f"{seed} {step} {process}".encode()
    return int.from_bytes(blake2b(told, digest_size=SEED_BYTES).digest(), "big")

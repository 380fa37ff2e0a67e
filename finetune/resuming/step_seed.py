"""The random seed of one training step.

Does: mix the training's seed, the step and the process into one number.  Does not: seed anything.
"""

from numpy.random import SeedSequence


def step_seed(seed: int, step: int, process: int) -> int:
    """Return a seed in [0, 2**32) that neighbouring steps, processes and trainings hardly share.

    numpy accepts seeds below 2**32.
    """
    return int(SeedSequence((seed, step, process)).generate_state(1)[0])

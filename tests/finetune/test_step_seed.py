"""Each step has a random seed of its own, whatever came before it."""

import numpy as np

from finetune.resuming.step_seed import step_seed


def test_steps_processes_and_trainings_do_not_share_seeds() -> None:
    seeds = {
        step_seed(seed, step, process)
        for seed in (0, 1, 42)
        for step in range(200)
        for process in range(4)
    }
    assert len(seeds) == 3 * 200 * 4
    np.random.seed(max(seeds))  # numpy's own bound


def test_a_seed_depends_on_nothing_else() -> None:
    assert step_seed(42, 7, 0) == step_seed(42, 7, 0)
    assert step_seed(1, 11, 0) != step_seed(11, 1, 0) != step_seed(1, 1, 10)

"""Run as a program: what ms-swift makes of grpo.jsonl and of our reward functions, as JSON.

Usage: grpo_side.py ROWS PLUGIN
"""

import json
import sys


def main(rows: str, plugin: str) -> None:
    from swift.dataset import load_dataset
    from swift.rewards import orms
    from swift.utils import import_external_file

    import_external_file(plugin)
    dataset, _ = load_dataset([rows], remove_unused_columns=False, load_from_cache_file=False)
    samples = [dataset[index] for index in range(len(dataset))]
    columns = {name: [sample[name] for sample in samples] for name in ("solution", "allowed")}
    completions = [["yes", " no\n", "Yes.", "perhaps"][n % 4] for n in range(len(samples))]
    rewards = {
        name: orms[name](args=None)(completions, **columns, messages=None)
        for name in ("mllm_affect_right", "mllm_affect_allowed")
    }
    roles = [[message["role"] for message in sample["messages"]] for sample in samples]
    found = {"roles": roles, **columns, "rewards": rewards, "keys": sorted(samples[0])}
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

"""Run as a program: what ms-swift feeds the model in training, written to a safetensors file.

Usage: swift_side.py TARGET sft --model ...   (the words of our own training command)

One batch of all rows, in the order of rows.jsonl, through ms-swift's own argument parsing,
dataset, template and collator.  Commands in `others.json`, for machines that are not here, are
parsed by ms-swift's parser and no more: an unknown option or a value of a wrong kind fails.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main(target: Path, words: list[str]) -> None:
    import torch
    from safetensors.torch import save_file
    from swift.pipelines.train.sft import SwiftSft

    _parse_others(Path("others.json"))
    pipeline = SwiftSft(words)
    dataset, _ = pipeline._prepare_dataset()
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    places = {_identity(dataset.dataset[index]): index for index in range(len(dataset))}
    encoded = [dataset[places[_identity(row)]] for row in rows]
    batch: dict[str, Any] = pipeline.template.data_collator(encoded)
    kept = {name: value.contiguous() for name, value in batch.items() if torch.is_tensor(value)}
    save_file(kept, target)


def _parse_others(path: Path) -> None:
    from swift.arguments import RLHFArguments, SftArguments
    from swift.utils.utils import _patch_get_type_hints
    from transformers import HfArgumentParser

    with _patch_get_type_hints():
        kinds = {"sft": SftArguments, "rlhf": RLHFArguments}
        parsers = {name: HfArgumentParser([kind]) for name, kind in kinds.items()}
    for name, *words in json.loads(path.read_text()):
        parsers[name].parse_args(words)


def _identity(row: dict[str, Any]) -> tuple[str, ...]:
    first = row["videos"][0][0]
    return (first if isinstance(first, str) else str(first["path"]), row["messages"][0]["content"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[3:])

"""`manifest.json` beside every checkpoint: all it takes to know, and to make again, what it is.

Does: gather the facts of a training or a merge.  Does not: write the card (see card).
"""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune.base import BaseCheckpoint
from finetune.command import TrainingCommand
from finetune.progress import Progress
from finetune.recipe import Recipe
from mllm_affect.files import sha256_json
from mllm_affect.tasks.task import Task

RECORDED = ("mllm-affect", "ms-swift", "torch", "transformers", "peft", "deepspeed")
SNAPSHOT = re.compile(r"^models--(?P<owner>.+?)--(?P<name>.+)$")


def training_facts(
    recipe: Recipe,
    base: BaseCheckpoint,
    tasks: Sequence[Task],
    rows: Mapping[str, Any],
    steps: Sequence[Progress],
    seconds: float,
    command: TrainingCommand,
) -> dict[str, Any]:
    """Return what is known of a finished training.  `rows`: the manifest of its rows."""
    return {
        "recipe": json.loads(recipe.model_dump_json()),
        "base": base_facts(base),
        "rows": dict(rows),
        "rows_manifest_sha256": sha256_json(rows),
        "prompt_hashes": {task.id: task.prompt_hash for task in tasks},
        "seed": recipe.seed,
        "steps": steps[-1].done,
        "final_loss": steps[-1].loss,
        "seconds": round(seconds, 1),
        "command": {
            "arguments": ["swift", *command.arguments],
            "variables": dict(command.variables),
        },
        "versions": versions(),
    }


def base_facts(base: BaseCheckpoint) -> dict[str, Any]:
    """Return name, revision (None where the folder does not tell), folder and hash of a base."""
    name, revision = name_and_revision(base.folder)
    return {
        "name": name,
        "revision": revision,
        "folder": str(base.folder),
        "sha256": base.fingerprint(),
    }


def name_and_revision(folder: Path) -> tuple[str, str | None]:
    """Return what a checkpoint is called, and its commit where the folder lies in a hub's cache."""
    if folder.parent.name == "snapshots":
        found = SNAPSHOT.match(folder.parent.parent.name)
        if found:
            return f"{found['owner']}/{found['name']}", folder.name
    return folder.name, None


def versions() -> dict[str, str]:
    """Return the versions of the packages that a training depends on, those there are."""
    found = {}
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

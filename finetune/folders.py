"""Checkpoint folders that are written whole or not at all.

Does: make a new folder through a temporary neighbour, copy what describes a checkpoint, and
gather a full-parameter training's result.  Does not: change weights.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mllm_affect.errors import UserError
from mllm_affect.files import write_json

WEIGHTS = ".safetensors"
INDEX = "model.safetensors.index.json"
NOT_COPIED = (WEIGHTS, ".bin", ".pt", ".pth", ".pkl", ".py")
OWN_FILES = ("manifest.json", "mllm_affect.json", "args.json")


def refuse_existing(target: Path) -> None:
    """Raise UserError `out_exists` for a place that holds something."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError("out_exists", f"{target} exists already; name a new folder.")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`; on success it is synced and renamed to `target`.

    On an exception nothing stays.  Raises UserError `out_exists` when `target` holds something.
    """
    refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield temporary
        for path in temporary.iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
        temporary.chmod(0o755)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def copy_description(base: Path, target: Path) -> None:
    """Copy what describes a checkpoint (configuration, processor, chat format), no weights."""
    for path in sorted(base.iterdir()):
        described = path.is_file() and path.suffix not in NOT_COPIED and path.name[0] != "."
        if described and path.name not in OWN_FILES:
            shutil.copyfile(path, target / path.name)


def gather_full(trained: Path, base: Path, target: Path) -> None:
    """Write a new checkpoint folder `target`: weights of `trained`, everything else of `base`.

    The base's description is kept because vLLM reads keys of it that transformers drops on
    saving.  Weights of speech output are not trained and not written; the configuration says so.
    """
    with new_folder(target) as temporary:
        copy_description(base, temporary)
        (temporary / INDEX).unlink(missing_ok=True)
        for path in (*sorted(trained.glob(f"*{WEIGHTS}")), trained / INDEX):
            if path.is_file():
                shutil.copyfile(path, temporary / path.name)
        config = json.loads((temporary / "config.json").read_text(encoding="utf-8"))
        if config.get("enable_audio_output", True):
            write_json(temporary / "config.json", config | {"enable_audio_output": False})

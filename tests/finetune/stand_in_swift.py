"""A program in the place of ms-swift that goes wrong in the way that STAND_IN names."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from finetune.resuming.seals import seal

ROWS = "train_dataset: Dataset({\n    features: ['messages'],\n    num_rows: %d\n})"
STEPS = 4


def main() -> None:
    kind = os.environ["STAND_IN"]
    output = Path(sys.argv[sys.argv.index("--output_dir") + 1])
    if kind == "fails":
        raise RuntimeError("no kernel for this device")
    rows = len(Path("rows.jsonl").read_text().splitlines())
    sys.stdout.write(ROWS % (rows - 1 if kind == "drops a row" else rows))
    sys.stdout.flush()
    if kind in ("is killed", "goes on", "is orphaned"):
        train(kind, output)
        return
    log(output, 1)
    if kind == "fails late":
        (output / "checkpoint-1").mkdir()
        sys.exit(3)


def train(kind: str, output: Path) -> None:
    """Save every other step; the weights are the numbers of the steps behind them."""
    weights = ""
    if "--resume_from_checkpoint" in sys.argv:
        from_folder = Path(sys.argv[sys.argv.index("--resume_from_checkpoint") + 1])
        weights = (from_folder / "adapter_model.safetensors").read_text()
    for step in range(len(weights) + 1, STEPS + 1):
        weights += str(step)
        log(output, step)
        if step == STEPS - 1 and kind == "is killed":
            torn = save(output, step, weights)
            (torn / "sealed.json").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if step == STEPS - 1 and kind == "is orphaned":
            time.sleep(120)
        if step % 2 == 0:
            save(output, step, weights)


def save(output: Path, step: int, weights: str) -> Path:
    folder = output / f"checkpoint-{step}"
    if "STAND_IN_ADAPTER" in os.environ:
        shutil.copytree(os.environ["STAND_IN_ADAPTER"], folder)
    else:
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_text(weights)
    state = {"global_step": step, "max_steps": STEPS}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    seal(folder)
    return folder


def log(output: Path, step: int) -> None:
    record = {"loss": 1.0, "global_step/max_steps": f"{step}/{STEPS}", "train_speed(s/it)": 0.1}
    with (output / "logging.jsonl").open("a") as lines:
        lines.write(json.dumps(record) + "\n")


main()

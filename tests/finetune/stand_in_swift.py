"""A program in the place of ms-swift that goes wrong in the way that STAND_IN names."""

import json
import os
import sys
from pathlib import Path

ROWS = "train_dataset: Dataset({\n    features: ['messages'],\n    num_rows: %d\n})"


def main() -> None:
    kind = os.environ["STAND_IN"]
    output = Path(sys.argv[sys.argv.index("--output_dir") + 1])
    if kind == "fails":
        raise RuntimeError("no kernel for this device")
    rows = len(Path("rows.jsonl").read_text().splitlines())
    sys.stdout.write(ROWS % (rows - 1 if kind == "drops a row" else rows))
    step = {"loss": 1.0, "global_step/max_steps": "1/4", "train_speed(s/it)": 0.1}
    (output / "logging.jsonl").write_text(json.dumps(step) + "\n")
    if kind == "fails late":
        (output / "checkpoint-1").mkdir()
        sys.exit(3)


main()

"""Predictions on disk, written clip by clip, so that a stopped run can go on.

Does: append the rows of whole clips to one file, read them again under the same settings.
Does not: ask a model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.megc.predictions import Predicted, read_predicted
from mllm_affect.data.megc.question_files import RowKey
from mllm_affect.errors import UserError
from mllm_affect.files import write_json, write_text

FILE_NAME, SETTINGS_NAME = "predictions.jsonl", "settings.json"


class PredictionLog:
    """The rows answered so far, in `done`; the rows of a clip are written together or not at all.

    Raises UserError `other_run` when the folder holds answers made under other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Open or take up the log in `folder`."""
        self.path = folder / FILE_NAME
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / SETTINGS_NAME
        stated = json.loads(json.dumps(dict(settings)))
        if self.path.exists():
            differ = _differences(kept, stated)
            if differ:
                raise UserError(
                    "other_run",
                    f"{folder} holds predictions made under other settings ({', '.join(differ)} "
                    "differ); give another --out or remove that folder.",
                )
        write_json(kept, stated)
        self.done = self._take_up()

    def append(self, rows: Sequence[Predicted]) -> None:
        """Add the rows of one clip (at least one) and keep them, whatever happens next."""
        lines = [json.dumps(asdict(row), ensure_ascii=False) for row in rows]
        lines[-1] = json.dumps(asdict(rows[-1]) | {"last": True}, ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write("".join(line + "\n" for line in lines))
        self.done |= {row.key: row for row in rows}

    def _take_up(self) -> dict[RowKey, Predicted]:
        """Drop what was cut short by a stop: everything after the last whole clip."""
        if not self.path.exists():
            return {}
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        while lines and not (lines[-1].endswith("\n") and '"last": true' in lines[-1]):
            lines.pop()
        write_text(self.path, "".join(lines))
        return read_predicted([self.path])


def _differences(path: Path, stated: Mapping[str, Any]) -> list[str]:
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [SETTINGS_NAME]
    return sorted(name for name in {*old, *stated} if old.get(name) != stated.get(name))

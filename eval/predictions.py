"""The predictions file: one JSON line a video, everything that metrics and exports need.

Does: describe, read and append rows; tell which videos still lack one.  Does not: run a model or
compute metrics.

Next to `predictions.jsonl` lies `run.json`, the settings that the answers depend on.  A run that
was stopped goes on where it ended, but never under other settings.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError
from mllm_affect.files import lines_of, write_json, write_jsonl
from mllm_affect.safe_text import json_text

FILE_NAME = "predictions.jsonl"
SETTINGS_NAME = "run.json"
MISSING = "missing: no prediction for this video"


@dataclass(frozen=True)
class SegmentPrediction:
    """One segment's answer; times in seconds on the video's own timestamps."""

    index: int
    start_s: float
    end_s: float
    answer: str | None
    probabilities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """One video's answer beside its label, None where nobody has told it.

    `answer` is None when the model gave none of the allowed answers or the video could not be
    asked about; `problem` then says why.  `probabilities` are the pooled ones, empty when there
    is no usable answer.  `positive` names the answer that the task is about, if it has one, and
    `threshold` what its probability had to reach.  `abstained`: the model would rather not answer;
    `answer` then is what it would have said.  `uncalibrated` are the probabilities as pooled, and
    `calibration` is the id of what calibrated them, if anything did, `temperature` and `bias` how;
    segments' probabilities are the model's own (see segment_scale).  `topic` is what the person was
    asked, where known.
    """

    video: str
    participant: str
    split: str
    task: str
    label: str | None
    answer: str | None
    classes: tuple[str, ...]
    positive: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    threshold: float | None = None
    abstained: bool = False
    topic: str | None = None
    uncalibrated: Mapping[str, float] = field(default_factory=dict)
    calibration: str | None = None
    temperature: float | None = None
    bias: float | None = None
    segments: tuple[SegmentPrediction, ...] = ()

    @property
    def unparsed(self) -> bool:
        """Whether there is no usable answer; it counts as wrong."""
        return self.answer is None

    @property
    def missing(self) -> bool:
        """Whether the video was expected and nothing was said about it."""
        return self.problem == MISSING

    @property
    def right(self) -> bool:
        """Whether the answer is the label and was given without reserve."""
        return self.answer == self.label and not self.abstained


def as_row(prediction: Prediction) -> dict[str, Any]:
    """Return the JSON form of a prediction."""
    return {**asdict(prediction), "unparsed": prediction.unparsed}


def from_row(row: Mapping[str, Any]) -> Prediction:
    """Rebuild a prediction from its JSON form.  Raises KeyError, TypeError or ValueError."""
    values = {name: row[name] for name in Prediction.__dataclass_fields__ if name in row}
    values["classes"] = tuple(row["classes"])
    values["segments"] = tuple(SegmentPrediction(**item) for item in row.get("segments", ()))
    prediction = Prediction(**values)
    if prediction.label is not None and prediction.label not in prediction.classes:
        raise ValueError(f"label {prediction.label!r} is none of {list(prediction.classes)}")
    return prediction


def read_predictions(path: Path) -> list[Prediction]:
    """Read a predictions file.

    Raises UserError `missing_predictions` or `bad_predictions` (not JSON, a field missing, two
    rows for one video and task).
    """
    if not path.is_file():
        raise UserError(
            "missing_predictions",
            f"No predictions file at {path}; `mllm-affect evaluate` writes one.",
        )
    predictions: list[Prediction] = []
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
        if not line.strip():
            continue
        try:
            prediction = from_row(json.loads(line))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(
                "bad_predictions", f"{path} line {number} is not a prediction ({reason})."
            ) from error
        key = (prediction.video, prediction.task)
        if key in seen:
            raise UserError(
                "bad_predictions", f"{path} line {number} answers for {key[0]} a second time."
            )
        seen.add(key)
        predictions.append(prediction)
    return predictions


def settings_beside(predictions: Path) -> dict[str, Any]:
    """Return the settings of the run that wrote the predictions; empty where they are not known.

    Raises UserError `bad_predictions` for settings that cannot be read.
    """
    path = predictions.parent / SETTINGS_NAME
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError("bad_predictions", f"{path} is not JSON; evaluate again.") from error
    return settings if isinstance(settings, dict) else {}


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write a whole predictions file at once."""
    write_jsonl(path, (as_row(prediction) for prediction in predictions))


def refuse_unlabelled(predictions: Iterable[Prediction], purpose: str) -> None:
    """Raise UserError `unlabelled_predictions` where a label is not known.

    `purpose`: what cannot be done without, as in "nothing can be scored".
    """
    labels = [item.label for item in predictions]
    missing = labels.count(None)
    if missing:
        raise UserError(
            "unlabelled_predictions",
            f"{missing} of {len(labels)} predictions have no label, so {purpose}; give --data with "
            "labels, or export them.",
        )


class PredictionsLog:
    """A predictions file that grows row by row and can be taken up again after a stop.

    Each row is one whole line; a line cut short by a crash is dropped when the log is reopened.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Open or take up the log in `folder`.

        Raises UserError `other_run` when the folder holds answers under other settings.
        """
        self.path = folder / FILE_NAME
        folder.mkdir(parents=True, exist_ok=True)
        settings_path = folder / SETTINGS_NAME
        if self.path.exists() and _differences(settings_path, settings):
            raise UserError(
                "other_run",
                f"{folder} holds predictions made under other settings "
                f"({', '.join(_differences(settings_path, settings))} differ); "
                "give another --out or remove that folder.",
            )
        write_json(settings_path, dict(settings))
        self.done = self._take_up()

    def append(self, prediction: Prediction) -> None:
        """Add one row and keep it, whatever happens next."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json_text(as_row(prediction)) + "\n")
        self.done[prediction.video] = prediction

    def _take_up(self) -> dict[str, Prediction]:
        if not self.path.exists():
            return {}
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            write_jsonl(self.path, [json.loads(line) for line in lines_of(whole)])
        return {prediction.video: prediction for prediction in read_predictions(self.path)}


def _differences(settings_path: Path, settings: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ from those in the file."""
    try:
        old = json.loads(settings_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [SETTINGS_NAME]
    new = json.loads(json.dumps(dict(settings)))
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))

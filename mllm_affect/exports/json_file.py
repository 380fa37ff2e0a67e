"""An analysed video as one JSON file that can be read back.

Does: write all answers and events, read such a file or a single answer's.  Does not: convert.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mllm_affect.errors import UserError
from mllm_affect.exports.analysis import NOTICE, Analysis
from mllm_affect.media.observed import Observed
from mllm_affect.safe_text import json_text
from mllm_affect.scoring.answers import VideoAnswer
from mllm_affect.scoring.event_timeline import timeline_rows
from mllm_affect.scoring.video_events import Event

FORMAT = "mllm-affect-analysis"
VERSION = 1
OBSERVED = TypeAdapter(tuple[Observed, ...])


def as_json(analysis: Analysis) -> bytes:
    """Return the file; `answers` are as the service sends them."""
    value = {
        "format": FORMAT,
        "version": VERSION,
        "notice": NOTICE,
        "video": analysis.video,
        "answers": [answer.as_dict() for answer in analysis.answers],
        "events": timeline_rows(analysis.events),
        "observed": [asdict(one) for one in analysis.observed],
    }
    return (json_text(value, indent=2) + "\n").encode()


def read_export(path: Path) -> Analysis:
    """Read what `as_json` wrote, or one answer as `mllm-affect ask --json` prints it.

    A single answer does not name its video; then the file's name does.
    Raises UserError `answers_not_found` or `bad_answers`, and as Analysis does.
    """
    if not path.is_file():
        raise UserError("answers_not_found", f"No answers at {path}; check the path.")
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
        if value.get("format") != FORMAT:
            return Analysis(path.stem, (VideoAnswer.model_validate(value),))
        answers = tuple(map(VideoAnswer.model_validate, value["answers"]))
        events = tuple(map(_event, value["events"]))
        observed = OBSERVED.validate_python(value["observed"])
        return Analysis(str(value["video"]), answers, events, observed)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            "bad_answers",
            f"{path} holds no answers; give what `mllm-affect ask --json` printed, or an export.",
        ) from error


def _event(row: dict[str, Any]) -> Event:
    return Event(
        onset_s=float(row["onset_s"]),
        apex_s=float(row["apex_s"]),
        offset_s=float(row["offset_s"]),
        probability=float(row["probability"]),
        type=row["type"],
        units=dict(row["action_units"]),
    )

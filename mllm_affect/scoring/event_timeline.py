"""Events of a long video as a timeline for others: JSON, CSV and WebVTT captions.

Does: write texts.  Does not: write files or choose events.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mllm_affect.data.megc.vocabulary import in_order, join_units
from mllm_affect.safe_text import csv_bytes, json_text
from mllm_affect.scoring.video_events import Event

COLUMNS = ("event", "type", "onset_s", "apex_s", "offset_s", "probability", "action_units")

SHOWN_FROM = 0.5
"""Action units at or above this probability are named in CSV and captions; JSON has them all."""


def timeline_rows(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return one plain dict an event, numbered from 1 by onset, times to the millisecond."""
    return [
        {
            "event": number,
            "type": event.type,
            "onset_s": round(event.onset_s, 3),
            "apex_s": round(event.apex_s, 3),
            "offset_s": round(event.offset_s, 3),
            "probability": round(event.probability, 4),
            "action_units": {name: round(event.units[name], 4) for name in in_order(event.units)},
        }
        for number, event in enumerate(sorted(events, key=lambda item: item.onset_s), start=1)
    ]


def timeline_json(events: Sequence[Event], video: str) -> str:
    """Return the timeline as one JSON object."""
    value = {"video": video, "events": timeline_rows(events)}
    return json_text(value, indent=2) + "\n"


def timeline_csv(events: Sequence[Event]) -> bytes:
    """Return the timeline as CSV, one row an event."""
    return csv_bytes(
        COLUMNS,
        (row | {"action_units": _shown(row["action_units"])} for row in timeline_rows(events)),
    )


def timeline_webvtt(events: Sequence[Event]) -> str:
    """Return captions (W3C WebVTT) that name each event while it lasts."""
    cues = ["WEBVTT"]
    for row in timeline_rows(events):
        units = _shown(row["action_units"])
        words = f"{row['type']}, probability {row['probability']:.2f}"
        # A cue must end after it starts; a movement of one instant still gets a millisecond.
        end_s = max(row["offset_s"], row["onset_s"] + 0.001)
        cues.append(
            f"{row['event']}\n{webvtt_time(row['onset_s'])} --> {webvtt_time(end_s)}\n"
            f"{words}{': ' + units if units else ''}"
        )
    return "\n\n".join(cues) + "\n"


def _shown(units: Mapping[str, float]) -> str:
    return join_units(name for name, probability in units.items() if probability >= SHOWN_FROM)


def webvtt_time(time_s: float) -> str:
    """Return seconds as WebVTT writes them, `01:02:03.004`; nothing is before zero."""
    milliseconds = max(0, round(time_s * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"

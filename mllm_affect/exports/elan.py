"""Answers as tiers of ELAN's annotation format (EAF 3.0), for people who annotate.

Does: tiers for each task's answers and probabilities, its positive stretches, speech pauses and
expressions; times in milliseconds from the first frame.  Does not: read annotations.

Format: Max Planck Institute for Psycholinguistics, "EAF Annotation Format 3.0".  Annotations of one
tier may touch, not overlap, and last at least a millisecond; ids are unique in the document.
"""

import mimetypes
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mllm_affect import __version__
from mllm_affect.exports.analysis import NOTICE, Analysis, stretches
from mllm_affect.safe_text import xml_text
from mllm_affect.scoring.answers import VideoAnswer

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
KIND = "model output"
"""Name of the one linguistic type: tiers aligned to the video's time."""
ANY_VIDEO = "video/*"


Mark = tuple[float, float, str]
"""From when to when in seconds on the video's own timestamps, and what stands there."""


@dataclass(frozen=True)
class Annotation:
    """What stands on a tier, in milliseconds from the first frame."""

    start_ms: int
    end_ms: int
    value: str


def as_eaf(analysis: Analysis, made: datetime | None = None) -> bytes:
    """Return the document; `made` (now, if not given) is the date that it carries."""
    tiers = dict(_tiers(analysis))
    document = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": f"mllm-affect {__version__}",
            "DATE": (made or datetime.now(UTC)).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": SCHEMA,
        },
    )
    _add_header(document, analysis, sum(map(len, tiers.values())))
    _add_annotations(document, tiers)
    kind = {"LINGUISTIC_TYPE_ID": KIND, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    SubElement(document, "LINGUISTIC_TYPE", kind)
    indent(document, "  ")
    text: bytes = tostring(document, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_header(document: Element, analysis: Analysis, annotations: int) -> None:
    header = SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    place = quote(xml_text(analysis.video))
    media = {
        "MEDIA_URL": f"file:///{place}",
        "MIME_TYPE": mimetypes.guess_type(analysis.video)[0] or ANY_VIDEO,
        "RELATIVE_MEDIA_URL": f"./{place}",
    }
    SubElement(header, "MEDIA_DESCRIPTOR", media)
    told = {
        "URN": f"urn:nl-mpi-tools-elan-eaf:{uuid.uuid4()}",
        "lastUsedAnnotationId": str(annotations),
        "notice": NOTICE,
        "models": ", ".join(dict.fromkeys(answer.model for answer in analysis.answers)),
    }
    for name, value in told.items():
        SubElement(header, "PROPERTY", {"NAME": name}).text = xml_text(value)


def _add_annotations(document: Element, tiers: Mapping[str, Sequence[Annotation]]) -> None:
    order = SubElement(document, "TIME_ORDER")
    times = sorted({ms for tier in tiers.values() for a in tier for ms in (a.start_ms, a.end_ms)})
    slots = {ms: f"ts{number}" for number, ms in enumerate(times, start=1)}
    for ms, slot in slots.items():
        SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(ms)})
    numbers = count(1)
    for name, annotations in tiers.items():
        tier = SubElement(document, "TIER", {"TIER_ID": name, "LINGUISTIC_TYPE_REF": KIND})
        for annotation in annotations:
            aligned = {
                "ANNOTATION_ID": f"a{next(numbers)}",
                "TIME_SLOT_REF1": slots[annotation.start_ms],
                "TIME_SLOT_REF2": slots[annotation.end_ms],
            }
            holder = SubElement(SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", aligned)
            SubElement(holder, "ANNOTATION_VALUE").text = annotation.value


def _tiers(analysis: Analysis) -> Iterator[tuple[str, list[Annotation]]]:
    """Yield each tier's name and annotations; what overlaps on one tier goes on to a further.

    No two tiers have one name, however tasks and answers are called.
    """
    used: set[str] = set()
    for name, marks in _marked(analysis):
        lanes: list[list[Annotation]] = []
        for annotation in _placed(marks, analysis.origin_s):
            free = (lane for lane in lanes if lane[-1].end_ms <= annotation.start_ms)
            lane = next(free, None)
            if lane is None:
                lanes.append([annotation])
            else:
                lane.append(annotation)
        for lane in lanes:
            yield _unused(" ".join(xml_text(name).split()), used), lane


def _unused(name: str, used: set[str]) -> str:
    """Return the name, or else with the first number that makes it a new one; note it as used."""
    numbered = (f"{name} ({number})" for number in count(2))
    found = name if name not in used else next(one for one in numbered if one not in used)
    used.add(found)
    return found


def _placed(marks: Iterable[Mark], origin_s: float) -> list[Annotation]:
    """Return annotations in order of time; one lasts at least a millisecond."""
    placed = []
    for start_s, end_s, value in marks:
        start_ms = max(0, round((start_s - origin_s) * 1000))
        end_ms = max(start_ms + 1, round((end_s - origin_s) * 1000))
        placed.append(Annotation(start_ms, end_ms, xml_text(value)))
    return sorted(placed, key=lambda item: (item.start_ms, item.end_ms))


def _marked(analysis: Analysis) -> Iterator[tuple[str, list[Mark]]]:
    """Yield what each tier is called and what stands on it; two may be called alike."""
    for told in analysis.answers:
        yield from _marked_by(told)
    yield "speech", [(span.start_s, span.end_s, "speech") for span in analysis.speech()]
    yield "pauses", [(span.start_s, span.end_s, "pause") for span in analysis.pauses()]
    yield (
        "expressions",
        [
            (event.onset_s, event.offset_s, f"{event.type} {event.probability:.2f}")
            for event in analysis.events
        ],
    )


def _marked_by(told: VideoAnswer) -> Iterator[tuple[str, list[Mark]]]:
    yield told.task, [(part.start_s, part.end_s, part.answer) for part in told.segments]
    shown = told.positive
    if shown is None:
        return
    yield (
        f"{told.task} p({shown})",
        [
            (part.start_s, part.end_s, f"{part.probabilities[shown]:.3f}")
            for part in told.segments
            if shown in part.probabilities
        ],
    )
    yield (
        f"{told.task} stretches",
        [(stretch.start_s, stretch.end_s, stretch.answer) for stretch in stretches(told)],
    )

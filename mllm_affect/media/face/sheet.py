"""A picture of what was found, for people to look at before they read.

Does: draw box, landmarks and crop of a moment of each segment; write faces.jsonl.
Does not: find faces.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mllm_affect.files import replacing, write_jsonl
from mllm_affect.media.face.types import FaceTrack
from mllm_affect.media.types import Segment, Source

FILE_NAME = "faces.jsonl"
SHEET_NAME = "faces.png"
ROW_HEIGHT = 192
MOST_ROWS = 24
"""Longer videos show as many segments, evenly chosen."""

BOX, POINT, WORD = (70, 220, 90), (255, 90, 60), (235, 235, 235)

Shown = tuple[NDArray[np.uint8], float]
"""A picture of a segment (HWC uint8 RGB) and its time in seconds."""


def face_row(segment: Segment, track: FaceTrack) -> dict[str, Any]:
    """Return what is written of one segment: everything but the pictures, None for not seen."""
    return {
        "segment": segment.index,
        "start_s": segment.start_s,
        "end_s": segment.end_s,
        "absence": track.absence,
        "quality": asdict(track.quality),
        "people": [asdict(person) for person in track.people],
        "frames": [
            {"time_s": time_s, "score": score, "looked": looked, "box": box, "points": points}
            for time_s, score, looked, box, points in zip(
                track.times_T.tolist(),
                track.scores_T.round(4).tolist(),
                track.looked_T.tolist(),
                _rounded(track.boxes_T4),
                _rounded(track.points_T52),
                strict=True,
            )
        ],
    }


def write_faces(
    folder: Path, tracks: Sequence[tuple[Segment, FaceTrack, Shown]], source: Source
) -> tuple[Path, Path]:
    """Write faces.jsonl and faces.png into a folder."""
    table, sheet = folder / FILE_NAME, folder / SHEET_NAME
    write_jsonl(table, (face_row(segment, track) for segment, track, _ in tracks))
    picture = contact_sheet(tracks, source)
    with replacing(sheet) as temporary:
        picture.save(temporary, format="PNG")
    return table, sheet


def contact_sheet(
    tracks: Sequence[tuple[Segment, FaceTrack, Shown]], source: Source
) -> Image.Image:
    """Return one row a segment: the picture with box and landmarks, the crop, the measures."""
    chosen = np.unique(np.linspace(0, len(tracks) - 1, min(len(tracks), MOST_ROWS)).astype(int))
    rows = [_row(tracks[place], source) for place in chosen]
    sheet = Image.new("RGB", (max(row.width for row in rows), ROW_HEIGHT * len(rows)))
    for place, row in enumerate(rows):
        sheet.paste(row, (0, ROW_HEIGHT * place))
    return sheet


def _row(found: tuple[Segment, FaceTrack, Shown], source: Source) -> Image.Image:
    segment, track, (picture_HWC, time_s) = found
    wide = round(source.width * ROW_HEIGHT / source.height)
    row = Image.new("RGB", (wide + ROW_HEIGHT + 260, ROW_HEIGHT - 2), (24, 24, 28))
    row.paste(Image.fromarray(picture_HWC).resize((wide, ROW_HEIGHT)), (0, 0))
    draw = ImageDraw.Draw(row)
    place = int(np.abs(track.times_T - time_s).argmin())
    if track.seen[place]:
        _draw_face(draw, track, place, ROW_HEIGHT / source.height)
    at = np.flatnonzero(track.crop_frames_N == place)
    if len(at):
        crop = Image.fromarray(track.crops_NHWC[at[0]]).resize((ROW_HEIGHT, ROW_HEIGHT))
        row.paste(crop, (wide, 0))
    draw.multiline_text((wide + ROW_HEIGHT + 12, 12), _words(segment, track), fill=WORD, spacing=6)
    return row


def _draw_face(draw: ImageDraw.ImageDraw, track: FaceTrack, place: int, scale: float) -> None:
    left, top, right, bottom = (track.boxes_T4[place] * scale).tolist()
    draw.rectangle((left, top, right, bottom), outline=BOX, width=2)
    for x, y in (track.points_T52[place] * scale).tolist():
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=POINT)


def _words(segment: Segment, track: FaceTrack) -> str:
    quality = track.quality
    lines = [f"segment {segment.index}: {segment.start_s:.2f} to {segment.end_s:.2f} s"]
    if track.absence:
        lines.append(track.absence.replace("_", " "))
    lines += [
        f"face in {quality.share:.0%} of {len(track.times_T)} frames",
        f"mean score {quality.mean_score:.2f}",
        f"size {quality.size:.0f} px",
        f"sharpness {quality.sharpness:.0f}, brightness {quality.brightness:.0f}",
        f"people {len(track.people)}, several in {quality.several_share:.0%}",
    ]
    return "\n".join(lines)


def _rounded(places: NDArray[np.float64]) -> list[Any]:
    """Return one list a frame, None where it is not seen."""
    return [None if np.isnan(one).any() else one.round(2).tolist() for one in places]

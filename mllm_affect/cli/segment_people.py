"""What `segment --faces --speech --transcript` writes about the people in a video.

Does: read the segments once for all that was asked, write faces.jsonl and faces.png, speech.jsonl,
said.jsonl.  Does not: cut, or find anything itself.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mllm_affect.cli.common import err
from mllm_affect.cli.progress import progress
from mllm_affect.files import write_jsonl
from mllm_affect.media.types import Segment, Source


def write_people(
    source: Source,
    segments: Sequence[Segment],
    out_dir: Path,
    faces: bool,
    speech: bool,
    transcript: Path | None,
    *,
    trusted: bool,
    show: bool,
) -> None:
    """Write what was asked for.  Raises UserError before anything is written for bad input."""
    said = _said(transcript, segments, show) if transcript is not None else None
    if faces or speech:
        _write_seen_and_heard(source, segments, out_dir, faces, speech, trusted=trusted, show=show)
    if said is not None:
        write_jsonl(out_dir / "said.jsonl", said)


def _said(transcript: Path, segments: Sequence[Segment], show: bool) -> list[dict[str, object]]:
    from mllm_affect.media.speech.said_in_segments import said_in_segments
    from mllm_affect.media.speech.transcript_files import read_transcript

    # Its clock begins where the video does.
    origin_s = segments[0].start_s
    told = read_transcript(transcript, duration_s=segments[-1].end_s - origin_s)
    if show:
        times = f"{len(told.chunks)} pieces" if told.chunks else "no times"
        err.print(f"Transcript: {times}, {told.repairs.sentence()}", highlight=False)
    if not told.chunks:
        return [{"segment": None, "text": told.text}]
    return [
        {"segment": segment.index, "pieces": [asdict(piece) for piece in pieces]}
        for segment, pieces in zip(
            segments, said_in_segments(told, segments, origin_s), strict=True
        )
    ]


def _write_seen_and_heard(
    source: Source,
    segments: Sequence[Segment],
    out_dir: Path,
    faces: bool,
    speech: bool,
    *,
    trusted: bool,
    show: bool,
) -> None:
    from mllm_affect.media.face.part import FacePart
    from mllm_affect.media.face.sheet import write_faces
    from mllm_affect.media.parts import AnyPart
    from mllm_affect.media.speech.activity import SpeechPart
    from mllm_affect.media.types import Sampling
    from mllm_affect.media.video import open_video

    seen, heard = FacePart(), SpeechPart()
    parts: list[AnyPart] = [*([seen] if faces else []), *([heard] if speech else [])]
    tracks, activities = [], []
    with (
        progress("Looking and listening", show=show) as advance,
        open_video(source, trusted=trusted, parts=parts) as opened,
    ):
        for done, clip in enumerate(opened.read_segments(segments, Sampling()), start=1):
            if faces:
                middle = (len(clip.times_T) - 1) // 2
                shown = (clip.frames_THWC[middle], float(clip.times_T[middle]))
                tracks.append((clip.segment, clip.parts[seen], shown))
            if speech:
                activities.append({"segment": clip.segment.index, **asdict(clip.parts[heard])})
            advance(done, len(segments))
    if faces:
        write_faces(out_dir, tracks, source)
    if speech:
        write_jsonl(out_dir / "speech.jsonl", activities)

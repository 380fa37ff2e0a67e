"""Checking the videos of a release and every time that is stated about them.

Does: find and decode each listed video, hold annotated times and transcripts against its length.
Does not: compare labels (see checks).
"""

from collections.abc import Callable, Iterator

from mllm_affect.data.bah.annotation import Annotation
from mllm_affect.data.bah.findings import Finding, Verdict
from mllm_affect.data.bah.release import Release
from mllm_affect.errors import UserError
from mllm_affect.media.speech.transcript import RawChunk, Transcript, one_timeline
from mllm_affect.media.types import Source
from mllm_affect.media.video import Video, following_links, open_video

TOLERANCE_S = 0.5
"""A stated time may lie so much after the end: annotation tools and containers round."""

COMPLETE = 0.9
"""A video decodes to its end when this share of the length it states comes out."""


def check_videos(
    release: Release, decode: bool, trusted: bool, progress: Callable[[int, int], None]
) -> list[Verdict]:
    """Return the verdicts on the videos' files and on the clocks of what is said about them."""
    files: list[Finding] = []
    clocks: list[Finding] = []
    rows = {row.key: row for row in release.rows}
    for done, (key, row) in enumerate(rows.items()):
        progress(done, len(rows))
        path = release.videos.get(key)
        if path is None:
            files.append(Finding("missing_clip", row.written, "is listed and not on disk"))
            continue
        try:
            with open_video(following_links(release.folder / path), trusted=trusted) as video:
                files += _decoded(video, row.written) if decode else ()
                annotation = release.annotations.get(key)
                clocks += _clocks(row.written, annotation, video.source) if annotation else ()
                end_s = _end_s(video.source)
                said = _said(annotation, end_s) or release.transcripts.read.get(key)
                clocks += _transcript_clock(row.written, said, end_s) if said else ()
        except UserError as error:
            files.append(
                Finding("undecodable_clip", row.written, f"{error.code}: {error.sentence}")
            )
    progress(len(rows), len(rows))
    unlisted = [path for key, path in release.videos.items() if key not in rows]
    if unlisted:
        sentence = f"{len(unlisted)} videos on disk are in no split"
        files.append(Finding("unlisted_clip", unlisted[0], sentence, fault=False))
    how = "decodes to its end" if decode else "opens"
    return [
        Verdict(f"every listed video {how}", len(rows), tuple(files)),
        Verdict("times lie within their videos", len(rows), tuple(clocks)),
    ]


def _decoded(video: Video, written: str) -> Iterator[Finding]:
    segments = video.segment()
    seconds, stated_s = sum(part.duration_s for part in segments), video.source.duration_s
    if seconds < COMPLETE * stated_s:
        sentence = f"states {stated_s:.1f} s and decodes to {seconds:.1f} s"
        yield Finding("undecodable_clip", written, sentence)


def _clocks(written: str, annotation: Annotation, source: Source) -> Iterator[Finding]:
    end_s = _end_s(source)
    before_s = 0.0
    for start_s, stop_s in annotation.spans_s:
        if stop_s < start_s or start_s < before_s:
            sentence = f"has an A/H span {start_s:.3f} to {stop_s:.3f} s that goes back in time"
            yield Finding("clock_restarted", written, sentence)
        if stop_s > end_s:
            sentence = f"has an A/H span to {stop_s:.3f} s and is {source.duration_s:.3f} s long"
            yield Finding("past_the_end", written, sentence)
        before_s = start_s
    last_frame = max((last for _, last in annotation.frame_spans), default=0)
    last_frame = max(last_frame, max((run[1] for run in annotation.frame_runs), default=0))
    # A bound on the number of frames, not a time of any of them.
    most = end_s * source.average_fps + 1
    if source.average_fps and last_frame > most:
        sentence = f"has labels up to frame {last_frame} and about {most:.0f} frames"
        yield Finding("past_the_end", written, sentence)


def _end_s(source: Source) -> float:
    """Return the latest time that may be stated about a video."""
    return source.start_s + source.duration_s + TOLERANCE_S


def _said(annotation: Annotation | None, end_s: float) -> Transcript | None:
    """Return the annotations' transcript on one timeline, None where they hold no words."""
    if annotation is None or not annotation.words:
        return None
    raw = [RawChunk(item.text, item.start_s, item.end_s) for item in annotation.words]
    return one_timeline(raw, end_s)


def _transcript_clock(written: str, said: Transcript, end_s: float) -> Iterator[Finding]:
    cut = said.repairs.beyond_end
    beyond = cut + sum(chunk.end_s > end_s for chunk in said.chunks)
    if beyond:
        sentence = f"has {beyond} chunks of its transcript after its end"
        yield Finding("past_the_end", written, sentence)
    if said.repairs.restarts:
        restarts = said.repairs.restarts
        sentence = f"has a transcript whose clock restarts {restarts} times; it is mended"
        yield Finding("clock_restarted", written, sentence, fault=False)

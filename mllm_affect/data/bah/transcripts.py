"""What was said in a release's videos: from the annotations, else from the transcripts' own files.

Does: put the words of either onto one timeline; read `transcription/**/*.yml` of the videos whose
annotations hold no words.  Does not: judge the times (see video_checks).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mllm_affect.data.bah.annotation import Annotation
from mllm_affect.data.bah.layout import TRANSCRIPTS, VIDEO_SUFFIXES, key_of
from mllm_affect.errors import UserError
from mllm_affect.media.speech.transcript import Chunk, RawChunk, Transcript, one_timeline
from mllm_affect.media.speech.transcript_files import read_transcript

SUFFIXES = frozenset({".yml", ".yaml"})

TimedWords = tuple[tuple[float, float, str], ...]
"""Start and end in seconds, and the text, in order."""


@dataclass(frozen=True)
class FileTranscripts:
    """What was read by the video's key, and what is wrong with other files by their path."""

    read: Mapping[str, Transcript] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def words(self, key: str) -> TimedWords:
        """Return the words of one video, none where no file of its was read."""
        return _words(self.read[key].chunks) if key in self.read else ()


def timed_words(annotation: Annotation | None) -> TimedWords:
    """Return what was said when according to the annotations, its clock mended."""
    if annotation is None or not annotation.words:
        return ()
    raw = [RawChunk(item.text, item.start_s, item.end_s) for item in annotation.words]
    return _words(one_timeline(raw).chunks)


def read_files(folder: Path, keys: Iterable[str]) -> FileTranscripts:
    """Read the transcripts' files of the videos with these keys, where there are such files."""
    wanted = {_without_suffix(key): key for key in keys}
    read: dict[str, Transcript] = {}
    problems: dict[str, str] = {}
    for path in sorted((folder / TRANSCRIPTS).rglob("*")) if wanted else ():
        below = path.relative_to(folder / TRANSCRIPTS).as_posix()
        key = wanted.get(_without_suffix(key_of(below)))
        if key is None or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        try:
            read[key] = read_transcript(path)
        except UserError as error:
            problems[path.relative_to(folder).as_posix()] = error.sentence
    return FileTranscripts(read, problems)


def _words(chunks: Iterable[Chunk]) -> TimedWords:
    return tuple((round(chunk.start_s, 3), round(chunk.end_s, 3), chunk.text) for chunk in chunks)


def _without_suffix(key: str) -> str:
    """Return a key without the ending of a video's or a transcript's name."""
    path = PurePosixPath(key)
    known = path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES
    return path.with_suffix("").as_posix() if known else key

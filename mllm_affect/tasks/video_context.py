"""What is known about a video besides its pictures and sound, dealt to its clips.

Does: hold what was asked and said, take it from a labelled example, give every clip its part while
clips are read.  Does not: word it (context), read transcript files or repair their times.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from mllm_affect.data.examples import Example
from mllm_affect.files import sha256_json
from mllm_affect.media.speech.said_in_segments import said_in_segments
from mllm_affect.media.speech.transcript import RawChunk, Repairs, Transcript, one_timeline
from mllm_affect.media.types import Clip
from mllm_affect.tasks.context import NOTHING, ContextWording, Part, Told


@dataclass(frozen=True)
class VideoContext:
    """What the person was asked and what is said in the video; None where it is not known.

    The transcript's clock begins where the video does.
    """

    asked: str | None = None
    transcript: Transcript | None = None

    def known(self, part: Part) -> bool:
        """Whether a part can be told; the words of a segment need a transcript with times."""
        if part == "asked":
            return self.asked is not None
        if self.transcript is None:
            return False
        return part == "video" or bool(self.transcript.chunks) or not self.transcript.text

    def sha256_for(self, wording: ContextWording | None) -> str | None:
        """Return a hash of what this wording tells of it, None where it tells nothing."""
        parts = [part for part in wording.parts if self.known(part)] if wording else []
        told = {part: self._content(part) for part in parts}
        return sha256_json(told) if told else None

    def _content(self, part: Part) -> object:
        if part == "asked" or self.transcript is None:
            return self.asked
        if part == "video":
            return self.transcript.text
        return [asdict(chunk) for chunk in self.transcript.chunks]


UNKNOWN = VideoContext()


def context_of(example: Example) -> VideoContext:
    """Return what a labelled set says about one of its videos.

    The words and their times go through the same timeline as those of a file that is sent to the
    service, so that both tell the same.
    """
    raw = [RawChunk(text, start_s, end_s) for start_s, end_s, text in example.words]
    if raw:
        return VideoContext(example.asked, one_timeline(raw))
    said = example.transcript
    return VideoContext(example.asked, None if said is None else Transcript(said, (), Repairs()))


def told_with(
    clips: Iterable[Clip], wording: ContextWording | None, context: VideoContext
) -> Iterator[tuple[Clip, Told]]:
    """Yield every clip of one video, in order, with what can be told about it.

    Where the words of single segments are told, one clip is read ahead.
    """
    if wording is None:
        yield from ((clip, NOTHING) for clip in clips)
        return
    transcript = context.transcript
    whole = Told(asked=context.asked, video=None if transcript is None else transcript.text)
    if transcript is None or not ("segment" in wording.parts and context.known("segment")):
        yield from ((clip, whole) for clip in clips)
        return
    for clip, said in _with_words(clips, transcript):
        yield clip, Told(asked=whole.asked, segment=said, video=whole.video)


def _with_words(clips: Iterable[Clip], transcript: Transcript) -> Iterator[tuple[Clip, str]]:
    """Yield each clip with its words; where a segment's end, only its successor says for sure."""
    reading = iter(clips)
    before: Clip | None = None
    clip = next(reading, None)
    origin_s = clip.segment.start_s if clip else 0.0
    while clip is not None:
        after = next(reading, None)
        near = [item.segment for item in (before, clip, after) if item is not None]
        begins_s = clip.segment.start_s - origin_s if before else -math.inf
        ends_s = after.segment.start_s - origin_s if after else math.inf
        # A long transcript is not taken apart anew for every segment.
        about = [c for c in transcript.chunks if c.end_s >= begins_s and c.start_s <= ends_s]
        told = replace(transcript, chunks=tuple(about))
        said = said_in_segments(told, near, origin_s)[0 if before is None else 1]
        yield clip, " ".join(chunk.text for chunk in said)
        before, clip = clip, after

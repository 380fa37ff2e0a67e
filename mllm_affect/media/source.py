"""What a video, a segment and a sampling are.

Does: hold facts.  Does not: open files, or hold decoded content (see types).
Time is seconds as float on the video's own timestamps; frames are counted in decode order.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from mllm_affect.media.sampling.policy import UNIFORM, MotionPeak, SamplingPolicy
from mllm_affect.media.warnings import Warnings, from_json

AUDIO_RATE = 16_000
"""Samples a second of every audio array, in hertz."""

FRAME_MULTIPLE = 32
"""Both sides of a model frame are multiples of this many pixels (patch 16 times merge 2)."""


class Chosen(NamedTuple):
    """Stream numbers, as FFmpeg counts all of a file's streams from 0; None where there is none."""

    video: int | None
    audio: int | None


FIRST = Chosen(-1, -1)
"""Stands for the first video stream that is no cover picture, and the first sound stream."""


@dataclass(frozen=True)
class Source:
    """A probed video file.  `width` and `height` are as shown, after `rotation` (degrees).

    `start_s` is the first frame's timestamp, `audio_start_s` where the sound begins (None where the
    file does not say), `container_start_s` the earlier of them as FFmpeg counts; `audio_rate` in
    hertz.  What a file does not state is 0.  `warnings` are those about the whole file.

    As decoded, pictures are `mirrored` left to right before they are turned by `rotation` to the
    left, their pixels are `pixel_aspect` times as wide as high, and their light is coded as `hdr`
    says (`hlg`, `pq`, None for the standard range); see display.  `video_stream` and `audio_stream`
    are the streams that are read, as FFmpeg counts all of a file's streams from 0: None for no
    sound, and both None in a source from before they were chosen.  `video_streams` counts those
    among which the former was chosen: cover pictures are none.
    """

    path: Path
    sha256: str
    container: str
    video_codec: str
    audio_codec: str | None
    start_s: float
    duration_s: float
    width: int
    height: int
    rotation: int
    average_fps: float
    size_bytes: int
    streams: int = 1
    container_start_s: float = 0.0
    audio_start_s: float | None = None
    audio_rate: int = 0
    audio_channels: int = 0
    warnings: Warnings = ()
    mirrored: bool = False
    pixel_aspect: float = 1.0
    hdr: str | None = None
    video_stream: int | None = None
    audio_stream: int | None = None
    video_streams: int = 1

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], path: Path) -> Self:
        """Return a source from its fields as JSON; fields that came later may be missing."""
        return cls(**{**facts, "path": path, "warnings": from_json(facts.get("warnings", ()))})

    @property
    def chosen(self) -> Chosen:
        """The streams that are read."""
        if self.video_stream is None:
            return FIRST
        return Chosen(self.video_stream, self.audio_stream)

    @property
    def has_audio(self) -> bool:
        """Whether the file has an audio stream that can be decoded."""
        return self.audio_codec is not None


@dataclass(frozen=True)
class Segment:
    """A span of a source: frames `first_frame` up to `first_frame + num_frames` exclusive.

    `start_s` is the first frame's timestamp, `end_s` the last frame's timestamp plus its
    duration; `end_s - start_s` is at most the segmenter's bound.  Where a frame is shown for longer
    than that, further segments of no frames follow: in them frame `first_frame - 1` stands still.
    The first frame is shown from the sound's beginning on and the last to the sound's end, where
    these lie beside the pictures (see beside).  `warnings` are the source's and
    those about this span, as far as they are known: some show only when the sound is decoded.
    """

    source_sha256: str
    index: int
    start_s: float
    end_s: float
    first_frame: int
    num_frames: int
    has_audio: bool
    warnings: Warnings = ()

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Return a segment from its fields as JSON; fields that came later may be missing."""
        return cls(**{**row, "warnings": from_json(row.get("warnings", ()))})

    @property
    def shown_frame(self) -> int:
        """The frame that is shown first: its first one, or the one that stands still."""
        return self.first_frame - (self.num_frames == 0)

    @property
    def stands_still(self) -> bool:
        """Whether it shows nothing but the last frame of the segments before."""
        return self.num_frames == 0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Sampling:
    """How a clip is turned into model frames; part of everything an answer depends on.

    `policy` says which frames of the segment; they are scaled (aspect kept as nearly as the
    multiples of 32 allow) to at most `max_pixels`, padded to an even count by repeating the last
    one, because the vision tower reads frames in pairs, and shown to the model as if at `fps` a
    second.  The uniform policy takes them at that rate; others show a moment slower or faster.
    """

    fps: float = 2.0
    max_pixels: int = 448 * 256
    policy: SamplingPolicy = UNIFORM

    def facts(self) -> dict[str, Any]:
        """Return what is hashed; what came later goes without saying where it is not asked for."""
        stated = asdict(self)
        if self.policy == UNIFORM:
            del stated["policy"]
        elif stated["policy"].get("align", "") is None:
            del stated["policy"]["align"]
        return stated

    @property
    def face_only(self) -> bool:
        """Whether the face is cut out of the frames, where there is one."""
        return isinstance(self.policy, MotionPeak) and self.policy.align == "face"

    def most_frames(self, duration_s: float) -> int:
        """Return how many frames a segment of this length gives at most, padding included."""
        return self.policy.most_frames(duration_s, self.fps)

"""Tiny videos whose every frame tells its own number and whose sound clicks at known times.

Does: write a video from a list of frame times, in any container; read a frame's number back.
Does not: use the package's own reader, so that tests have a second opinion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

BITS = 13
BAR = 8
"""Pixels of one bar; a frame shows its number as BITS black or white bars."""
WIDTH, HEIGHT = BITS * BAR, 48
TICKS = Fraction(1, 90_000)
SOUND_RATE = 48_000
CLICK_SECONDS = 0.004


@dataclass(frozen=True)
class Made:
    """What to write.  Times in seconds; `sound_s` is the span of the sound track, None for none.

    Pictures that are `mirrored` in the file are shown the right way round by a display matrix, and
    their pixels are `pixel_aspect` times as wide as high.  With `beside`, a picture of one frame
    comes before the video and a silent track before the sound; the others are the default.
    """

    times_s: Sequence[Fraction]
    sound_s: tuple[Fraction, Fraction] | None = None
    clicks_s: Sequence[Fraction] = ()
    width: int = WIDTH
    height: int = HEIGHT
    codec: str = "libx264"
    sound_codec: str = "aac"
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "bf": "0"})
    last_s: Fraction = Fraction(1, 25)
    mirrored: bool = False
    pixel_aspect: Fraction = Fraction(1)
    beside: bool = False


def regular(count: int, rate: Fraction | int, start: Fraction | int = 0) -> list[Fraction]:
    """The times of `count` frames at a constant rate."""
    return [Fraction(start) + index / Fraction(rate) for index in range(count)]


def numbered(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A picture (H, W, 3) whose bars are the bits of `index`, the lowest first."""
    bits = (index >> (np.arange(width) * BITS // width)) & 1
    row = np.where(bits, 235, 20).astype(np.uint8)
    return np.repeat(np.tile(row, (height, 1))[..., None], 3, axis=2)


def number_of(frame_HWC: NDArray[np.uint8]) -> int:
    """The number that a picture shows, at any size."""
    middle = frame_HWC[frame_HWC.shape[0] // 2].mean(axis=1)
    width = len(middle)
    places = [round((bit + 0.5) * width / BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, place in enumerate(places) if middle[place] > 128)


def clicking(made: Made) -> NDArray[np.int16]:
    """The sound as int16 samples: silence with a short tone at every click."""
    assert made.sound_s is not None
    begin, end = made.sound_s
    samples = np.zeros(round((end - begin) * SOUND_RATE))
    tone = np.sin(2 * np.pi * 3_000 * np.arange(round(CLICK_SECONDS * SOUND_RATE)) / SOUND_RATE)
    for click in made.clicks_s:
        first = round((click - begin) * SOUND_RATE)
        samples[first : first + len(tone)] = tone[: len(samples) - first]
    return (samples * 30_000).astype(np.int16)


def write(path: Path, made: Made) -> Path:
    """Write the video; return its path."""
    with av.open(str(path), "w") as container:
        thumbnail = _thumbnail(container) if made.beside else None
        silence = None
        if made.beside:
            silence = container.add_stream(made.sound_codec, rate=SOUND_RATE, layout="mono")
            silence.disposition = Disposition(0)
        video = container.add_stream(made.codec, rate=1 / made.last_s, options=made.options)
        video.width, video.height, video.pix_fmt = made.width, made.height, made.pixels
        video.codec_context.time_base = TICKS
        video.time_base = TICKS
        video.codec_context.sample_aspect_ratio = made.pixel_aspect
        video.disposition = Disposition.default
        if made.mirrored:
            video.set_display_rotation(0, hflip=True)
        sound = None
        if made.sound_s is not None:
            sound = container.add_stream(made.sound_codec, rate=SOUND_RATE, layout="mono")
            sound.disposition = Disposition.default
        if thumbnail is not None:
            picture = av.VideoFrame.from_ndarray(numbered(0), format="rgb24")
            container.mux(thumbnail.encode(picture.reformat(format="yuvj420p")))
            container.mux(thumbnail.encode(None))
        ends = [*made.times_s[1:], *(time + made.last_s for time in made.times_s[-1:])]
        for index, (time, end) in enumerate(zip(made.times_s, ends, strict=True)):
            picture = numbered(index, made.width, made.height)
            picture = np.ascontiguousarray(picture[:, ::-1]) if made.mirrored else picture
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base, frame.pts = TICKS, round(time / TICKS)
            frame.duration = round((end - time) / TICKS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            assert made.sound_s is not None
            samples = clicking(made)
            for track, heard in ((silence, samples * 0), (sound, samples)):
                if track is not None:
                    _write_sound(container, track, heard, made.sound_s[0])
    return path


def _thumbnail(container: "OutputContainer") -> "VideoStream":
    thumbnail = container.add_stream("mjpeg", rate=1)
    thumbnail.width, thumbnail.height, thumbnail.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
    thumbnail.disposition = Disposition(0)
    return thumbnail


def _write_sound(
    container: "OutputContainer", sound: "AudioStream", samples: NDArray[np.int16], begin: Fraction
) -> None:
    for first in range(0, len(samples), 1024):
        piece = samples[None, first : first + 1024]
        block = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
        block.sample_rate, block.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        block.pts = round(begin * SOUND_RATE) + first
        container.mux(sound.encode(block))
    container.mux(sound.encode(None))


def onsets(samples_S: NDArray[np.int16]) -> list[float]:
    """Seconds at which a click begins in 16 kHz sound."""
    loud = np.flatnonzero(np.abs(samples_S.astype(int)) > 8_000)
    starts = [place for i, place in enumerate(loud) if i == 0 or place - loud[i - 1] > 800]
    return [float(place) / 16_000 for place in starts]

"""Files drawn at random from all that real recordings do at once, with what is right of each.

Does: draw a file's properties, write it, say which seconds it covers, when it clicks, and what its
pictures should look like.  Does not: use the package's reader.

Everything is tiny: five frames a second, four colours, clicks in silence.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray
from wheel_ffmpeg import run_ffmpeg

F = Fraction
RATE = F(5)
FRAME_S = 1 / RATE
TICKS = F(1, 1_000)
SOUND_RATE = 48_000
BLOCK = 960
"""Samples of a packet of uncompressed sound: 20 ms."""
CODED = (128, 64)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
ASPECTS = (F(1), F(1), F(64, 45), F(8, 9), F(2))
OVERHANG_S = F(1, 4)


Timed = tuple[F, "av.Packet[Any]"]
"""A packet, and by when it is to stand in the file."""


@dataclass(frozen=True)
class Drawn:
    """One recording.  Times in seconds; `still_s` are where no frames come, `step_s` when the
    sound's clock steps, and by how much."""

    suffix: str
    frames: int
    still_s: tuple[F, F] | None
    degrees: int
    mirrored: bool
    aspect: F
    sound_s: tuple[F, F] | None
    wobble_s: float
    step_s: tuple[F, F] | None
    others: tuple[str, ...]
    parts: int
    seed: int

    @property
    def times_s(self) -> list[F]:
        """When each frame of one part comes on show."""
        times = [index * FRAME_S for index in range(self.frames)]
        if self.still_s is None:
            return times
        at, length = self.still_s
        return [time if time <= at else time + length for time in times]

    @property
    def clicks_s(self) -> list[F]:
        """When each click of one part is heard, on the sound's clock before it steps."""
        if self.sound_s is None:
            return []
        begin, end = self.sound_s
        clicks = (begin + F(1, 2) + F(11, 10) * number for number in range(100))
        return [one for one in clicks if one < end - F(3, 10) and self._is_clear(one)]

    def _is_clear(self, click_s: F) -> bool:
        return self.step_s is None or abs(click_s - self.step_s[0]) > F(1, 10)

    def stepped(self, time_s: F) -> F:
        """Return a time on the sound's clock after its step."""
        return time_s + self.step_s[1] if self.step_s and time_s >= self.step_s[0] else time_s

    @property
    def span_s(self) -> tuple[F, F]:
        """From when to when one part has a picture or sound."""
        begin, end = F(0), self.times_s[-1] + FRAME_S
        if self.sound_s is not None:
            heard = (self.sound_s[0], self.stepped(self.sound_s[1]))
            begin = heard[0] if begin - heard[0] > OVERHANG_S else begin
            end = heard[1] if heard[1] - end > OVERHANG_S else end
        return begin, end

    def heard_s(self, begins_s: Sequence[float]) -> list[float]:
        """When clicks are heard, given where each part begins."""
        clicks = [float(self.stepped(click)) for click in self.clicks_s]
        return [begin_s + click for begin_s in begins_s for click in clicks]

    @property
    def offsets_s(self) -> list[F]:
        """By how much each part lies after its own clock: after the longer of the two before."""
        end = self.times_s[-1] + FRAME_S
        if self.sound_s is not None:
            end = max(end, self.stepped(self.sound_s[1]))
        return [number * end for number in range(self.parts)]

    @property
    def shown_size(self) -> tuple[float, float]:
        """Width and height of the picture as shown, in square pixels of the coded height."""
        width, height = CODED[0] * float(self.aspect), float(CODED[1])
        return (height, width) if self.degrees in (90, 270) else (width, height)


def draw(seed: int) -> Drawn:
    """Draw a file's properties."""
    by = random.Random(seed)
    parts = by.choice((1, 1, 1, 2))
    suffix = "mkv" if parts > 1 else by.choice(("mov", "mov", "mkv"))
    others = tuple(by.choices(("video", "sound"), k=by.choice((0, 0, 1, 2))))
    # Parts of under half a second are not told apart, and of two videos the one that has hardly
    # any frames is taken for a thumbnail: both are documented, and not drawn.
    frames = by.randint(15 if "video" in others else 5 if parts > 1 else 1, 40)
    still = (
        (F(by.randint(0, frames - 1)) * FRAME_S, F(by.randint(1, 120), 10))
        if frames > 1 and by.random() < 0.4 else None
    )  # fmt: skip
    last = frames * FRAME_S + (still[1] if still else 0)
    sound: tuple[F, F] | None = None
    if by.random() < 0.85:
        # Parts are told by their pictures' beginning, and sound begins with them in those.
        begin = F(0) if parts > 1 else by.choice((F(0), F(0), F(by.randint(0, 30), 10)))
        sound = (begin, max(begin + 1, last + by.choice((F(0), F(0), F(by.randint(-20, 70), 10)))))
        sound = (begin, F(round(sound[1] * 50), 50))
    step: tuple[F, F] | None = None
    if sound is not None and sound[1] - sound[0] > 2 and by.random() < 0.3:
        step = (sound[0] + F(round((sound[1] - sound[0]) * 25), 50), F(by.randint(3, 60), 10))
    turned = suffix == "mov"
    return Drawn(
        suffix=suffix, frames=frames, still_s=still,
        degrees=by.choice((0, 90, 180, 270)) if turned else 0,
        mirrored=turned and by.random() < 0.4, aspect=by.choice(ASPECTS), sound_s=sound,
        wobble_s=by.choice((0.0, 0.0, 0.004, 0.010, 0.015)), step_s=step,
        others=tuple(one for one in others if one == "video" or sound is not None),
        parts=parts, seed=seed,
    )  # fmt: skip


def write(drawn: Drawn, folder: Path) -> Path:
    """Write a drawn file; return its path."""
    path = folder / f"drawn.{drawn.suffix}"
    one = folder / f"part.{drawn.suffix}"
    with av.open(str(one), "w", format="matroska" if drawn.suffix == "mkv" else "mov") as file:
        _write_part(drawn, file)
    path.write_bytes(one.read_bytes() * drawn.parts)
    one.unlink()
    return path


def _write_part(drawn: Drawn, file: av.container.OutputContainer) -> None:
    order = ["main", *drawn.others]
    random.Random(drawn.seed).shuffle(order)
    packets: list[tuple[F, av.Packet[Any]]] = []
    for kind in order:
        if kind == "main":
            packets += _pictures(drawn, file)
            packets += _sound(drawn, file)
        elif kind == "video":
            packets += _small_pictures(drawn, file)
        else:
            packets += _silence(drawn, file)
    for _, packet in sorted(packets, key=lambda pair: pair[0]):
        file.mux(packet)


def picture() -> NDArray[np.uint8]:
    """Four coloured quadrants, (H, W, 3)."""
    width, height = CODED
    corners = np.array(COLOURS, dtype=np.uint8).reshape(2, 2, 3)
    return corners.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def _pictures(drawn: Drawn, file: av.container.OutputContainer) -> Iterator[Timed]:
    stream = file.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "qp": "12"})
    stream.width, stream.height, stream.pix_fmt = *CODED, "yuv420p"
    stream.sample_aspect_ratio = drawn.aspect
    stream.time_base = stream.codec_context.time_base = TICKS
    stream.disposition = Disposition.default
    if drawn.degrees or drawn.mirrored:
        stream.set_display_rotation(drawn.degrees, hflip=drawn.mirrored)
    ends = [*drawn.times_s[1:], drawn.times_s[-1] + FRAME_S]
    for time, end in zip(drawn.times_s, ends, strict=True):
        frame = av.VideoFrame.from_ndarray(picture(), format="rgb24")
        frame.time_base, frame.pts = TICKS, round(time / TICKS)
        frame.duration = round((end - time) / TICKS)
        yield from _timed(stream.encode(frame))
    yield from _timed(stream.encode(None))


def _small_pictures(drawn: Drawn, file: av.container.OutputContainer) -> Iterator[Timed]:
    stream = file.add_stream("libx264", rate=1, options={"preset": "ultrafast"})
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    stream.time_base = stream.codec_context.time_base = TICKS
    stream.disposition = Disposition(0)
    grey = np.full((32, 32, 3), 90, dtype=np.uint8)
    for second in range(max(2, int(drawn.times_s[-1]))):
        frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
        frame.time_base, frame.pts = TICKS, 1_000 * second
        yield from _timed(stream.encode(frame))
    yield from _timed(stream.encode(None))


def _sound(drawn: Drawn, file: av.container.OutputContainer) -> Iterator[Timed]:
    if drawn.sound_s is None:
        return
    begin, end = drawn.sound_s
    samples = np.zeros(round((end - begin) * SOUND_RATE))
    tone = np.sin(2 * np.pi * 3_000 * np.arange(192) / SOUND_RATE)
    for click in drawn.clicks_s:
        first = round((click - begin) * SOUND_RATE)
        samples[first : first + len(tone)] = tone
    yield from _uncompressed(drawn, file, (samples * 30_000).astype(np.int16), wobbles=True)


def _silence(drawn: Drawn, file: av.container.OutputContainer) -> Iterator[Timed]:
    yield from _uncompressed(drawn, file, np.zeros(SOUND_RATE, dtype=np.int16), wobbles=False)


def _uncompressed(
    drawn: Drawn, file: av.container.OutputContainer, samples_S: NDArray[np.int16], wobbles: bool
) -> Iterator[Timed]:
    """Sound in packets of 20 ms (Matroska), or as AAC, which QuickTime stamps by packets too."""
    codec = "pcm_s16le" if drawn.suffix == "mkv" else "aac"
    stream = file.add_stream(codec, rate=SOUND_RATE, layout="mono")
    stream.disposition = Disposition.default if wobbles else Disposition(0)
    size = BLOCK if drawn.suffix == "mkv" else 1024
    begin = drawn.sound_s[0] if wobbles and drawn.sound_s else F(0)
    by, latest = random.Random(drawn.seed), -(1 << 40)
    coded: list[av.Packet[Any]] = []
    for first in range(0, len(samples_S), size):
        block = av.AudioFrame.from_ndarray(
            samples_S[None, first : first + size], format="s16", layout="mono"
        )
        block.sample_rate, block.time_base = SOUND_RATE, F(1, SOUND_RATE)
        block.pts = first + round(begin * SOUND_RATE)
        coded += stream.encode(block)
    for packet in [*coded, *stream.encode(None)]:
        base = F(packet.time_base)
        time_s = packet.pts * base
        if wobbles:
            time_s = drawn.stepped(time_s)
            wrong = by.uniform(-drawn.wobble_s, drawn.wobble_s)
            latest = max(latest + 1, round((time_s + F(wrong)) / base))
            packet.pts = packet.dts = latest
        yield time_s, packet


def _timed(packets: list["av.Packet[Any]"]) -> Iterator[Timed]:
    for packet in packets:
        yield packet.pts * F(packet.time_base), packet


def as_ffmpeg_shows_it(path: Path, stream: int, width: int, height: int) -> NDArray[np.uint8]:
    """The first frame of a stream, turned as ffmpeg turns it, at a size."""
    looks = ("-probesize", "50M", "-analyzeduration", "60M")  # for pictures that begin late
    raw = run_ffmpeg(*looks, "-i", str(path), "-map", f"0:{stream}", "-frames:v", "1",
                     "-fps_mode", "passthrough", "-vf", f"scale={width}:{height}:flags=area",
                     "-pix_fmt", "rgb24", "-f", "rawvideo", "-")  # fmt: skip
    return np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 3)


def tiled(spans_s: list[tuple[float, float]]) -> bool:
    """Whether spans follow each other, each second once, none longer than five seconds."""
    return all(one[1] == other[0] for one, other in pairwise(spans_s)) and all(
        0 < end - start <= 5 + 1e-9 for start, end in spans_s
    )

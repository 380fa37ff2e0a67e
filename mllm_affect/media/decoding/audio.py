"""The sound of a video as 16 kHz mono samples placed on the video's timeline.

Does: decode as far as a span needs, resample, place by timestamps, give the span's samples.
Does not: open files, or keep sound that was already taken.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.decoding.downmix import Unfolding
from mllm_affect.media.decoding.sound_clock import Piece, Put, SoundClock
from mllm_affect.media.sound_overhang import TimeExtent
from mllm_affect.media.types import AUDIO_RATE
from mllm_affect.media.warnings import Warnings, warn

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

HOP = 160
"""Samples of one feature frame (10 ms).  Whole hops only: trainers trim a rest, servers pad it."""

SHORTEST = 100 * HOP
"""Shorter sound is continued by silence.  The audio tower works on windows of 100 hops and pads all
to the longest in its batch, so only sound of at least one window is heard alike in every batch."""

MOST_STRETCH = 100
"""Sound that is stretched to stay in place becomes longer or shorter by one sample in so many."""

BLOCK_SECONDS = 1
"""Sound is resampled in blocks: the same samples at a ninth of the cost of single frames."""


class SoundSpan:
    """Where a file states sound, from its packets alone, or as `heard` says."""

    def __init__(self, heard: TimeExtent | None = None) -> None:
        self._begin_s, self._end_s = heard or (float("inf"), float("-inf"))

    def see(self, packet: "Packet[Any]") -> None:
        """Take the next audio packet."""
        if packet.pts is None or not packet.size:
            return
        over, under = packet.time_base.as_integer_ratio()
        begin_s = packet.pts * over / under
        self._begin_s = min(self._begin_s, begin_s)
        self._end_s = max(self._end_s, begin_s + (packet.duration or 0) * over / under)

    def overlaps(self, start_s: float, end_s: float) -> bool:
        """Whether any of it lies between these times."""
        return self._begin_s < end_s and self._end_s > start_s


class SoundReader:
    """Decodes the sound of a stream as far as it is asked for, and forgets what was taken.

    Spans are taken in order of time.  No more is held than the open span, one block, and what was
    begun before it was asked for.  `anew`: the packets, counted from 0, at which another recording
    begins, whose clock may be wrong in another way.
    """

    def __init__(
        self,
        stream: "AudioStream | None",
        packets: "Iterator[Packet[Any]]",
        anew: Sequence[int] = (),
    ) -> None:
        self._stream, self._packets = stream, packets
        self._anew, self._packet = frozenset(anew), 0
        self._stated = SoundSpan()
        self._begun: deque[Future[None]] = deque()
        self._pieces: list[tuple[int, NDArray[np.int16]]] = []
        self._form: tuple[str, str, int] | None = None
        self._block: av.AudioFifo | None = None
        self._resampler: av.AudioResampler | None = None
        self._next_sample = 0
        self._placed = False
        self._clock: SoundClock[AudioFrame] = SoundClock()
        self._unfolding = Unfolding()
        self._owed_s = 0.0
        self._noted: dict[str, list[float]] = {}
        self._taken_s = 0.0

    def begin(self, pool: Executor, packets: "Sequence[Packet[Any]]") -> None:
        """Have a thread decode the packets before those that this was made with.

        Calls follow each other in the file's order, in a pool of one thread, before any `take`.
        """
        self._begun.append(pool.submit(self._decode_all, packets))

    def take(self, start_s: float, end_s: float) -> NDArray[np.int16] | None:
        """Return the samples of [start_s, end_s), silence in gaps, None where no sound is stated.

        int16, a whole number of hops, at least SHORTEST.  Sound before `start_s` is forgotten.
        """
        if self._stream is None:
            return None
        while self._begun:
            self._begun.popleft().result()
        first = round(start_s * AUDIO_RATE)
        spanned = (round(end_s * AUDIO_RATE) - first) // HOP * HOP
        wanted, beyond = max(SHORTEST, spanned), first + max(spanned, HOP)
        samples_S = np.zeros(wanted, dtype=np.int16)
        more = True
        while True:
            self._pieces = [
                piece for piece in self._pieces if not _place(piece, samples_S, first, beyond)
            ]
            if not more or (self._placed and self._end_s >= end_s):
                break
            more = self._decode_next()
        self._taken_s = end_s
        # A codec's padding may reach beyond the sound that the file states.
        return samples_S if self._stated.overlaps(start_s, end_s) else None

    def warnings(self) -> Warnings:
        """Return what was done to the sound since the `take` before, up to the last one's end."""
        done = [code for code, times in self._noted.items() if min(times) < self._taken_s]
        for code in done:
            self._noted[code] = [one for one in self._noted[code] if one >= self._taken_s]
            if not self._noted[code]:
                del self._noted[code]
        return tuple(map(warn, sorted(done)))

    def _note(self, code: str, at_s: float) -> None:
        """Note once a second at most that something was done."""
        times = self._noted.setdefault(code, [])
        if not times or at_s - times[-1] >= BLOCK_SECONDS:
            times.append(at_s)

    @property
    def _end_s(self) -> float:
        return self._next_sample / AUDIO_RATE

    def _decode_next(self) -> bool:
        """Decode one packet; return whether more follow."""
        packet = next(self._packets, None)
        if packet is None:
            self._begin_anew()
            self._flush()
            return False
        self._decode(packet)
        return True

    def _decode_all(self, packets: "Sequence[Packet[Any]]") -> None:
        for packet in packets:
            self._decode(packet)

    def _decode(self, packet: "Packet[Any]") -> None:
        """Decode one packet; one that cannot be decoded is silence, and noted."""
        assert self._stream is not None
        self._stated.see(packet)
        if packet.size:
            if self._packet in self._anew:
                self._begin_anew()
            self._packet += 1
        try:
            frames = self._stream.decode(packet)
        except av.FFmpegError:
            if packet.size:
                self._note("sound_damaged", self._end_s)
            return
        for frame in frames:
            self._collect(frame)

    def _collect(self, frame: "AudioFrame") -> None:
        pts, base, rate = frame.pts, frame.time_base, frame.sample_rate
        begins_s = None
        if pts is not None:
            over, under = base.as_integer_ratio() if base else (1, rate)
            begins_s = pts * over / under
        for put in self._clock.see(Piece(frame, begins_s, frame.samples / rate)):
            self._put(put)

    def _begin_anew(self) -> None:
        for put in self._clock.finish():
            self._put(put)
        self._clock = SoundClock()

    def _put(self, put: "Put[AudioFrame]") -> None:
        frame, rate = put.sound, put.sound.sample_rate
        if put.jump_s is not None:
            self._flush()
            self._next_sample = round(put.jump_s * AUDIO_RATE)
            self._owed_s, self._placed = 0.0, True
        if put.wobbles:
            self._note("sound_wobbles", put.at_s)
        elif put.stretch_s:
            self._note("sound_drifts", put.at_s)
        self._owed_s += put.stretch_s
        form = (frame.format.name, frame.layout.name, rate)
        if form != self._form:
            self._flush()
            self._form = form
        if self._block is None:
            self._block = av.AudioFifo()
        frame.pts = None
        self._block.write(frame)
        if self._block.samples >= BLOCK_SECONDS * rate:
            self._resample_block()

    def _resample_block(self) -> None:
        block = self._block.read() if self._block is not None else None
        if block is None:
            return
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_RATE)
        block, turned = self._unfolding.corrected(block)
        if turned:
            self._note("sound_inverted", self._end_s)
        block.pts = None
        self._keep(self._resampler.resample(block))

    def _flush(self) -> None:
        self._resample_block()
        self._block = None
        if self._resampler is not None:
            self._keep(self._resampler.resample(None))
            self._resampler = None

    def _keep(self, resampled: "list[AudioFrame]") -> None:
        for frame in resampled:
            samples_S = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            if len(samples_S):
                if self._owed_s:
                    samples_S = self._stretched(samples_S)
                self._pieces.append((self._next_sample, samples_S))
                self._next_sample += len(samples_S)

    def _stretched(self, samples_S: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return samples made longer or shorter by a part of what is owed."""
        size = len(samples_S)
        most = size // MOST_STRETCH
        by = max(-most, min(most, round(self._owed_s * AUDIO_RATE)))
        self._owed_s -= by / AUDIO_RATE
        if not by:
            self._owed_s = 0.0 if most else self._owed_s
            return samples_S
        at_S = np.linspace(0, size - 1, size + by)
        return np.interp(at_S, np.arange(size), samples_S).round().astype(np.int16)


def _place(
    piece: tuple[int, NDArray[np.int16]], samples_S: NDArray[np.int16], first: int, beyond: int
) -> bool:
    """Write a piece into the span from `first`; return whether nothing of it lies after that."""
    position, piece_S = piece
    begin, end = max(position, first), min(position + len(piece_S), beyond)
    if begin < end:
        samples_S[begin - first : end - first] = piece_S[begin - position : end - position]
    return position + len(piece_S) <= beyond

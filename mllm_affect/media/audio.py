"""The sound of a video as 16 kHz mono samples placed on the video's timeline.

Does: resample while decoding, place by timestamps, give the samples of a span.
Does not: open files, or keep sound that was already taken.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.types import AUDIO_RATE

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

HOP = 160
"""Samples of one feature frame (10 ms).  Whole hops only: trainers trim a rest, servers pad it."""

SHORTEST = 100 * HOP
"""Shorter sound is continued by silence.  The audio tower works on windows of 100 hops and pads all
to the longest in its batch, so only sound of at least one window is heard alike in every batch."""

GAP_SECONDS = 0.005
"""A timestamp this far from where the last samples ended means a gap or an overlap in the sound."""


class SoundSpan:
    """Where a file states sound, from its packets alone."""

    def __init__(self) -> None:
        self._begin_s, self._end_s = float("inf"), float("-inf")

    def see(self, packet: "Packet[Any]") -> None:
        """Take the next audio packet."""
        if packet.pts is None or not packet.size:
            return
        begin_s = float(packet.pts * packet.time_base)
        self._begin_s = min(self._begin_s, begin_s)
        self._end_s = max(self._end_s, begin_s + float((packet.duration or 0) * packet.time_base))

    def overlaps(self, start_s: float, end_s: float) -> bool:
        """Whether any of it lies between these times."""
        return self._begin_s < end_s and self._end_s > start_s


class AudioTimeline:
    """Collects one audio stream; spans are taken in order of time and forgotten afterwards.

    `stated`: where the packets seen so far state sound, whether or not it could be decoded.
    """

    def __init__(self, stream: "AudioStream") -> None:
        self._stream = stream
        self.stated = SoundSpan()
        self._pieces: list[tuple[int, NDArray[np.int16]]] = []
        self._resampler: av.AudioResampler | None = None
        self._next_sample = 0
        self._expected_s: float | None = None

    @property
    def end_s(self) -> float:
        """Where the collected sound ends, in seconds; minus infinity before the first."""
        return self._next_sample / AUDIO_RATE if self._expected_s is not None else float("-inf")

    def decode(self, packet: "Packet[Any]") -> None:
        """Decode a packet and keep its sound; a packet that cannot be decoded becomes silence."""
        self.stated.see(packet)
        try:
            frames = self._stream.decode(packet)
        except av.FFmpegError:
            return
        for frame in frames:
            self._collect(frame)

    def finish(self) -> None:
        """Take what the resampler still holds; call once after the last packet."""
        self._flush()

    def take(self, start_s: float, end_s: float) -> NDArray[np.int16]:
        """Return the samples of [start_s, end_s), silence where there is none.

        int16, a whole number of hops, at least SHORTEST.  Sound before `start_s` is forgotten.
        """
        first = round(start_s * AUDIO_RATE)
        spanned = (round(end_s * AUDIO_RATE) - first) // HOP * HOP
        wanted, beyond = max(SHORTEST, spanned), first + max(spanned, HOP)
        samples_S = np.zeros(wanted, dtype=np.int16)
        for position, piece_S in self._pieces:
            begin, end = max(position, first), min(position + len(piece_S), beyond)
            if begin < end:
                samples_S[begin - first : end - first] = piece_S[begin - position : end - position]
        self._pieces = [piece for piece in self._pieces if piece[0] + len(piece[1]) > first]
        return samples_S

    def _collect(self, frame: "AudioFrame") -> None:
        base = Fraction(frame.time_base or Fraction(1, frame.sample_rate))
        begins_s = self._expected_s if frame.pts is None else float(frame.pts * base)
        begins_s = begins_s or 0.0
        if self._expected_s is None or abs(begins_s - self._expected_s) > GAP_SECONDS:
            self._flush()
            self._next_sample = round(begins_s * AUDIO_RATE)
            self._expected_s = begins_s
        self._expected_s += frame.samples / frame.sample_rate
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_RATE)
        frame.pts = None
        self._keep(self._resampler.resample(frame))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._keep(self._resampler.resample(None))
            self._resampler = None

    def _keep(self, resampled: "list[AudioFrame]") -> None:
        for frame in resampled:
            samples_S = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            if len(samples_S):
                self._pieces.append((self._next_sample, samples_S))
                self._next_sample += len(samples_S)

"""A short file's packets in memory: read once for the look at them, and decoded from there.

Does: keep the packets that are looked at, while they are few; hand the pictures' out, and have the
sound decoded meanwhile.  Does not: read, or decode pictures.

Else the file is opened and parted into packets once more before its first picture can be decoded.
Sound is not decoded during the look: both are many short calls, which then wait for each other.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import av

from mllm_affect.media.decoding.audio import SoundReader
from mllm_affect.media.decoding.begun import Begun

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.stream import VideoStream

HELD_BYTES = 16 << 20
HELD_PACKETS = 2_000
"""Of pictures and sound, near half a minute; each takes near a kilobyte beside its content."""
AT_A_TIME = 64
"""Packets of sound that are handed to the other thread together."""


class Held:
    """The packets of one opening's video and sound, until they are too many: then none.

    `pool` has one thread; it and `begun` are None where no core is free.
    """

    def __init__(
        self,
        video: "VideoStream",
        audio: "AudioStream | None",
        pool: Executor | None = None,
        begun: Begun | None = None,
    ) -> None:
        self.video, self._pool, self.begun = video, pool, begun
        self._pictures: deque[Packet[Any]] = deque()
        self._sounds: deque[Packet[Any]] = deque()
        self.sound = SoundReader(audio, _given(self._sounds, audio) if audio else iter(()))
        self._bytes = self._count = 0
        self.whole = True

    def see(self, packet: "Packet[Any]") -> None:
        """Take the next packet of either stream."""
        if not self.whole:
            return
        self._bytes += packet.size
        self._count += 1
        if self._bytes > HELD_BYTES or self._count > HELD_PACKETS:
            self.whole = False
            self._pictures.clear()
            self._sounds.clear()
            if self.begun is not None:
                self.begun.stop()
        elif packet.stream is self.video:
            self._pictures.append(packet)
            if self.begun is not None:
                self.begun.see(packet)
        else:
            self._sounds.append(packet)

    def pictures(self) -> "Iterator[Packet[Any]]":
        """Have the sound decoded from now on; yield the packets of the video, once."""
        while self._pool is not None and len(self._sounds) > AT_A_TIME:
            some = tuple(self._sounds.popleft() for _ in range(AT_A_TIME))
            self.sound.begin(self._pool, some)
        return _given(self._pictures, self.video)


def _given(
    packets: "deque[Packet[Any]]", stream: "VideoStream | AudioStream"
) -> "Iterator[Packet[Any]]":
    """Yield packets and let go of them; the last is empty, also where the file breaks off."""
    ended = False
    while packets:
        packet = packets.popleft()
        ended = not packet.size
        yield packet
    if not ended:
        last: Packet[Any] = av.Packet()
        last.stream = stream
        yield last

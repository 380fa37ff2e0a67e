"""The first pictures of a video, decoded while its packets are still being looked at.

Does: decode the first packets in a thread of its own, as far as it gets meanwhile; go on from there
where all of them are to be decoded.  Does not: keep the packets (see held), or choose.

Until the look is over nobody knows which pictures are needed, and all cores but one wait.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import av

from mllm_affect.cores import usable_cores
from mllm_affect.media.decoding.ahead import THREAD
from mllm_affect.media.decoding.frames import pictures_in
from mllm_affect.media.decoding.planned import Decodes, with_threads

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST = 8
"""Pictures; a look at the packets of a short file takes no longer than as many."""
MOST_BYTES = 16 << 20
"""What they may take at source size; where not even two fit, none is begun."""


class Begun:
    """A decoder that has begun before anybody knew what to decode.

    Hand it every packet of the video until `stop`, then ask it for a decoder that `goes_on`.
    """

    def __init__(self, video: "VideoStream") -> None:
        self._decoder = video.codec_context
        most = min(MOST, pictures_in(MOST_BYTES, video.width * video.height))
        self._left = most if most > 1 else 0
        self._todo: SimpleQueue[Packet[Any] | None] = SimpleQueue()
        self._stopped = False
        self._failed = True  # until the thread has ended well, whatever else ends it
        self._made: deque[list[VideoFrame]] = deque()
        self._pool = ThreadPoolExecutor(1, THREAD)
        self._pool.submit(self._decode)

    def see(self, packet: "Packet[Any]") -> None:
        """Take the next packet."""
        if self._left and packet.size:
            self._left -= 1
            self._todo.put(packet)

    def stop(self) -> None:
        """Decode no further than the packet at hand."""
        self._stopped = True
        self._todo.put(None)

    def close(self) -> None:
        """Stop, and wait for the thread to end."""
        self.stop()
        self._pool.shutdown()

    def goes_on(self, send: bytes) -> "Decodes":
        """Return a decoder for all packets that are to be decoded (see Plan), from the first on.

        What was decoded before that is not decoded again, unless something of it was not to be.
        `send` may tell of the first packets only.
        """
        self.close()
        if self._failed or 0 in send[: len(self._made)]:
            self._made.clear()
            self._decoder.flush_buffers()
        return _GoesOn(self._made, self._decoder)

    def _decode(self) -> None:
        try:
            with_threads(self._decoder, usable_cores())
            while not self._stopped and (packet := self._todo.get()) is not None:
                self._made.append(self._decoder.decode(packet))
            self._failed = False
        except av.FFmpegError:
            pass  # said again, where it matters, when it is decoded in earnest


class _GoesOn:
    """A decoder of which some answers are there already."""

    def __init__(self, made: "deque[list[VideoFrame]]", decoder: "VideoCodecContext") -> None:
        self._made, self._decoder = made, decoder

    def decode(self, packet: "Packet[Any] | None") -> "list[VideoFrame]":
        """Return the pictures that this packet completes.  Raises av.FFmpegError."""
        return self._made.popleft() if self._made else self._decoder.decode(packet)

    def flush_buffers(self) -> None:
        """Forget what was decoded."""
        self._made.clear()
        self._decoder.flush_buffers()

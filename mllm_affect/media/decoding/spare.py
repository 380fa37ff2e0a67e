"""One more decoder for a file's pictures, opened when it is needed.

Does: open the file once more for what a decoder must know, at the latest when it is to decode.
Does not: keep the file open, or read packets.
"""

from typing import TYPE_CHECKING, Any

from mllm_affect.media.decoding.opening import spare_decoder
from mllm_affect.media.decoding.planned import with_threads
from mllm_affect.media.types import Source

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame


class Spare:
    """A decoder with so many threads; used by one thread at a time."""

    def __init__(self, source: Source, threads: int) -> None:
        self._source, self._threads = source, threads
        self._decoder: VideoCodecContext | None = None

    def open(self) -> "VideoCodecContext":
        """Return the decoder, made once.  Raises as open_media."""
        if self._decoder is None:
            decoder = spare_decoder(self._source.path, self._source.chosen)
            self._decoder = with_threads(decoder, self._threads)
        return self._decoder

    def decode(self, packet: "Packet[Any] | None") -> "list[VideoFrame]":
        """Return the pictures that this packet completes.  Raises av.FFmpegError, or as `open`."""
        return self.open().decode(packet)

    def flush_buffers(self) -> None:
        """Forget what was decoded."""
        if self._decoder is not None:
            self._decoder.flush_buffers()

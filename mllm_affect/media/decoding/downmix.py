"""Channels that would cancel each other when they are mixed to one.

Does: find pairs of channels of which one is the other inverted (a microphone wired the wrong way),
and turn one of them round.  Does not: mix, or change any other sound.

The decision is made from block to block, from the beginning of the stream on, so that it does not
depend on where reading starts.
"""

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

PAIRS = (("FL", "FR"), ("SL", "SR"), ("BL", "BR"), ("FLC", "FRC"), ("DL", "DR"))
CANCELS, ADDS_UP = 0.1, 0.3
"""The energy of the mean of two channels as a share of the louder one's: below the one they cancel
each other, above the other they do not; in between it stays as it was.  It is 1 for equal channels
and a half for independent ones as loud as each other."""


class Unfolding:
    """Remembers which pairs of one stream's channels cancel each other."""

    def __init__(self) -> None:
        self._inverted: set[tuple[str, str]] = set()

    def corrected(self, block: av.AudioFrame) -> tuple[av.AudioFrame, bool]:
        """Return a block whose channels add up, and whether it is another than was given."""
        names = [channel.name for channel in block.layout.channels]
        pairs = [pair for pair in PAIRS if set(pair) <= set(names)]
        if not pairs:
            return block, False
        samples_CS = _channels(block)
        for pair in pairs:
            self._judge(pair, *(samples_CS[names.index(name)] for name in pair))
        turned = [names.index(right) for left, right in pairs if (left, right) in self._inverted]
        if not turned:
            return block, False
        return _turned(block, samples_CS, turned), True

    def _judge(self, pair: tuple[str, str], left_S: NDArray[Any], right_S: NDArray[Any]) -> None:
        middle = _middle(left_S)
        left_S, right_S = (one_S.astype(np.float32) - middle for one_S in (left_S, right_S))
        left, right = float(left_S @ left_S), float(right_S @ right_S)
        mean = (left + right + 2 * float(left_S @ right_S)) / 4
        if mean < CANCELS * max(left, right):
            self._inverted.add(pair)
        elif mean > ADDS_UP * max(left, right):
            self._inverted.discard(pair)


def _channels(block: av.AudioFrame) -> NDArray[Any]:
    """Return a block's samples, one row a channel."""
    samples = block.to_ndarray()
    if not block.format.is_planar:
        samples = samples.reshape(-1, block.layout.nb_channels).T
    return samples


def _middle(samples: NDArray[Any]) -> float:
    """Return the value of silence."""
    return 128.0 if samples.dtype == np.uint8 else 0.0


def _turned(block: av.AudioFrame, samples_CS: NDArray[Any], channels: list[int]) -> av.AudioFrame:
    """Return a copy of a block with these channels turned round."""
    kind = samples_CS.dtype
    turned_CS = samples_CS.astype(np.float64)
    turned_CS[channels] = 2 * _middle(samples_CS) - turned_CS[channels]
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        turned_CS = np.clip(turned_CS, limits.min, limits.max)
    plane_CS = turned_CS.astype(kind)
    if not block.format.is_planar:
        plane_CS = plane_CS.T.reshape(1, -1)
    copy = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(plane_CS), format=block.format.name, layout=block.layout.name
    )
    copy.sample_rate = block.sample_rate
    return copy

"""The sound of clips as one piece, and how alike two sounds are.

Does: place and compare samples.  Does not: decode.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mllm_affect.media.types import AUDIO_RATE, Clip

Sound = NDArray[np.float64]


def in_one_piece(clips: Iterable[Clip]) -> Sound:
    """The sound from the first clip's start to the last one's end, each clip at its time."""
    listed = list(clips)
    begin = round(listed[0].segment.start_s * AUDIO_RATE)
    whole_S = np.zeros(round(listed[-1].segment.end_s * AUDIO_RATE) - begin)
    for clip in listed:
        if clip.audio_S is not None:
            at = round(clip.segment.start_s * AUDIO_RATE) - begin
            room = round(clip.segment.end_s * AUDIO_RATE) - begin - at
            part_S = clip.audio_S[:room]
            whole_S[at : at + len(part_S)] = part_S
    return whole_S


def best_match(one_S: Sound, other_S: Sound, most_s: float = 0.05) -> tuple[float, float]:
    """The largest correlation of two sounds, one moved by at most `most_s`; and by how much."""
    size = min(len(one_S), len(other_S))
    most = round(most_s * AUDIO_RATE)
    middle_S = one_S[most : size - most] - one_S[most : size - most].mean()
    length = len(middle_S)
    around_S = other_S[:size]
    products_S = np.fft.irfft(
        np.fft.rfft(around_S, 2 * size) * np.conj(np.fft.rfft(middle_S, 2 * size))
    )[: 2 * most]
    by = int(products_S.argmax())
    found = float(np.corrcoef(middle_S, around_S[by : by + length])[0, 1])
    return found, (by - most) / AUDIO_RATE


def longest_hole(sound_S: Sound) -> float:
    """The longest stretch of digital silence, in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sound_S == 0, [0]]).astype(int)))
    return float((edges[1::2] - edges[::2]).max(initial=0)) / AUDIO_RATE

"""Source-filter synthesis of a voice: glottal pulses and noise through moving formants.

Does: tracks of pitch, formants and loudness -> sound.  Does not: decide what is said.
The pulse is Rosenberg's trigonometric one (1971); formant values of the vowels are near the
averages for adults in Peterson and Barney (1952).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mllm_affect.data.made.people import Voice
from mllm_affect.media.types import AUDIO_RATE

BLOCK = 320
"""Samples over which the formants stand still: 20 ms."""

TRANSFORM = 1280
"""Samples of a filtered window: two blocks, and as much again in which the resonances die away."""

VOWELS: dict[str, tuple[float, float, float]] = {
    "a": (730.0, 1150.0, 2500.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (290.0, 2250.0, 2980.0),
    "o": (500.0, 900.0, 2420.0),
    "u": (320.0, 880.0, 2260.0),
    "uh": (600.0, 1200.0, 2420.0),
}
NASAL = (260.0, 1050.0, 2200.0)
BANDWIDTHS_HZ = (70.0, 100.0, 140.0, 220.0)
FOURTH_FORMANT_HZ = 3500.0

HISS_BAND_HZ = (3800.0, 7400.0)
BURST_BAND_HZ = (1200.0, 4500.0)


@dataclass(frozen=True)
class Tracks:
    """Controls of a sound of B blocks: pitch in hertz (B,), formants (B, 3), gains 0 to 1 (B,)."""

    pitch_B: NDArray[np.float64]
    formants_B3: NDArray[np.float64]
    voiced_B: NDArray[np.float64]
    hiss_B: NDArray[np.float64]
    burst_B: NDArray[np.float64]


def sound(tracks: Tracks, voice: Voice, random: np.random.Generator) -> NDArray[np.float64]:
    """Return BLOCK samples per block of the tracks, float64, peak about 1."""
    # Imported here: scipy.signal takes a second, and most who import this module draw no sound.
    from scipy.signal import butter, sosfilt

    hiss_band, burst_band = (
        butter(2, band, "bandpass", fs=AUDIO_RATE, output="sos")
        for band in (HISS_BAND_HZ, BURST_BAND_HZ)
    )
    samples = tracks.pitch_B.size * BLOCK
    noise = random.standard_normal(samples)
    source = _pulses(_per_sample(tracks.pitch_B), random) + voice.breath * noise
    source *= _per_sample(tracks.voiced_B)
    spoken = _formants(source, tracks.formants_B3 * voice.formant_scale, voice.formant_scale)
    spoken /= max(1e-9, float(np.abs(spoken).max()))
    hiss = sosfilt(hiss_band, noise) * _per_sample(tracks.hiss_B)
    burst = sosfilt(burst_band, noise) * _per_sample(tracks.burst_B)
    return np.asarray(spoken + 0.30 * hiss + 0.35 * burst)


def _pulses(pitch_S: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the derivative of a Rosenberg pulse train: opens for 40 %, closes for 16 %."""
    wander = np.repeat(random.standard_normal(pitch_S.size // BLOCK), BLOCK)
    phase = np.cumsum(pitch_S * (1.0 + 0.006 * wander) / AUDIO_RATE) % 1.0
    opening = 0.5 * (1.0 - np.cos(np.pi * phase / 0.4))
    closing = np.cos(0.5 * np.pi * (phase - 0.4) / 0.16)
    flow = np.where(phase < 0.4, opening, np.where(phase < 0.56, closing, 0.0))
    return np.diff(flow, prepend=flow[0]) * 8.0


def _formants(
    source_S: NDArray[np.float64], formants_B3: NDArray[np.float64], scale: float
) -> NDArray[np.float64]:
    """Run the source through four resonators in a row whose centres move block by block.

    Windows of two blocks, half a window apart, are filtered in the frequency domain and added.
    """
    blocks = formants_B3.shape[0]
    centers_B4 = np.concatenate(
        [formants_B3, np.full((blocks, 1), FOURTH_FORMANT_HZ * scale)], axis=1
    )
    radius = np.exp(-np.pi * np.array(BANDWIDTHS_HZ) / AUDIO_RATE)
    first = -2.0 * radius * np.cos(2.0 * np.pi * np.minimum(centers_B4, 7400.0) / AUDIO_RATE)
    delay_K = np.exp(-2j * np.pi * np.arange(TRANSFORM // 2 + 1) / TRANSFORM)
    poles_B4K = 1.0 + first[..., None] * delay_K + (radius**2)[:, None] * delay_K**2
    response_BK = np.prod((1.0 + first + radius**2)[..., None] / poles_B4K, axis=1)
    padded = np.pad(source_S, (BLOCK // 2, BLOCK // 2 + BLOCK))
    windows_BW = np.lib.stride_tricks.sliding_window_view(padded, 2 * BLOCK)[::BLOCK][:blocks]
    spectra_BK = np.fft.rfft(windows_BW * _WINDOW, TRANSFORM)
    filtered_BN = np.fft.irfft(spectra_BK * response_BK, TRANSFORM)
    out = np.zeros((blocks + TRANSFORM // BLOCK + 1) * BLOCK)
    for start in range(0, TRANSFORM, BLOCK):
        part_BM = filtered_BN[:, start : start + BLOCK]
        out[start : start + blocks * BLOCK].reshape(blocks, BLOCK)[:, : part_BM.shape[1]] += part_BM
    return np.asarray(out[BLOCK // 2 : BLOCK // 2 + source_S.size])


def _per_sample(values_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread block values over samples, with straight lines between block middles."""
    samples = values_B.size * BLOCK
    middles = (np.arange(values_B.size) + 0.5) * BLOCK
    return np.asarray(np.interp(np.arange(samples), middles, values_B))


_WINDOW = np.hanning(2 * BLOCK + 1)[:-1]

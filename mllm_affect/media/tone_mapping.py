"""Mapping pictures of high dynamic range (ITU-R BT.2100) to the standard range.

Does: turn RGB in hybrid log-gamma or PQ into 8-bit BT.709; name the ffmpeg filters that do the
same.  Does not: decode or scale.

Light is counted in units of 100 cd/m2, the white of the standard range.  Light below 0.3 stays as
it is, so that faces keep their brightness; what is above is bent to end at 1 (Mobius curve).
Sources: ITU-R BT.2100-2 (tables 4 and 5: EOTF, OOTF), BT.2087 (primaries), BT.1886 (gamma 2.4).
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

HLG, PQ = "hlg", "pq"
NAMES = {HLG: "hybrid log-gamma", PQ: "PQ"}
TRANSFERS = {18: HLG, 16: PQ}
"""By the number that stands in video headers (ITU-T H.273, transfer characteristics)."""

PEAK = 10.0
"""The brightest light that is told apart, 1,000 cd/m2: the nominal peak of hybrid log-gamma."""
KNEE = 0.3
GAMMA = 2.4

TO_BT709_33 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    dtype=np.float32,
)
"""Linear BT.2020 RGB to linear BT.709 RGB."""
LUMINANCE_3 = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
"""Of linear BT.2020 RGB."""

STEPS = 4096
"""Levels of the square root of light in the table of the output: finer than 8 bits everywhere."""


def transfer_of(stated: int) -> str | None:
    """Return `hlg` or `pq` for a frame's stated transfer, None for the standard range."""
    return TRANSFERS.get(int(stated))


def to_standard(rgb_HWC: NDArray[np.uint16], transfer: str) -> NDArray[np.uint8]:
    """Return 8-bit BT.709 RGB of 16-bit BT.2020 RGB (HWC)."""
    light = _light_of_codes(transfer)[rgb_HWC].reshape(-1, 3)
    if transfer == HLG:
        light *= PEAK * np.power(np.maximum(light @ LUMINANCE_3, 1e-6), np.float32(0.2))[:, None]
    light = np.maximum(light @ TO_BT709_33.T, 0)
    brightest = np.maximum(light.max(axis=1), 1e-6)
    light *= (_bent(brightest) / brightest)[:, None]
    steps = (np.sqrt(np.minimum(light, 1)) * (STEPS - 1) + 0.5).astype(np.uint16)
    standard_HWC: NDArray[np.uint8] = _codes_of_light()[steps].reshape(rgb_HWC.shape)
    return standard_HWC


def ffmpeg_filters(transfer: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the ffmpeg filters, with their options, that do the same; zscale must be built in."""
    stated = {
        "tin": "arib-std-b67" if transfer == HLG else "smpte2084",
        "pin": "bt2020",
        "min": "bt2020nc",
    }
    return [
        ("zscale", {**stated, "t": "linear", "npl": 100}),
        ("format", {"pix_fmts": "gbrpf32le"}),
        ("zscale", {"p": "bt709"}),
        ("tonemap", {"tonemap": "mobius", "param": KNEE, "peak": PEAK, "desat": 0}),
        ("zscale", {"t": "bt709", "m": "bt709", "r": "tv"}),
        ("format", {"pix_fmts": "yuv420p"}),
    ]


def _bent(light_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Mobius curve: the identity up to KNEE, smooth there, 1 at PEAK."""
    squared = KNEE * KNEE
    a = -squared * (PEAK - 1) / (squared - 2 * KNEE + PEAK)
    b = (squared - 2 * KNEE * PEAK + PEAK) / (PEAK - 1)
    scale = (b * b + 2 * b * KNEE + squared) / (b - a)
    bent_N = scale * (light_N + np.float32(a)) / (light_N + np.float32(b))
    curve_N: NDArray[np.float32] = np.where(light_N <= KNEE, light_N, bent_N)
    return curve_N


@cache
def _light_of_codes(transfer: str) -> NDArray[np.float32]:
    """Return the light of each 16-bit code: the display's for PQ, the scene's (0 to 1) for HLG."""
    code = np.arange(1 << 16) / ((1 << 16) - 1)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code * code / 3, (np.exp((code - c) / a) + b) / 12)
    else:
        m1, m2 = 2610 / 16384, 2523 / 32
        c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
        root = code ** (1 / m2)
        light = 100 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light.astype(np.float32)


@cache
def _codes_of_light() -> NDArray[np.uint8]:
    """Return the 8-bit code of each step of the square root of light."""
    light = (np.arange(STEPS) / (STEPS - 1)) ** 2
    return np.round(255 * light ** (1 / GAMMA)).astype(np.uint8)

"""Frame rates at which every library gives a pair of frames the same position in time.

Does: read how many temporal positions a checkpoint counts a second, refuse rates between them.
Does not: sample frames.

The model sees frames in pairs.  A pair's position is its time multiplied by the checkpoint's
positions a second; where that is no whole number, ms-swift, transformers and vLLM round it at
different places, and a model would be served other positions than it was trained on.
"""

from collections.abc import Mapping
from typing import Any

from mllm_affect.errors import UserError

TEMPORAL_PATCH = 2
USUAL_POSITIONS = 25
"""What transformers takes where a configuration does not say."""


def positions_per_second(config: Mapping[str, Any]) -> float:
    """Return the temporal positions a second of video of a checkpoint's config.json."""
    return float(config.get("thinker_config", {}).get("position_id_per_seconds", USUAL_POSITIONS))


def check_frame_rate(fps: float, positions: float) -> None:
    """Refuse a frame rate whose pairs are a fractional number of positions apart.

    `positions`: temporal positions a second.  Raises UserError `bad_sampling`.
    """
    step = TEMPORAL_PATCH * positions / fps
    if abs(step - round(step)) > 1e-9:
        raise UserError(
            "bad_sampling",
            f"At {fps:g} frames a second a pair of frames is {step:g} positions apart, which "
            f"training and serving round differently; choose a rate that divides "
            f"{TEMPORAL_PATCH * positions:g}.",
        )

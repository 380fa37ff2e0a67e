"""Whether a folder can be served, said before a server is started for it.

Does: look at config.json and the weight files' names and headers.  Does not: load weights.
"""

import json
import struct
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.frame_rate import check_frame_rate, positions_per_second
from mllm_affect.model.profile import FILE_NAME, ModelProfile, read_profile
from mllm_affect.model.variant import refuse_other_variant

MODEL_TYPE = "qwen3_omni_moe"
LENGTH_BYTES = 8
LARGEST_HEADER = 100 << 20


def check_checkpoint(folder: Path) -> ModelProfile:
    """Return the profile of a checkpoint that looks whole.

    Raises UserError `bad_checkpoint` with what is missing, `other_variant` for a Thinking or
    Captioner model, and `bad_sampling` for a frame rate at
    which no library agrees with another.
    """
    profile = read_profile(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config.get("model_type")
    except (ValueError, AttributeError, OSError) as error:
        raise _bad(folder, "its config.json is not readable JSON") from error
    if kind != MODEL_TYPE:
        raise _bad(folder, f"its model_type is {kind!r}, not {MODEL_TYPE!r}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise _bad(folder, "it holds no .safetensors weights (an adapter has to be merged first)")
    for path in weights:
        safetensors_header(path)
    if not (folder / "tokenizer_config.json").is_file():
        raise _bad(folder, "its tokenizer_config.json is missing")
    refuse_other_variant(folder, config, own=(folder / FILE_NAME).is_file())
    check_frame_rate((profile.sampling or Sampling()).fps, positions_per_second(config))
    return profile


def safetensors_header(path: Path) -> dict[str, Any]:
    """Return what a weight file says of its tensors, by name.

    Raises UserError `bad_checkpoint` for a file that does not hold as many bytes as it says.
    """
    size = path.stat().st_size
    damaged = _bad(path.parent, f"{path.name} is damaged or only a placeholder for the weights")
    with path.open("rb") as stream:
        head = stream.read(LENGTH_BYTES)
        length = struct.unpack("<Q", head)[0] if len(head) == LENGTH_BYTES else 0
        if not 0 < length <= min(LARGEST_HEADER, size - LENGTH_BYTES):
            raise damaged
        try:
            header: dict[str, Any] = json.loads(stream.read(length))
        except ValueError as error:
            raise damaged from error
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    if size != LENGTH_BYTES + length + max(ends, default=0):
        raise damaged
    return header


def _bad(folder: Path, reason: str) -> UserError:
    return UserError(
        "bad_checkpoint", f"{folder} cannot be served: {reason}; give a Qwen3-Omni checkpoint."
    )

"""What is needed of a Qwen3-Omni-30B-A3B folder to plan a training: its shape, no weights."""

import json
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
    "enable_audio_output": True,
    "thinker_config": {
        "position_id_per_seconds": 13,
        "text_config": {"num_hidden_layers": 48, "hidden_size": 2048, "num_experts": 128},
    },
}


def write_large_base(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "model-00001-of-00015.safetensors").write_bytes(b"")
    return folder

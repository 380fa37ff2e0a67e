"""Which model class a checkpoint folder needs: Qwen3-Omni, or ours with the evidence projector.

Does: read config.json.  Does not: load weights.
"""

import json
from pathlib import Path
from typing import Any

EVIDENCE = "EvidenceQwen3OmniMoeForConditionalGeneration"


def has_evidence(checkpoint: Path) -> bool:
    """Return whether the folder's config.json names our architecture."""
    try:
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
        return EVIDENCE in (config.get("architectures") or ())
    except (OSError, ValueError, AttributeError):
        return False


def model_class(checkpoint: Path) -> Any:
    """Return the transformers class to call `from_pretrained` of."""
    if has_evidence(checkpoint):
        from mllm_affect.model.evidence.thinker import EvidenceQwen3OmniMoeForConditionalGeneration

        return EvidenceQwen3OmniMoeForConditionalGeneration
    from transformers import Qwen3OmniMoeForConditionalGeneration

    return Qwen3OmniMoeForConditionalGeneration

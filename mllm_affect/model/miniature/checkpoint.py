"""A complete checkpoint folder of the miniature: weights, configuration, processor, profile.

Does: make an untrained model and write a folder that transformers, ms-swift and vLLM open
unaided.  Does not: train (see train) or keep a manifest (see manifest).
"""

from pathlib import Path
from typing import Any

from mllm_affect.model.miniature.architecture import Sizes, configuration
from mllm_affect.model.miniature.processor import SAMPLING, build_processor
from mllm_affect.model.miniature.tokenizer import SPECIAL_TOKENS, build_tokenizer
from mllm_affect.model.profile import ModelProfile, write_profile
from mllm_affect.model.quiet_loading import quiet_when_small

NOTE = (
    "A miniature of Qwen3-Omni (about one million weights) trained on procedurally made clips of "
    "schematic faces and synthetic voices. It shows that the chain works; what it says about "
    "real people means nothing."
)

ROLES = ("user", "assistant", "system")


def untrained_model(tokenizer: Any, seed: int, sizes: Sizes | None = None) -> Any:
    """Return a `Qwen3OmniMoeForConditionalGeneration` with random weights drawn from `seed`."""
    import torch
    from transformers import GenerationConfig, Qwen3OmniMoeForConditionalGeneration

    ids = {name: _single_id(tokenizer, name) for name in (*SPECIAL_TOKENS, *ROLES)}
    config = configuration(ids, vocabulary=len(tokenizer), sizes=sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3OmniMoeForConditionalGeneration(config)
    end, pad = ids["<|im_end|>"], ids["<|endoftext|>"]
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=[end, pad], pad_token_id=pad, max_new_tokens=64
    )
    return model.to(torch.float32).eval()


def _single_id(tokenizer: Any, text: str) -> int:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"{text!r} must be one token in the miniature's vocabulary, got {ids}")
    return int(ids[0])


def write_checkpoint(
    folder: Path, model: Any, processor: Any, prompt_hashes: dict[str, str] | None = None
) -> None:
    """Write weights, configuration, processor and profile into the existing folder `folder`."""
    with quiet_when_small(folder):
        model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # safetensors leaves them to the owner alone
    processor.save_pretrained(folder)
    write_profile(
        folder,
        ModelProfile(
            kind="miniature", sampling=SAMPLING, prompt_hashes=prompt_hashes or {}, note=NOTE
        ),
    )


def load_checkpoint(folder: Path) -> tuple[Any, Any]:
    """Return (model, processor) of a checkpoint folder, in float32, ready to answer."""
    import torch
    from transformers import AutoProcessor, Qwen3OmniMoeForConditionalGeneration

    with quiet_when_small(folder):
        model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoProcessor.from_pretrained(folder)


def write_untrained(folder: Path, seed: int = 0) -> None:
    """Write a complete checkpoint with random weights into `folder` (made if missing)."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    write_checkpoint(folder, untrained_model(tokenizer, seed), build_processor(tokenizer))

"""Folding a LoRA adapter into the weights it was trained on.

Does: read a plain peft adapter and write a complete checkpoint folder, one weight file at a
time, so that memory need not hold the model; everything but the adapted matrices is the base's.
Does not: build the model, train, or support adapters other than LoRA on linear layers.

Low-rank adaptation: W' = W + s B A with s = alpha / r (alpha / sqrt(r) where rank-stabilised);
Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
"""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.base import BaseCheckpoint
from finetune.folders import INDEX, copy_description, new_folder
from mllm_affect.errors import UserError
from mllm_affect.files import write_json

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
LANGUAGE_MODEL = "thinker.model."
TALKER = ("talker.", "code2wav.")
TRAINED_IN_FULL = "evidence_projector"
PROJECTOR = f"thinker.{TRAINED_IN_FULL}."


@dataclass(frozen=True)
class Adapter:
    """LoRA factors by the name of the weight they change: (A (r, in), B (out, r)).

    `trained`: weights that were trained in full beside them, by name.
    """

    factors: "Mapping[str, tuple[Tensor, Tensor]]"
    scale: float
    trained: "Mapping[str, Tensor]" = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """The weights that merging changes."""
        return {*self.factors, *self.trained}

    def delta(self, name: str) -> "Tensor":
        """Return what is added to weight `name`, float32 (out, in)."""
        a_RI, b_OR = self.factors[name]
        return (b_OR.float() @ a_RI.float()) * self.scale


def read_adapter(folder: Path) -> Adapter:
    """Read a peft LoRA adapter.  Raises UserError `bad_adapter`."""
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise UserError("bad_adapter", f"{folder} holds no {name}; give a peft LoRA folder.")
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / ADAPTER_WEIGHTS)
    except Exception as error:  # safetensors raises its own, undocumented kind
        raise UserError(
            "bad_adapter", f"The adapter in {folder} cannot be read: {error}"
        ) from error
    _check_kind(config, folder)
    root = math.sqrt(config["r"]) if config.get("use_rslora") else config["r"]
    trained = {
        key.removeprefix(PREFIX): tensors.pop(key)
        for key in list(tensors)
        if config.get("modules_to_save") and key.startswith(PREFIX + PROJECTOR)
    }
    return Adapter(_factors(tensors, folder), config["lora_alpha"] / root, trained)


def _check_kind(config: Mapping[str, Any], folder: Path) -> None:
    plain = config.get("peft_type") == "LORA" and config.get("bias", "none") == "none"
    extras = ("use_dora", "rank_pattern", "alpha_pattern", "target_parameters")
    used = [name for name in extras if config.get(name)]
    if set(config.get("modules_to_save") or ()) - {TRAINED_IN_FULL}:
        used.append("modules_to_save")
    if not plain or used:
        reason = f"it uses {', '.join(used)}" if used else f"it is {config.get('peft_type')}"
        raise UserError(
            "bad_adapter", f"The adapter in {folder} is not plain LoRA without bias: {reason}."
        )


def _factors(tensors: "Mapping[str, Tensor]", folder: Path) -> "dict[str, tuple[Tensor, Tensor]]":
    factors = {}
    for key, a_RI in tensors.items():
        if not key.endswith(".lora_A.weight"):
            continue
        b_OR = tensors.get(key.replace(".lora_A.", ".lora_B."))
        if b_OR is None:
            raise UserError("bad_adapter", f"{folder} lacks the second factor of {key}.")
        name = key.removeprefix(PREFIX).removesuffix(".lora_A.weight") + ".weight"
        factors[name] = (a_RI, b_OR)
    if 2 * len(factors) != len(tensors):
        raise UserError("bad_adapter", f"{folder} holds weights that are no LoRA factors.")
    return factors


def outside_language_model(adapter: Adapter) -> tuple[str, ...]:
    """Return the adapted weights that vLLM would not adapt on the fly (those of the towers)."""
    return tuple(name for name in adapter.factors if not name.startswith(LANGUAGE_MODEL))


def merge_adapter(
    adapter: Adapter,
    base: BaseCheckpoint,
    target: Path,
    *,
    keep_talker: bool = True,
) -> None:
    """Write the base with the adapter folded in as the new folder `target`, whole or not at all.

    Without the talker the checkpoint cannot speak, which the model server does not need.
    The folder still lacks this toolkit's profile and manifest.  Raises UserError `bad_adapter`
    when the adapter was not trained on such a base, and `out_exists` when `target` is there.
    """
    with new_folder(target) as temporary:
        copy_description(base.folder, temporary)
        changed: set[str] = set()
        for path in base.weight_files:
            changed |= _merge_file(adapter, path, temporary / path.name, keep_talker)
        missing = adapter.names - changed
        if missing:
            raise UserError(
                "bad_adapter",
                f"{base.folder} has no weight {min(missing)}; the adapter has another base.",
            )
        if not keep_talker:
            _describe_without_talker(temporary)


def _merge_file(adapter: Adapter, source: Path, target: Path, keep_talker: bool) -> set[str]:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, framework="pt") as weights:
        names = set(weights.keys())
        kept = names if keep_talker else {name for name in names if not is_talker(name)}
        changed = names & adapter.names
        if not changed and kept == names:
            shutil.copyfile(source, target)
            return changed
        tensors = {name: weights.get_tensor(name) for name in sorted(kept)}
        metadata = weights.metadata() or {"format": "pt"}
    for name in changed & adapter.trained.keys():
        if tensors[name].shape != adapter.trained[name].shape:
            raise UserError(
                "bad_adapter", f"Weight {name} has another shape in the base; it is another base."
            )
        tensors[name] = adapter.trained[name].contiguous()
    for name in changed & adapter.factors.keys():
        weight_OI, delta_OI = tensors[name], adapter.delta(name)
        if weight_OI.shape != delta_OI.shape:
            raise UserError(
                "bad_adapter",
                f"Weight {name} is {tuple(weight_OI.shape)} in the base and "
                f"{tuple(delta_OI.shape)} in the adapter; the adapter has another base.",
            )
        tensors[name] = (weight_OI.float() + delta_OI).to(weight_OI.dtype)
    if tensors:
        save_file(tensors, target, metadata=metadata)
    return changed


def is_talker(name: str) -> bool:
    """Whether a weight belongs to speech output."""
    return name.startswith(TALKER)


def _describe_without_talker(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", config | {"enable_audio_output": False})
    if (folder / INDEX).is_file():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        kept = {name: file for name, file in index["weight_map"].items() if not is_talker(name)}
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": kept})

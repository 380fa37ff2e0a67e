"""A composite checkpoint: a Qwen3-Omni and an evidence projector in one folder.

Does: copy a base, add the projector's weights under `thinker.evidence_projector.`, its settings to
config.json and the placeholders to the chat format.  Does not: train, resize embeddings (the
placeholders are reserved entries of the vocabulary) or load the base's weights.

The projector's weights are float32 whatever the base's are: steps of training are smaller than
bfloat16 can add to a weight, and most of them would be lost.
"""

import json
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError
from mllm_affect.files import write_json
from mllm_affect.model.evidence.config import TOKENS, EvidenceConfig, LossWeights
from mllm_affect.model.evidence.placing import with_pairs
from mllm_affect.model.model_class import EVIDENCE

PREFIX = "thinker.evidence_projector."
WEIGHTS_FILE = "evidence-projector.safetensors"
INDEX = "model.safetensors.index.json"
SINGLE, SHARD = "model.safetensors", "model-00001-of-00001.safetensors"
EMBEDDINGS = "thinker.model.embed_tokens.weight"
PLAIN = "Qwen3OmniMoeForConditionalGeneration"
FORMAT_FILES = ("chat_template.json", "tokenizer_config.json", "processor_config.json")
LEFT_OUT = ("manifest.json", "scoring.json")


def compose(
    base: Path,
    out: Path,
    settings: dict[str, Any] | None = None,
    losses: LossWeights | None = None,
    seed: int = 0,
) -> EvidenceConfig:
    """Write the composite of checkpoint `base` into the new or empty folder `out`.

    `settings`: fields of EvidenceConfig that differ from the defaults; `seed` draws the projector's
    weights.  Speech output is left out: it is not trained.  Raises UserError `bad_checkpoint`,
    `bad_evidence` and `out_exists`.
    """
    import torch

    from mllm_affect.model.evidence.projector import EvidenceProjector

    config = _read_config(base)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("out_exists", f"{out} exists already; name a new folder.")
    index = _weights_of(base)
    chosen = _settings(base, index, settings or {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projector = EvidenceProjector(chosen)
    weights = {PREFIX + name: value.float() for name, value in projector.state_dict().items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        _write(partial, base, index, weights)
        _describe(partial, config, chosen, losses or LossWeights(), _pair(base))
        partial.chmod(0o755)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return chosen


def _read_config(base: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((base / "config.json").read_text(encoding="utf-8"))
        architecture = (config.get("architectures") or [""])[0]
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(
            "bad_checkpoint", f"{base} holds no readable config.json; give a Qwen3-Omni folder."
        ) from error
    if architecture != PLAIN:
        raise UserError(
            "bad_checkpoint", f"{base} is a {architecture or 'nameless model'}, not a {PLAIN}."
        )
    return config


def _weights_of(base: Path) -> dict[str, str]:
    """Return which file holds each weight."""
    if (base / INDEX).is_file():
        found: dict[str, str] = json.loads((base / INDEX).read_text(encoding="utf-8"))["weight_map"]
        return found
    if not (base / SINGLE).is_file():
        raise UserError("bad_checkpoint", f"{base} holds no {SINGLE} and no {INDEX}.")
    from safetensors import safe_open

    with safe_open(base / SINGLE, framework="pt") as weights:
        return dict.fromkeys(weights.keys(), SINGLE)


def _settings(base: Path, index: dict[str, str], settings: dict[str, Any]) -> EvidenceConfig:
    """Return the settings, with the width and the length of the base's text embeddings."""
    from safetensors import safe_open

    if EMBEDDINGS not in index:
        raise UserError("bad_checkpoint", f"{base} holds no weight {EMBEDDINGS}.")
    with safe_open(base / index[EMBEDDINGS], framework="pt") as weights:
        embeddings_VD = weights.get_tensor(EMBEDDINGS)
    length = float(embeddings_VD.float().norm(dim=-1).mean())
    chosen = EvidenceConfig.beside(embeddings_VD.shape[1], settings)
    return replace(chosen, token_norm=settings.get("token_norm", round(length, 6)))


def _write(folder: Path, base: Path, index: dict[str, str], weights: dict[str, Any]) -> None:
    """Copy the base's files, add the projector's weights and say in the index what lies where."""
    from safetensors.torch import save_file

    for path in sorted(base.iterdir()):
        odd = path.name in (*LEFT_OUT, INDEX) or path.suffix == ".py" or path.name[0] == "."
        if path.is_file() and not odd:
            name = SHARD if path.name == SINGLE else path.name
            shutil.copyfile(path, folder / name)
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / WEIGHTS_FILE).chmod(0o644)
    where = {name: SHARD if file == SINGLE else file for name, file in index.items()}
    where |= dict.fromkeys(weights, WEIGHTS_FILE)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": where})


def _pair(base: Path) -> tuple[int, int]:
    """Return the ids of the two reserved tokens.  Raises UserError `bad_evidence`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    ids = [tokenizer(token, add_special_tokens=False)["input_ids"] for token in TOKENS]
    if any(len(some) != 1 for some in ids):
        raise UserError(
            "bad_evidence",
            f"The vocabulary of {base} has no entries {' and '.join(TOKENS)} to hold CT and IT.",
        )
    return ids[0][0], ids[1][0]


def _describe(
    folder: Path,
    config: dict[str, Any],
    chosen: EvidenceConfig,
    losses: LossWeights,
    pair: tuple[int, int],
) -> None:
    """Name the architecture, keep the settings, place the pair in every copy of the chat format."""
    config["architectures"] = [EVIDENCE]
    config["enable_audio_output"] = False
    config["thinker_config"]["evidence"] = {
        "projector": chosen.as_mapping(),
        "losses": asdict(losses),
        "content_token_id": pair[0],
        "instruction_token_id": pair[1],
    }
    write_json(folder / "config.json", config)
    changed = 0
    jinja = folder / "chat_template.jinja"
    if jinja.is_file():
        jinja.write_text(with_pairs(jinja.read_text(encoding="utf-8")), encoding="utf-8")
        changed += 1
    for name in FORMAT_FILES:
        if not (folder / name).is_file():
            continue
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        if isinstance(values.get("chat_template"), str):
            values["chat_template"] = with_pairs(values["chat_template"])
            write_json(folder / name, values)
            changed += 1
    if not changed:
        raise UserError("bad_evidence", "The checkpoint has no chat format to place evidence in.")

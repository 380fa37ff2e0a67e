"""The checkpoint that fine-tuning starts from, as its files describe it.

Does: find the folder, refuse what cannot be trained safely, read the facts that the training
command needs, hash the weights.  Does not: load weights.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.recipe import MINIATURE, Recipe
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.frame_rate import check_frame_rate, positions_per_second
from mllm_affect.model.miniature import embedded_checkpoint
from mllm_affect.model.model_class import EVIDENCE
from mllm_affect.model.profile import FILE_NAME, ModelProfile, read_profile
from mllm_affect.model.variant import refuse_other_variant
from mllm_affect.model.weights_hash import weights_hash
from mllm_affect.tasks.task import Task

ARCHITECTURE = "Qwen3OmniMoeForConditionalGeneration"
CONFIG_FILES = ("config.json", "tokenizer_config.json", "processor_config.json")


@dataclass(frozen=True)
class BaseCheckpoint:
    """A Qwen3-Omni folder.

    `positions_per_second`: temporal positions a second of video.  `has_evidence`: whether it comes
    with the evidence projector.
    """

    folder: Path
    layers: int
    positions_per_second: float
    profile: ModelProfile
    has_evidence: bool = False

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The safetensors files, sorted by name."""
        return tuple(sorted(self.folder.glob("*.safetensors")))

    def fingerprint(self) -> str:
        """Return one SHA-256 over the configuration and every weight file."""
        return weights_hash(self.folder)


def read_base(model: str | None, *, weights: bool = True) -> BaseCheckpoint:
    """Read the checkpoint that a recipe names; without `weights` its configuration will do.

    Raises UserError `no_model` when it names none, and `bad_checkpoint` when the folder is no
    Qwen3-Omni checkpoint or wants to run code of its own.
    """
    if model is None:
        raise UserError(
            "no_model", "The recipe names no checkpoint; give --model FOLDER (a Qwen3-Omni)."
        )
    folder = embedded_checkpoint() if model == MINIATURE else Path(model).expanduser().resolve()
    profile = read_profile(folder)
    config = _read_json(folder / "config.json")
    if not {ARCHITECTURE, EVIDENCE} & set(config.get("architectures") or ()):
        raise UserError(
            "bad_checkpoint",
            f"{folder} is a {config.get('architectures')}, not a {ARCHITECTURE}.",
        )
    _refuse_code(folder)
    refuse_other_variant(folder, config, own=(folder / FILE_NAME).is_file())
    base = BaseCheckpoint(
        folder=folder,
        layers=_layers(config, folder),
        positions_per_second=positions_per_second(config),
        profile=profile,
        has_evidence=EVIDENCE in config["architectures"],
    )
    if weights and not base.weight_files:
        raise UserError("bad_checkpoint", f"{folder} holds no .safetensors weights.")
    return base


def load_processor(folder: Path) -> Any:
    """Return the `Qwen3OmniMoeProcessor` of a checkpoint folder; nothing is looked up elsewhere.

    Raises UserError `bad_checkpoint`.
    """
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            "bad_checkpoint", f"{folder} holds no usable processor: {reason}"
        ) from error


def choose_sampling(recipe: Recipe, base: BaseCheckpoint, tasks: tuple[Task, ...]) -> Sampling:
    """Return how clips are sampled: the recipe's way, else the checkpoint's, else the tasks'.

    Tasks may choose frames by policies of their own; the sampling that gives the most is returned.
    Raises UserError `bad_sampling` when they disagree on rate or size, or when the frame rate gives
    frames fractional positions, which training and serving round differently.
    """
    wanted = [recipe.sampling or base.profile.fit(task).sampling for task in tasks]
    if len({(one.fps, one.max_pixels) for one in wanted}) > 1:
        raise UserError(
            "bad_sampling",
            "The tasks are sampled differently and one training has one frame rate; "
            "set sampling in the recipe.",
        )
    sampling = max(wanted, key=lambda one: one.most_frames(recipe.max_seconds))
    check_frame_rate(sampling.fps, base.positions_per_second)
    return sampling


def _layers(config: dict[str, Any], folder: Path) -> int:
    try:
        return int(config["thinker_config"]["text_config"]["num_hidden_layers"])
    except (KeyError, TypeError) as error:
        raise UserError(
            "bad_checkpoint", f"{folder}/config.json does not say how many layers it has."
        ) from error


def _refuse_code(folder: Path) -> None:
    # ms-swift loads every checkpoint with trust_remote_code.
    for name in CONFIG_FILES:
        if (folder / name).is_file() and "auto_map" in _read_json(folder / name):
            raise UserError(
                "bad_checkpoint",
                f"{folder / name} asks to run code that comes with the checkpoint (auto_map); "
                "Qwen3-Omni needs none: use a clean copy.",
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError("bad_checkpoint", f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError("bad_checkpoint", f"{path} is not a JSON object.")
    return value

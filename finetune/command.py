"""The exact ms-swift command for a recipe, and the environment it runs in.

Does: turn a recipe, a base checkpoint and a sampling into `swift sft` arguments and the
environment variables that only exist as such in ms-swift and qwen_omni_utils.
Does not: run anything, or read data.
"""

import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.base import BaseCheckpoint
from finetune.devices import VARIABLE
from finetune.merge import TRAINED_IN_FULL
from finetune.plugins import (
    EVALUATION_CALLBACK,
    EVALUATION_PLUGIN,
    EVIDENCE_OPTIMIZER,
    EVIDENCE_PLUGIN,
    RESUME_CALLBACK,
    RESUME_PLUGIN,
    REWARDS_PLUGIN,
)
from finetune.recipe import Recipe
from finetune.sampled_answers import grpo_arguments
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling

ROWS_NAME, GRPO_NAME = "rows.jsonl", "grpo.jsonl"
SWIFT_MODULE = "swift.cli.main"

CELL = 16
"""Side in pixels of the grid that qwen_omni_utils rounds frames to once told a merge size of 1.

With the true merge size of 2 it rounds the frames of a list to multiples of 64 (it applies the
merge twice) and enlarges small ones; our frames are final, in multiples of 32."""

LENGTH_SHARE = 0.9
"""Share of its sequence length that qwen_omni_utils allows a video to fill."""

CLEARED = (
    "MAX_PIXELS",
    "MIN_PIXELS",
    "VIDEO_MAX_PIXELS",
    "VIDEO_MIN_PIXELS",
    "VIDEO_TOTAL_PIXELS",
    "FPS_MIN_FRAMES",
    "FPS_MAX_FRAMES",
    "FRAME_FACTOR",
    "IMAGE_FACTOR",
    "MAX_RATIO",
    "USE_AUDIO_IN_VIDEO",
    "SAMPLING_RATE",
    "ROOT_IMAGE_DIR",
    "NNODES",
    "NODE_RANK",
    "NPROC_PER_NODE",
    "RAY_SWIFT_ARGS",
    "SWIFT_CONFIG_FILE",
    "TENSORBOARD_LOGGING_DIR",
    "LOG_LEVEL",
)
"""Variables of the user's shell that would change what the model is trained on."""


@dataclass(frozen=True)
class TrainingCommand:
    """`swift` arguments, the variables that are set for it, and the folder it runs in."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    folder: Path

    @property
    def argv(self) -> tuple[str, ...]:
        """What is executed: ms-swift's command line in this very Python."""
        return (sys.executable, "-m", SWIFT_MODULE, *self.arguments)

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the child's whole environment, given the parent's."""
        kept = {name: value for name, value in inherited.items() if name not in CLEARED}
        return kept | dict(self.variables)

    def resumed(self, checkpoint: Path) -> "TrainingCommand":
        """Return the command that goes on from a checkpoint of its own."""
        words = list(self.arguments)
        if words[words.index("--tuner_type") + 1] == "full":
            # The trainer itself would pass over the experts, whose weights have other names on
            # disk, and silently go on with the base's; loading the model translates them.
            words[words.index("--model") + 1] = str(checkpoint)
        return replace(self, arguments=(*words, "--resume_from_checkpoint", str(checkpoint)))

    def shell(self) -> str:
        """Return the command as one would type it."""
        variables = " ".join(f"{name}={shlex.quote(v)}" for name, v in self.variables.items())
        return f"cd {shlex.quote(str(self.folder))} && {variables} {shlex.join(self._typed())}"

    def _typed(self) -> tuple[str, ...]:
        return ("swift", *self.arguments)


def training_command(
    recipe: Recipe,
    base: BaseCheckpoint,
    sampling: Sampling,
    rows: Path,
    output: Path,
    gpus: str | None = None,
) -> TrainingCommand:
    """Return the command that trains on `rows`/rows.jsonl and writes checkpoints to `output`.

    `gpus`: the only ones that it sees, as in CUDA_VISIBLE_DEVICES (see devices); None: all.
    """
    arguments = {
        **_model_arguments(recipe, base),
        **_data_arguments(recipe),
        **_method_arguments(recipe, base),
        **_optimizer_arguments(recipe, base),
        **_device_arguments(recipe),
        **_output_arguments(recipe, output),
        **_plugin_arguments(recipe, base),
        **_report_arguments(recipe, output),
        **(grpo_arguments(recipe.grpo) if recipe.grpo else {}),
    }
    words = ["rlhf", "--rlhf_type", "grpo"] if recipe.grpo else ["sft"]
    for name, value in arguments.items():
        words.append(f"--{name}")
        words.extend(value if isinstance(value, tuple) else (value,))
    variables = media_variables(sampling, recipe.max_seconds)
    variables |= process_variables(recipe, output, gpus)
    return TrainingCommand(tuple(words), variables, rows)


def media_variables(sampling: Sampling, max_seconds: float) -> dict[str, str]:
    """Return the variables under which frames and audio pass through ms-swift unchanged."""
    cells = math.ceil(sampling.max_pixels / CELL**2)
    frames = sampling.most_frames(max_seconds)
    length = math.ceil(cells * frames / 2 / LENGTH_SHARE) + 1
    return {
        "FPS": str(float(sampling.fps)),
        "SPATIAL_MERGE_SIZE": "1",
        "IMAGE_MIN_TOKEN_NUM": "1",
        "IMAGE_MAX_TOKEN_NUM": str(cells),
        "VIDEO_MIN_TOKEN_NUM": "1",
        "VIDEO_MAX_TOKEN_NUM": str(cells),
        "MODEL_SEQ_LEN": str(max(length, 128_000)),
        # The other loader imports librosa, three seconds for the same samples.
        "SWIFT_AUDIO_LOAD_BACKEND": "soundfile_pyav",
        "ENABLE_AUDIO_OUTPUT": "0",
    }


def process_variables(recipe: Recipe, output: Path, gpus: str | None = None) -> dict[str, str]:
    """Return the variables that keep the child offline, tidy and off other devices."""
    variables = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(output / "cache"),
        "USE_HF": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    if gpus is not None or recipe.use_cpu:
        # ms-swift puts the model on every GPU that it can see, whatever use_cpu says.
        variables[VARIABLE] = gpus or ""
    if recipe.use_cpu:
        # One thread: models that fit a CPU are fastest so beside the reader of rows, and their
        # weights do not depend on how many cores there are.
        variables |= {
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "passive",
        }
    if recipe.gpus > 1:
        variables |= {"NPROC_PER_NODE": str(recipe.gpus)}
    return variables


def _model_arguments(recipe: Recipe, base: BaseCheckpoint) -> dict[str, str]:
    return {
        "model": str(base.folder),
        **_kind_arguments(recipe, base),
        "check_model": "false",
        "torch_dtype": recipe.dtype,
        # Left alone, ms-swift trains float32 weights under float16 autocast.
        "fp16": "false",
        "bf16": _flag(recipe.dtype == "bfloat16"),
        "attn_impl": recipe.attention,
    }


def _kind_arguments(recipe: Recipe, base: BaseCheckpoint) -> dict[str, str]:
    """Return how ms-swift knows the model; ours comes with a plugin, and with columns of its own.

    Raises UserError `bad_recipe` for a checkpoint with evidence under deepspeed: there ms-swift
    replaces the forward pass that computes it.
    """
    if not base.has_evidence:
        return {"model_type": "qwen3_omni_moe", "template": "qwen3_omni"}
    if recipe.deepspeed or recipe.grpo:
        raise UserError(
            "bad_recipe",
            "A checkpoint with evidence cannot be trained with deepspeed or grpo yet; unset it.",
        )
    return {
        "model_type": "qwen3_omni_moe_evidence",
        "template": "qwen3_omni_evidence",
        "remove_unused_columns": "false",
    }


def _data_arguments(recipe: Recipe) -> dict[str, str]:
    return {
        "dataset": GRPO_NAME if recipe.grpo else ROWS_NAME,
        "strict": "true",
        "split_dataset_ratio": "0",
        "max_length": str(recipe.max_length),
        "dataloader_num_workers": str(recipe.loader_workers),
        "seed": str(recipe.seed),
        "data_seed": str(recipe.seed),
    }


def _method_arguments(recipe: Recipe, base: BaseCheckpoint) -> dict[str, str | tuple[str, ...]]:
    if recipe.method == "full":
        return {"tuner_type": "full", **_frozen(recipe)}
    return {
        "tuner_type": "lora",
        "lora_rank": str(recipe.lora_rank),
        "lora_alpha": f"{recipe.lora_alpha:g}",
        "lora_dropout": f"{recipe.lora_dropout:g}",
        "target_modules": lora_modules(recipe, base),
        **({"modules_to_save": TRAINED_IN_FULL} if base.has_evidence else {}),
    }


MODULES = {
    "vision": ("thinker.visual",),
    "audio": ("thinker.audio_tower",),
    "projectors": (
        "thinker.visual.merger",
        "thinker.visual.merger_list",
        "thinker.audio_tower.proj1",
        "thinker.audio_tower.proj2",
    ),
    "llm": ("thinker.model", "thinker.lm_head"),
}
"""Names that the parameters of each part begin with; the projectors lie inside the towers."""


def _frozen(recipe: Recipe) -> dict[str, str | tuple[str, ...]]:
    """Return what is frozen, part by part: ms-swift's own switches know the towers as one only.

    Its switch of the projectors (aligner) agrees with ours: off, it trains them whatever the names
    say.
    """
    arguments: dict[str, str | tuple[str, ...]] = {
        "freeze_llm": "false",
        "freeze_vit": "false",
        "freeze_aligner": str("projectors" in recipe.frozen).lower(),
    }
    frozen = tuple(name for part in MODULES if part in recipe.frozen for name in MODULES[part])
    if frozen:
        arguments["freeze_parameters"] = frozen
    if "projectors" not in recipe.frozen:
        arguments["trainable_parameters"] = MODULES["projectors"]
    return arguments


def lora_modules(recipe: Recipe, base: BaseCheckpoint) -> tuple[str, ...]:
    """Return the full names of the modules that get an adapter.

    In full, because peft reduces a pattern (and `all-linear`) to the last parts of the names
    that match, which the audio tower has too; vLLM applies no adapter there.
    """
    return tuple(
        f"thinker.model.layers.{layer}.self_attn.{target}"
        for layer in range(base.layers)
        for target in recipe.lora_targets
    )


def _optimizer_arguments(recipe: Recipe, base: BaseCheckpoint) -> dict[str, str]:
    length = (
        {"max_steps": str(recipe.max_steps)}
        if recipe.max_steps is not None
        else {"num_train_epochs": f"{recipe.epochs:g}"}
    )
    return {
        "learning_rate": f"{recipe.learning_rate:g}",
        "lr_scheduler_type": recipe.schedule,
        "warmup_ratio": f"{recipe.warmup_ratio:g}",
        "weight_decay": f"{recipe.weight_decay:g}",
        **length,
        "per_device_train_batch_size": str(recipe.batch_size),
        "gradient_accumulation_steps": str(recipe.accumulation),
        "gradient_checkpointing": _flag(recipe.gradient_checkpointing),
        **(_evidence_optimizer(recipe) if base.has_evidence else {}),
    }


def _evidence_optimizer(recipe: Recipe) -> dict[str, str]:
    """Return the optimizer that evidence_plugin registers.

    ms-swift has no argument for a learning rate of our module; that of the `aligner`, which only
    an optimizer that we do not use reads, carries it.
    """
    return {"optimizer": EVIDENCE_OPTIMIZER, "aligner_lr": f"{recipe.evidence_learning_rate:g}"}


def _device_arguments(recipe: Recipe) -> dict[str, str]:
    arguments = {"use_cpu": _flag(recipe.use_cpu)}
    if recipe.deepspeed:
        arguments["deepspeed"] = recipe.deepspeed
    return arguments


def _output_arguments(recipe: Recipe, output: Path) -> dict[str, str]:
    return {
        "output_dir": str(output),
        "add_version": "false",
        "save_strategy": "steps",
        # The last step is always saved; a number beyond it means nothing in between.
        "save_steps": str(recipe.save_steps or 1_000_000_000),
        "save_total_limit": "2",
        # Without checkpoints in between there is nothing to go on from but the end.
        "save_only_model": _flag(recipe.save_steps is None and recipe.evaluation is None),
    }


def _plugin_arguments(recipe: Recipe, base: BaseCheckpoint) -> dict[str, str | tuple[str, ...]]:
    plugins, callbacks = [RESUME_PLUGIN], [RESUME_CALLBACK]
    if recipe.evaluation:
        plugins.append(EVALUATION_PLUGIN)
        callbacks.append(EVALUATION_CALLBACK)
    if base.has_evidence:
        plugins.append(EVIDENCE_PLUGIN)
    if recipe.grpo:
        plugins.append(REWARDS_PLUGIN)
    return {"external_plugins": tuple(map(str, plugins)), "callbacks": tuple(callbacks)}


def _report_arguments(recipe: Recipe, output: Path) -> dict[str, str]:
    arguments = {"logging_steps": "1", "report_to": recipe.report_to}
    if recipe.report_to == "tensorboard":
        # Beside the work folder, which goes in the end.
        arguments["logging_dir"] = str(output.parent / recipe.report_to)
    return arguments


def _flag(value: bool) -> str:
    return "true" if value else "false"

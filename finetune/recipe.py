"""A recipe: everything that decides how a checkpoint is fine-tuned.

Does: state the fields with their meaning and defaults, read a shipped recipe by name or a YAML
file by path, and apply changes to it.  Does not: look at checkpoints or data, or build commands.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from finetune.calibrate import CalibrateStage
from finetune.evaluating.stage import EvaluationStage
from finetune.labelling import Balance, SegmentRule
from finetune.megc.rule import ExpressionRule
from finetune.sampled_answers import SampledAnswers
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import LONGEST_SEGMENT_S

MINIATURE = "miniature"
"""The value of `model` that stands for the miniature inside the package."""


PARTS = ("vision", "audio", "projectors", "llm")

ALSO_CALLED = {
    "lora-2gpu": "qwen3-omni-30b-a3b-lora",
    "full-8gpu": "qwen3-omni-30b-a3b-full",
    "lora-1gpu": "qwen3-omni-30b-a3b-lora-1gpu",
    "miniature": "miniature-lora",
    "grpo": "miniature-grpo",
}
"""Short names of shipped recipes."""


class Recipe(BaseModel):
    """How to fine-tune a Qwen3-Omni checkpoint through ms-swift."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    title: str = Field("", description="One line on what this recipe is for.")
    notes: str = Field("", description="What a user should know before running it.")

    model: str | None = Field(
        None, description="Folder of the checkpoint to start from, or `miniature`."
    )
    data: Path | None = Field(
        None,
        description="Folder with examples.jsonl and its videos, a release of BAH, or the files of "
        "the micro-expression challenge.",
    )
    tasks: tuple[str, ...] = Field(
        ("ah",),
        min_length=1,
        description="Task ids, families of tasks or prompt files to train on.",
    )
    split: str = Field("train", description="Which split of the examples to train on.")
    max_seconds: float = Field(
        5.0,
        gt=0,
        le=LONGEST_SEGMENT_S,
        description="Longest segment, in seconds; the checkpoint records it, and everything that "
        "asks the checkpoint cuts videos so. The micro-expression tasks have bounds of their own "
        "and take no other.",
    )
    sampling: Sampling | None = Field(
        None,
        description="Rate, size and policy of frames; else rate and size are the checkpoint's own "
        "and the rest the task's.",
    )

    segment_rule: SegmentRule = Field(
        SegmentRule(),
        description="Which segments of a video with annotated spans are positive; fields: "
        "positive_s, positive_share, negative_share, unclear (drop, negative).",
    )
    expressions: ExpressionRule = Field(
        ExpressionRule(),
        description="Which rows the micro-expression tasks train on; fields: leave_out, "
        "no_per_yes, calm_per_event, positive_share, negative_share, rarest_kind.",
    )
    balance: Balance = Field(
        "none",
        description="Make all answers as frequent: repeat rows of the rarer (oversample), or leave "
        "out rows of the others (undersample).",
    )
    balance_seed: int | None = Field(
        None, ge=0, description="Seed of the balance; null: that of the training."
    )

    method: Literal["lora", "full"] = Field("lora", description="Adapter, or all weights.")
    lora_rank: int = Field(8, ge=1, le=1024, description="Rank of the adapter.")
    lora_alpha: float = Field(32.0, gt=0, description="Scale of the adapter, before / rank.")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="Dropout on the adapter's input.")
    lora_targets: tuple[Literal["q_proj", "k_proj", "v_proj", "o_proj"], ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj"),
        min_length=1,
        description="Attention projections of the language model that get an adapter.",
    )
    frozen: tuple[Literal["vision", "audio", "projectors", "llm"], ...] = Field(
        ("vision", "audio", "projectors"),
        description="Parts that stay as they are (full method): the towers, what projects them "
        "into the language model, and that model.",
    )

    learning_rate: float = Field(1e-5, gt=0, lt=1, description="Peak learning rate.")
    evidence_learning_rate: float = Field(
        1e-3,
        gt=0,
        lt=1,
        description="Peak learning rate of the evidence projector, which starts from random "
        "weights; of no effect without one.",
    )
    warmup_ratio: float = Field(0.0, ge=0, lt=1, description="Share of steps that warm up.")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="How the learning rate falls after warm-up."
    )
    weight_decay: float = Field(0.1, ge=0, description="AdamW weight decay.")
    epochs: float | None = Field(None, gt=0, description="Passes over the rows (or max_steps).")
    max_steps: int | None = Field(None, ge=1, description="Optimizer steps (or epochs).")
    batch_size: int = Field(1, ge=1, description="Rows a device and step.")
    accumulation: int = Field(1, ge=1, description="Steps whose gradients are added up.")
    max_length: int = Field(32768, ge=64, description="Longest row, in tokens; longer is an error.")
    seed: int = Field(42, ge=0, description="Seed of weights, dropout and row order.")

    check_merge: int = Field(
        64,
        ge=0,
        le=10_000,
        description="Prompts on which the merged checkpoint must answer as the adapter; 0: none.",
    )

    calibrate: CalibrateStage | None = Field(
        None,
        description="After training, fit scoring.json on a split, as in `{split: val}`; fields: "
        "split, poolings, folds, bias, threshold, seed, abstention.",
    )

    evaluation: EvaluationStage | None = Field(
        None,
        description="Ask the videos of a split every so many steps and behind the last; keep "
        "the checkpoint with the best Macro-F1, as in `{split: val, every: 50, patience: 3}`; "
        "fields: split, every, and patience, after how many evaluations without a better one "
        "training ends.",
    )

    grpo: SampledAnswers | None = Field(
        None,
        description="Train on rewards of sampled answers instead of the labels, as in "
        "`{samples: 8}`; fields: samples, temperature, top_k, max_new_tokens, rewards, beta. "
        "batch_size then counts answers.",
    )

    dtype: Literal["float32", "bfloat16"] = Field("bfloat16", description="Weights and compute.")
    use_cpu: bool = Field(False, description="Train on the CPU even where there is a GPU.")
    gpus: int = Field(
        1, ge=1, le=64, description="GPUs of this machine, one process each; on a CPU, processes."
    )
    deepspeed: Literal["zero2", "zero3"] | None = Field(
        None, description="Share optimizer (zero2) and weights (zero3) between the GPUs."
    )
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field(
        "sdpa", description="Attention implementation."
    )
    gradient_checkpointing: bool = Field(True, description="Less memory for more compute.")
    loader_workers: int = Field(1, ge=0, le=64, description="Processes that read rows.")
    report_to: Literal["tensorboard", "wandb", "none"] = Field(
        "tensorboard",
        description="Also write curves for TensorBoard, into OUT/tensorboard, or send them to "
        "Weights & Biases (its package is the extra `wandb`).",
    )
    save_steps: int | None = Field(
        None, ge=1, description="Also keep a checkpoint every so many steps; always at the end."
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give exactly one of epochs and max_steps")
        if self.use_cpu and self.deepspeed:
            raise ValueError("use_cpu excludes deepspeed")
        if self.grpo and self.effective_batch % self.grpo.samples:
            raise ValueError("the rows of a step must be whole groups of grpo.samples")
        if self.method == "full" and len(set(self.frozen)) == len(PARTS):
            raise ValueError("frozen leaves nothing to train")
        if self.use_cpu and self.dtype != "float32":
            raise ValueError("use_cpu needs dtype float32")
        return self

    @property
    def effective_batch(self) -> int:
        """Rows an optimizer step sees."""
        return self.batch_size * self.accumulation * self.gpus


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package, sorted."""
    names = (entry.name for entry in (files("finetune") / "recipes").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def load_recipe(name_or_path: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a shipped recipe by either name, or a YAML file by path, and apply `changes` to it.

    Raises UserError `unknown_recipe` or `bad_recipe`.
    """
    known = shipped_recipes()
    name_or_path = ALSO_CALLED.get(name_or_path, name_or_path)
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        if not path.is_file():
            raise UserError(
                "unknown_recipe",
                f"No recipe file at {path}; check the path or use one of {', '.join(known)}.",
            )
        return parse_recipe(path.read_text(encoding="utf-8"), str(path), changes)
    if name_or_path not in known:
        raise UserError(
            "unknown_recipe",
            f"No recipe is called {name_or_path!r}; use one of {', '.join(known)} or a .yaml file.",
        )
    text = (files("finetune") / "recipes" / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    return parse_recipe(text, f"recipe {name_or_path}", changes)


def parse_recipe(text: str, where: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Parse YAML text; `where` names it in errors.  Raises UserError `bad_recipe`.

    Setting one of `epochs` and `max_steps` by a change unsets the other.
    """
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise UserError("bad_recipe", f"{where} is not YAML: {reason}") from error
    if not isinstance(fields, dict):
        raise UserError("bad_recipe", f"{where} must be a mapping of recipe fields.")
    for chosen, other in (("epochs", "max_steps"), ("max_steps", "epochs")):
        if chosen in (changes or {}):
            fields.pop(other, None)
    try:
        return Recipe.model_validate(fields | dict(changes or {}))
    except ValidationError as error:
        reasons = "; ".join(
            ": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"])))
            for item in error.errors()
        )
        raise UserError("bad_recipe", f"{where} cannot be used: {reasons}.") from error


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """Turn `key=value` words (values in YAML) into changes.  Raises UserError `bad_setting`."""
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise UserError(
                "bad_setting", f"--set needs key=value, as in --set max_steps=20, not {setting!r}."
            )
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError("bad_setting", f"--set {setting!r} is not a YAML value.") from error
        if isinstance(changes[key.strip()], str):
            changes[key.strip()] = _number_or_text(changes[key.strip()])
    return changes


def _number_or_text(value: str) -> float | str:
    # YAML 1.1 reads 1e-5 as text.
    try:
        return float(value)
    except ValueError:
        return value

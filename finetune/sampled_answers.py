"""Reinforcement learning by ms-swift's GRPO: its settings and the options that follow from them.

Does: describe the settings; turn them into `swift rlhf` arguments.  Does not: reward (see
rewarding) or write the rest of the command.

After Shao et al., "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language
Models", 2024: several answers a prompt are sampled, and each is held against their mean reward.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

REWARD_NAMES = {"right": "mllm_affect_right", "allowed": "mllm_affect_allowed"}


class SampledAnswers(BaseModel):
    """How answers are sampled and rewarded.

    `top_k` keeps sampling to likely tokens: one that stands for media would break the prompt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(8, ge=2, le=256)
    temperature: float = Field(1.0, gt=0, le=10)
    top_k: int = Field(20, ge=1)
    max_new_tokens: int = Field(16, ge=1, le=4096)
    rewards: tuple[Literal["right", "allowed"], ...] = Field(("right", "allowed"), min_length=1)
    beta: float = Field(0.0, ge=0)


def grpo_arguments(asked: SampledAnswers) -> dict[str, str | tuple[str, ...]]:
    """Return the options of `swift rlhf` that sampling and rewarding need."""
    return {
        "num_generations": str(asked.samples),
        "temperature": f"{asked.temperature:g}",
        "top_k": str(asked.top_k),
        "max_completion_length": str(asked.max_new_tokens),
        "beta": f"{asked.beta:g}",
        "reward_funcs": tuple(REWARD_NAMES[name] for name in asked.rewards),
        "use_vllm": "false",
    }

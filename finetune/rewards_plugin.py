"""Reward functions for `swift rlhf --rlhf_type grpo --external_plugins .../rewards_plugin.py`.

Does: register `mllm_affect_right` and `mllm_affect_allowed` with ms-swift; name either after
`--reward_funcs`.  Does not: decide what is right (see rewarding).  ms-swift imports this file by
its path; the columns `solution` and `allowed` come from grpo.jsonl.
"""

from typing import Any

from swift.infer_engine.protocol import InferRequest
from swift.rewards import ORM, orms

from finetune.rewarding import allowed_answers, right_answers


class RightAnswer(ORM):  # type: ignore[misc]
    """1 for exactly the right answer, else 0."""

    def __call__(self, completions: list[str], solution: list[str], **_columns: Any) -> list[float]:
        """Return a reward a completion."""
        return right_answers(completions, solution)


class AllowedAnswer(ORM):  # type: ignore[misc]
    """1 for exactly one of the allowed answers, right or wrong, else 0."""

    def __call__(
        self, completions: list[str], allowed: list[list[str]], **_columns: Any
    ) -> list[float]:
        """Return a reward a completion."""
        return allowed_answers(completions, allowed)


# A video is a list of frames here, everywhere; for a sampled answer ms-swift 4.6 expects a path.
InferRequest.__annotations__["videos"] = list[Any]

orms["mllm_affect_right"] = RightAnswer
orms["mllm_affect_allowed"] = AllowedAnswer

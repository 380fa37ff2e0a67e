"""Which experts a model's routers choose, so that a second model's can be held against them.

Does: keep the choices of one model and settle as it did where the other finds two experts equal
but for rounding.  Does not: change a choice that is clear.

Routers choose the k most probable experts.  Where the k-th and the next are as good as equal, the
rounding of a sum decides, which no two ways of computing the same weights share; a whole expert
more or less then moves the logits far beyond rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Routing:
    """The choices of one model over some prompts, in the order in which they were made.

    `tie`: the largest difference of two router probabilities that counts as none.
    `settled`: how many tokens of the second model were given the first one's experts.
    """

    tie: float
    settled: int = 0
    _chosen: "list[Tensor]" = field(default_factory=list)

    @contextmanager
    def kept(self, model: Any) -> Iterator[None]:
        """Keep what the routers of `model` choose within."""

        def keep(_router: Any, _given: Any, made: "tuple[Tensor, Tensor, Tensor]") -> None:
            self._chosen.append(made[2].cpu())

        with _watched(model, keep):
            yield

    @contextmanager
    def followed(self, model: Any) -> Iterator[None]:
        """Settle ties of `model` as the kept choices say; it must be asked the same, in order."""
        kept = iter(self._chosen)

        def follow(router: Any, _given: Any, made: "tuple[Tensor, Tensor, Tensor]") -> Any:
            logits_TE, scores_TK, own_TK = made
            chosen_TK = next(kept).to(own_TK.device)
            probability_TE = logits_TE.float().softmax(-1)  # as the router computes them
            tied_T1 = ties(probability_TE, own_TK, chosen_TK, self.tie)[:, None]
            self.settled += int(tied_T1.sum())
            theirs_TK = probability_TE.gather(-1, chosen_TK)
            if router.norm_topk_prob:
                theirs_TK /= theirs_TK.sum(-1, keepdim=True)
            settled_TK = theirs_TK.to(scores_TK.dtype).where(tied_T1, scores_TK)
            return logits_TE, settled_TK, chosen_TK.where(tied_T1, own_TK)

        with _watched(model, follow):
            yield


def ties(probability_TE: "Tensor", own_TK: "Tensor", chosen_TK: "Tensor", tie: float) -> "Tensor":
    """Return (T,) bool: another set of experts, and none of it worse by more than `tie`.

    `probability_TE` of every expert, by token; `own_TK` and `chosen_TK`: two choices of experts.
    """
    other_T = (own_TK.sort(-1).values != chosen_TK.sort(-1).values).any(-1)
    worst_T = probability_TE.gather(-1, chosen_TK).amin(-1)
    best_left_out_T = probability_TE.scatter(-1, chosen_TK, 0.0).amax(-1)
    return other_T & (best_left_out_T - worst_T <= tie)


@contextmanager
def _watched(model: Any, hook: Any) -> Iterator[None]:
    from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import (
        Qwen3OmniMoeThinkerTextTopKRouter as Router,
    )

    routers = [module for module in model.modules() if isinstance(module, Router)]
    handles = [router.register_forward_hook(hook) for router in routers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

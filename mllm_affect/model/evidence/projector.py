"""The whole projector: a video's patches to CT and IT, and what is learned on the way.

Does: put encoder, fusion and graph together, answer counterfactually, mute tokens for ablations.
Does not: know the language model, beyond the width of its embeddings.
"""

from dataclasses import dataclass
from typing import cast, get_args

import torch
from torch import Tensor, nn

from mllm_affect.model.evidence.config import EvidenceConfig, Token
from mllm_affect.model.evidence.counterfactual import swap_appearance
from mllm_affect.model.evidence.encoder import EvidenceEncoder
from mllm_affect.model.evidence.face_moments import face_moments
from mllm_affect.model.evidence.fusion import ConcatFusion, GranularFusion, granular_tokens
from mllm_affect.model.evidence.graph import UnitGraph


@dataclass(frozen=True)
class Evidence:
    """Of B clips: tokens_B2D (CT, then IT, muted ones zero), instruction_BD (IT, muted or not),
    units_BA logits of the head on both, nodes_BA logits of the graph's nodes, weights: who heard
    whom in each round.  changed_M: places of the clips that have a partner; moved_MA: their units'
    logits had that person moved so, None without any."""

    tokens_B2D: Tensor
    instruction_BD: Tensor
    units_BA: Tensor
    nodes_BA: Tensor
    weights: list[Tensor]
    changed_M: Tensor
    moved_MA: Tensor | None


class EvidenceProjector(nn.Module):
    """Visual evidence encoder, MGE-EFP, R-AUGNN and two heads of action units.

    `answer_head` reads the language model's last state before the answer: the measured one.
    `muted` names tokens ("content", "instruction") that are set to zero: those that the
    configuration does not give, or more, to see what they carry.
    """

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = EvidenceEncoder(config)
        fusion = {"mge_efp": GranularFusion, "concat": ConcatFusion}[config.fusion]
        self.fusion: nn.Module = fusion(config)
        self.graph = UnitGraph(config)
        self.evidence_head = nn.Linear(2 * config.hidden, len(config.units))
        self.answer_head = nn.Linear(config.hidden, len(config.units))
        self.muted = frozenset(get_args(Token)) - set(config.given)

    def forward(
        self, patches_NV: Tensor, grid_B3: Tensor, partner_B: Tensor | None = None
    ) -> Evidence:
        """Return the evidence of each video of a batch; see face_moments for the patches.

        `partner_B` names for each clip the one whose appearance it is given in the counterfactual,
        itself where there is none (see partners).
        """
        face_BTHW = face_moments(patches_NV, grid_B3, self.config)
        mid_BCTHW = self.encoder.mid_map(face_BTHW.to(self.encoder.stem.weight.dtype))
        return self.of_map(mid_BCTHW, partner_B)

    def of_map(self, mid_BCTHW: Tensor, partner_B: Tensor | None = None) -> Evidence:
        """Return the evidence that mid-level maps give.

        Of a counterfactual both tokens are computed anew.  Both ways go through the network in one
        batch.
        """
        rows, changed_M = len(mid_BCTHW), _changed(partner_B)
        maps = mid_BCTHW
        if partner_B is not None and len(changed_M):
            swapped = swap_appearance(mid_BCTHW, changed_M, partner_B[changed_M])
            maps = torch.cat([mid_BCTHW, swapped])
        tokens, high = granular_tokens(maps), self.encoder.high_vector(maps)
        contents = self.fusion(tokens, high)
        instructions, nodes, weights = self.graph(tokens, high)
        units = self._units(contents, instructions)
        both_B2D = torch.stack([contents[:rows], instructions[:rows]], dim=1)
        return Evidence(
            self._mute(both_B2D), instructions[:rows], units[:rows], nodes[:rows],
            [heard[:rows] for heard in weights], changed_M,
            units[rows:] if len(changed_M) else None,
        )  # fmt: skip

    def _units(self, content_BD: Tensor, instruction_BD: Tensor) -> Tensor:
        # Both tokens have the same small length; the head sees them at unit variance.
        joined = torch.cat([_unit_variance(content_BD), _unit_variance(instruction_BD)], dim=-1)
        return cast(Tensor, self.evidence_head(joined))

    def _mute(self, tokens_B2D: Tensor) -> Tensor:
        if not self.muted:
            return tokens_B2D
        kept = torch.tensor(
            [name not in self.muted for name in get_args(Token)],
            device=tokens_B2D.device,
        )
        return tokens_B2D * kept[None, :, None].to(tokens_B2D.dtype)


def _changed(partner_B: Tensor | None) -> Tensor:
    """Return which clips have a partner, by place."""
    if partner_B is None:
        return torch.empty(0, dtype=torch.long)
    return (partner_B != torch.arange(len(partner_B), device=partner_B.device)).nonzero()[:, 0]


def _unit_variance(token_BD: Tensor) -> Tensor:
    return nn.functional.layer_norm(token_BD, token_BD.shape[-1:])

"""The whole projector: a video's patches to CT and IT, and what is learned on the way.

Does: put encoder, fusion and graph together, answer counterfactually, mute tokens for ablations.
Does not: know the language model, beyond the width of its embeddings.
"""

from dataclasses import dataclass
from typing import cast, get_args

import torch
from torch import Tensor, nn

from mllm_affect.model.evidence.config import EvidenceConfig, Token
from mllm_affect.model.evidence.counterfactual import partners, swap_appearance
from mllm_affect.model.evidence.encoder import EvidenceEncoder
from mllm_affect.model.evidence.face_motion import face_motion
from mllm_affect.model.evidence.fusion import ConcatFusion, GranularFusion, granular_tokens
from mllm_affect.model.evidence.graph import UnitGraph


@dataclass(frozen=True)
class Evidence:
    """Of B clips: tokens_B2D (CT, then IT, muted ones zero), instruction_BD (IT, muted or not),
    units_BA logits of the head on both, nodes_BA logits of the graph's nodes, weights: who heard
    whom in each round, mid_BCTHW the mid-level map."""

    tokens_B2D: Tensor
    instruction_BD: Tensor
    units_BA: Tensor
    nodes_BA: Tensor
    weights: list[Tensor]
    mid_BCTHW: Tensor


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

    def forward(self, patches_NV: Tensor, grid_B3: Tensor) -> Evidence:
        """Return the evidence of each video of a batch; see face_motion for the patches."""
        face = face_motion(patches_NV, grid_B3, self.config)
        return self.of_map(self.encoder.mid_map(face.to(self.encoder.stem.weight.dtype)))

    def of_map(self, mid_BCTHW: Tensor) -> Evidence:
        """Return the evidence that mid-level maps give."""
        tokens_BNC = granular_tokens(mid_BCTHW)
        high_BD = self.encoder.high_vector(mid_BCTHW)
        content_BD = self.fusion(tokens_BNC, high_BD)
        instruction_BD, nodes_BA, weights = self.graph(tokens_BNC, high_BD)
        units_BA = self._units(content_BD, instruction_BD)
        both_B2D = torch.stack([content_BD, instruction_BD], dim=1)
        return Evidence(
            self._mute(both_B2D), instruction_BD, units_BA, nodes_BA, weights, mid_BCTHW
        )

    def counterfactual(
        self, evidence: Evidence, labels_BA: Tensor, subjects_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the units' logits (B, A) had another person moved so, and who has a partner (B).

        The content token is computed anew from the swapped map; the instruction token stays.
        """
        partner_B = partners(labels_BA, subjects_B)
        mid_BCTHW = swap_appearance(evidence.mid_BCTHW, partner_B)
        content_BD = self.fusion(granular_tokens(mid_BCTHW), self.encoder.high_vector(mid_BCTHW))
        own_B = torch.arange(len(partner_B), device=partner_B.device)
        return self._units(content_BD, evidence.instruction_BD), partner_B != own_B

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


def _unit_variance(token_BD: Tensor) -> Tensor:
    return nn.functional.layer_norm(token_BD, token_BD.shape[-1:])

"""R-AUGNN, the relation-aware action-unit graph network.

Does: let action units speak along the edges of the sparse prior, with learned strengths, and pool
them into one instruction token.  Does not: choose the edges (see prior).
From the abstract: a sparse structural prior whose interaction strengths are learned.  Our reading:
a node a unit; layers of attention masked by the prior, with a bias and a message for each kind of
relation and a learned strength for each edge; an attention pool over the nodes.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mllm_affect.model.evidence.attention import attend
from mllm_affect.model.evidence.config import EvidenceConfig
from mllm_affect.model.evidence.prior import KINDS, Prior, prior
from mllm_affect.model.evidence.token_norm import TokenNorm


class RelationLayer(nn.Module):
    """One round of messages along the prior's edges."""

    def __init__(self, width: int, heads: int, units: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.strength_HAA = nn.Parameter(torch.zeros(heads, units, units))
        self.kind_bias_KH = nn.Parameter(torch.zeros(len(KINDS), heads))
        self.kind_message = nn.Parameter(torch.zeros(len(KINDS), width))
        self.leave = nn.Linear(width, width)

    def forward(
        self, nodes_BAW: Tensor, mask_AA: Tensor, kinds_AAK: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the nodes after hearing their neighbours, and who heard whom (B, heads, A, A).

        `mask_AA` says who hears whom, `kinds_AAK` (1 or 0) by which kind of relation.
        """
        rows, units, _ = nodes_BAW.shape
        parts = self.query_key_value(self.norm(nodes_BAW)).reshape(rows, units, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind()
        kinds_AAK = kinds_AAK.to(nodes_BAW.dtype)
        edges_HAA = self.strength_HAA + (kinds_AAK @ self.kind_bias_KH).permute(2, 0, 1)
        edges_HAA = edges_HAA.masked_fill(~mask_AA, -torch.inf)
        logits_BHAA = query @ key.transpose(-1, -2) / key.shape[-1] ** 0.5 + edges_HAA
        weights_BHAA = logits_BHAA.softmax(-1)
        # What comes along edges of one kind is the same, so that their shares can be added first.
        shares_BHAK = torch.einsum("bhij,ijk->bhik", weights_BHAA, kinds_AAK)
        messages_KHW = self.kind_message.reshape(len(KINDS), self.heads, -1)
        alike = torch.einsum("bhik,khw->bhiw", shares_BHAK, messages_KHW)
        heard = weights_BHAA @ value + alike
        return nodes_BAW + self.leave(heard.transpose(1, 2).flatten(2)), weights_BHAA


class UnitGraph(nn.Module):
    """Evidence tokens to action-unit nodes, messages between them, and the instruction token."""

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__()
        units = len(config.units)
        self.prior: Prior = prior(config.units, config.graph)
        self.units = nn.Parameter(torch.randn(units, config.width) * 0.3)
        self.enter = nn.Linear(config.middle, 2 * config.width)
        self.high = nn.Linear(2 * config.high, config.width)
        layers = 0 if config.graph == "none" else config.graph_layers
        self.layers = nn.ModuleList(
            RelationLayer(config.width, config.heads, units) for _ in range(layers)
        )
        self.node_norm = nn.LayerNorm(config.width)
        self.node_head = nn.Linear(config.width, 1)
        self.pool = nn.Linear(config.width, 1, bias=False)
        self.out = nn.Linear(config.width, config.hidden)
        self.token_norm = TokenNorm(config)
        # Not buffers: they follow from the configuration, and no loader need know them.
        self._edges: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def nodes(self, tokens_BNC: Tensor, high_BD: Tensor) -> Tensor:
        """Return what each unit finds in the evidence (B, A, width)."""
        key, value = self.enter(tokens_BNC).chunk(2, dim=-1)
        found_BAW = attend(self.units, key, value)
        return cast(Tensor, self.units + found_BAW + self.high(high_BD)[:, None])

    def converse(self, nodes_BAW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the nodes after all rounds, and the weights of each round."""
        mask_AA, kinds_AAK = self._edges_on(nodes_BAW.device)
        weights = []
        for layer in self.layers:
            nodes_BAW, heard = layer(nodes_BAW, mask_AA, kinds_AAK)
            weights.append(heard)
        return self.node_norm(nodes_BAW), weights

    def forward(self, tokens_BNC: Tensor, high_BD: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the instruction token (B, hidden), each node's logit (B, A) and the weights."""
        nodes_BAW, weights = self.converse(self.nodes(tokens_BNC, high_BD))
        share_BA1 = self.pool(nodes_BAW).softmax(1)
        token_BD = self.token_norm(self.out((share_BA1 * nodes_BAW).sum(1)))
        return token_BD, self.node_head(nodes_BAW).squeeze(-1), weights

    def _edges_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device not in self._edges:
            # Kept for training too, even where the first to ask only infers.
            with torch.inference_mode(False):
                kinds_AA = torch.tensor(self.prior.kinds_AA, device=device)
                self._edges[device] = (
                    torch.tensor(self.prior.mask_AA, device=device),
                    functional.one_hot(kinds_AA, len(KINDS)),
                )
        return self._edges[device]

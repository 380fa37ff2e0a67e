"""Qwen3-Omni with the evidence projector, for transformers and ms-swift.

Does: compute CT and IT from the videos of a batch, put them at their places, add the losses on
action units to the language model's.  Does not: change anything of Qwen3-Omni itself.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen3OmniMoeForConditionalGeneration
from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import (
    Qwen3OmniMoePreTrainedModel,
    Qwen3OmniMoeThinkerCausalLMOutputWithPast,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)

from mllm_affect.model.evidence.config import EvidenceConfig, LossWeights
from mllm_affect.model.evidence.counterfactual import consistency, partners
from mllm_affect.model.evidence.losses import unit_loss
from mllm_affect.model.evidence.placing import pair_ids, places
from mllm_affect.model.evidence.projector import Evidence, EvidenceProjector

IGNORED = -100
FLOAT32_MODULES = ("evidence_projector",)


@dataclass
class EvidenceOutput(Qwen3OmniMoeThinkerCausalLMOutputWithPast):  # type: ignore[misc]
    """Where asked for, logits (B, A) of the three heads of action units.

    unit_logits: the measured one, on the state before the answer; evidence_logits: on CT and IT
    alone, and node_logits: of the graph's nodes, both of the row's one video, else None.
    """

    unit_logits: Tensor | None = None
    evidence_logits: Tensor | None = None
    node_logits: Tensor | None = None


class EvidenceThinker(Qwen3OmniMoeThinkerForConditionalGeneration):  # type: ignore[misc]
    """The thinker with its evidence projector; without a video it is the plain thinker.

    The projector stays in float32 beside a thinker in bfloat16, and computes so.
    """

    _keep_in_fp32_modules_strict = FLOAT32_MODULES

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        settings = EvidenceConfig.from_mapping(config.evidence["projector"])
        self.evidence_projector = EvidenceProjector(settings)
        self.loss_weights = LossWeights(**config.evidence.get("losses", {}))

    def plain_forward(self, **given: Any) -> Any:
        """Run Qwen3-Omni's own thinker (ms-swift puts its patched one here)."""
        return super().forward(**given)

    def forward(  # type: ignore[no-untyped-def]
        self,
        input_ids: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        unit_labels: Tensor | None = None,
        unit_subjects: Tensor | None = None,
        want_units: bool = False,
        **given,
    ) -> Any:
        """Run the thinker with CT and IT in their places; see Qwen3-Omni for what is not named.

        unit_labels: (B, A) action units of each row's one video, 1, 0 or -1 for unknown: their
        losses are added.  unit_subjects: (B,) whose face each row shows, for CCR.  `want_units`
        gives all heads' logits in the output.  Raises ValueError where pairs and videos do not
        match.
        """
        evidence = None
        if pixel_values_videos is not None and input_ids is not None:
            partner_B = self._partners(video_grid_thw, unit_labels, unit_subjects)
            with _full_precision(pixel_values_videos):
                evidence = self.evidence_projector(pixel_values_videos, video_grid_thw, partner_B)
            inputs_embeds = self._placed(input_ids, inputs_embeds, evidence)
        states: list[Tensor] = []
        asked = want_units or unit_labels is not None
        hook = self.model.register_forward_hook(
            lambda _module, _given, out: states.append(out[0]) if asked else None
        )
        try:
            out = self.plain_forward(
                input_ids=input_ids,
                pixel_values_videos=pixel_values_videos,
                video_grid_thw=video_grid_thw,
                attention_mask=attention_mask,
                inputs_embeds=inputs_embeds,
                labels=labels,
                **given,
            )
        finally:
            hook.remove()
        if not asked:
            return out
        state_BD = _before_answer(states[0], attention_mask, labels)
        with _full_precision(state_BD):
            logits_BA = self.evidence_projector.answer_head(state_BD.float())
        loss = out.loss
        if unit_labels is not None:
            units = self._unit_losses(logits_BA, evidence, unit_labels)
            loss = units if loss is None else self.loss_weights.language * loss + units
        kept = {name: value for name, value in out.items() if name != "loss"}
        if want_units and evidence is not None and len(evidence.units_BA) == len(logits_BA):
            kept |= {"evidence_logits": evidence.units_BA, "node_logits": evidence.nodes_BA}
        return EvidenceOutput(loss=loss, unit_logits=logits_BA, **kept)

    def _placed(self, ids_BL: Tensor, embeds_BLD: Tensor | None, evidence: Evidence) -> Tensor:
        """Return the input embeddings with CT and IT at their places."""
        if embeds_BLD is None:
            embeds_BLD = self.get_input_embeddings()(ids_BL)
        tokens = evidence.tokens_B2D.flatten(0, 1).to(embeds_BLD)
        where_BL = places(ids_BL, pair_ids(self.config), len(evidence.tokens_B2D))
        return embeds_BLD.masked_scatter(where_BL[..., None], tokens)

    def _partners(
        self, grid_B3: Tensor | None, labels_BA: Tensor | None, subjects_B: Tensor | None
    ) -> Tensor | None:
        """Return each clip's partner, where CCR is asked for and each row has one video."""
        if labels_BA is None or subjects_B is None or grid_B3 is None:
            return None
        if len(labels_BA) != len(grid_B3):
            return None
        return partners(labels_BA, subjects_B) if self.loss_weights.counterfactual else None

    def _unit_losses(
        self, answer_BA: Tensor, evidence: Evidence | None, labels_BA: Tensor
    ) -> Tensor:
        weights = self.loss_weights
        if evidence is None or len(evidence.units_BA) != len(labels_BA):
            return weights.answer * unit_loss(answer_BA.float(), labels_BA)
        said_3BA = torch.stack([answer_BA, evidence.units_BA, evidence.nodes_BA]).float()
        answer, units, nodes = unit_loss(said_3BA, labels_BA).unbind()
        loss = weights.answer * answer + weights.evidence * units + weights.nodes * nodes
        if evidence.moved_MA is not None:
            factual_MA = evidence.units_BA[evidence.changed_M].float()
            moved = consistency(factual_MA, evidence.moved_MA.float())
            loss = loss + weights.counterfactual * moved
        return loss


def _joined_signature() -> inspect.Signature:
    """Return our forward's parameters and Qwen3-Omni's: generation checks names against them.

    But for `mm_encoder_outputs`: where a model takes it, generation encodes the videos beforehand
    and hands their pixels to nobody, so that no evidence could be computed.
    """
    ours = inspect.signature(EvidenceThinker.forward).parameters
    theirs = inspect.signature(Qwen3OmniMoeThinkerForConditionalGeneration.forward).parameters
    named = [item for item in ours.values() if item.kind is not item.VAR_KEYWORD]
    named += [item for name, item in theirs.items() if name not in (*ours, "mm_encoder_outputs")]
    return inspect.Signature(named)


EvidenceThinker.forward.__signature__ = _joined_signature()  # type: ignore[attr-defined]


class EvidenceQwen3OmniMoeForConditionalGeneration(
    Qwen3OmniMoeForConditionalGeneration  # type: ignore[misc]
):
    """The whole model, thinker only; its checkpoint's config.json names this class."""

    _keep_in_fp32_modules_strict = FLOAT32_MODULES

    def __init__(self, config: Any) -> None:
        Qwen3OmniMoePreTrainedModel.__init__(self, config)
        self.thinker = EvidenceThinker._from_config(config.thinker_config)
        self.has_talker = False
        self.post_init()


def _full_precision(like: Tensor) -> torch.autocast:
    """Return a context without autocast, which a trainer in bfloat16 puts around the model."""
    return torch.autocast(like.device.type, enabled=False)


def _before_answer(states_BLD: Tensor, mask_BL: Tensor | None, labels_BL: Tensor | None) -> Tensor:
    """Return the state (B, D) behind the last token before the answer begins.

    The answer begins at the first label; without labels the prompt is the whole row.
    """
    rows, length = states_BLD.shape[:2]
    steps_L = torch.arange(length, device=states_BLD.device)
    if labels_BL is not None:
        learned_BL = labels_BL != IGNORED
        first_B = torch.where(learned_BL, steps_L, length).amin(1)
        last_B = (first_B - 1).clamp(0, length - 1)
    elif mask_BL is not None and mask_BL.ndim == 2:
        last_B = torch.where(mask_BL.bool(), steps_L, 0).amax(1)
    else:
        last_B = torch.full((rows,), length - 1, device=states_BLD.device)
    return states_BLD[torch.arange(rows, device=states_BLD.device), last_B]


# transformers joins and parts the experts' weights by a model's name, and only for its own models.
register_checkpoint_conversion_mapping(
    EvidenceQwen3OmniMoeForConditionalGeneration.__name__,
    get_checkpoint_conversion_mapping("qwen3_omni_moe"),
    overwrite=True,
)

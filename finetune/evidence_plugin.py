"""Checkpoints with the evidence projector in ms-swift: `--external_plugins .../evidence_plugin.py`.

Does: register model type, template and optimizer, and hand a row's action units and person to the
model, which adds their losses.  Does not: compute evidence (the model does, from the video's
patches).  ms-swift imports this file by its path.
"""

from typing import Any

import torch
from swift.model import ModelGroup, ModelMeta, register_model
from swift.model.models.qwen import Qwen3OmniLoader
from swift.optimizers import OptimizerCallback, optimizers_map
from swift.template import register_template
from swift.template.templates.qwen import Qwen3OmniTemplate, QwenTemplateMeta

from finetune.merge import TRAINED_IN_FULL
from finetune.plugins import EVIDENCE_OPTIMIZER
from mllm_affect.data.unit_labels import UNKNOWN, subject_number, unit_labels
from mllm_affect.model.evidence.placing import PAIR
from mllm_affect.model.evidence.thinker import EvidenceQwen3OmniMoeForConditionalGeneration

MODEL_TYPE, TEMPLATE = "qwen3_omni_moe_evidence", "qwen3_omni_evidence"
OURS = ("units", "participant", "voice", "split", "solution", "allowed")
"""Columns of our rows that the model does not take."""


class EvidenceLoader(Qwen3OmniLoader):  # type: ignore[misc]
    """Loads our model class where Qwen3-Omni's would be."""

    def get_model(self, *given: Any, **named: Any) -> Any:
        """Return the model, as ms-swift prepares Qwen3-Omni."""
        self.auto_model_cls = EvidenceQwen3OmniMoeForConditionalGeneration
        return super().get_model(*given, **named)


class EvidenceTemplate(Qwen3OmniTemplate):  # type: ignore[misc]
    """Qwen3-Omni's chat format with the reserved pair after each video."""

    def replace_tag(self, media_type: str, index: int, inputs: Any) -> list[Any]:
        """Return what stands for a medium in the text."""
        context: list[Any] = super().replace_tag(media_type, index, inputs)
        return [*context, PAIR] if media_type == "video" else context

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded: dict[str, Any] = super()._encode(inputs)
        told = inputs.extra_kwargs
        units = self.config.thinker_config.evidence["projector"]["units"]
        encoded["unit_labels"] = unit_labels(told.get("units", UNKNOWN), units)
        encoded["unit_subjects"] = subject_number(told.get("participant", ""))
        return encoded

    def data_collator(self, batch: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
        """Return a batch with the rows' units (B, A) and people (B,)."""
        labels = [row.pop("unit_labels", None) for row in batch]
        subjects = [row.pop("unit_subjects", None) for row in batch]
        made: dict[str, Any] = super().data_collator(batch, **given)
        for name in OURS:
            made.pop(name, None)
        if self.is_training and None not in labels:
            made["unit_labels"] = torch.tensor(labels)
            made["unit_subjects"] = torch.tensor(subjects)
        return made


class EvidenceOptimizer(OptimizerCallback):  # type: ignore[misc]
    """The usual optimizer, with a learning rate of its own for the projector (`--aligner_lr`)."""

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return the optimizer; each of its groups is parted into the projector's and the rest."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        named = (model or self.trainer.model).named_parameters()
        own = {id(weight) for name, weight in named if TRAINED_IN_FULL in name}
        rest = [_part(group, own, False) for group in optimizer.param_groups]
        projector = [_part(group, own, True) for group in optimizer.param_groups]
        for group in projector:
            group["lr"] = self.args.aligner_lr
        optimizer.param_groups[:] = [group for group in (*rest, *projector) if group["params"]]
        return optimizer


def _part(group: dict[str, Any], own: set[int], inside: bool) -> dict[str, Any]:
    chosen = [weight for weight in group["params"] if (id(weight) in own) is inside]
    return {**group, "params": chosen}


optimizers_map[EVIDENCE_OPTIMIZER] = EvidenceOptimizer
register_model(
    ModelMeta(
        MODEL_TYPE,
        [ModelGroup([], TEMPLATE)],
        EvidenceLoader,
        model_arch="qwen3_omni",
        architectures=["EvidenceQwen3OmniMoeForConditionalGeneration"],
        is_multimodal=True,
    )
)
register_template(
    QwenTemplateMeta(
        TEMPLATE, template_cls=EvidenceTemplate, default_system=None, thinking_prefix="<think>\n"
    )
)

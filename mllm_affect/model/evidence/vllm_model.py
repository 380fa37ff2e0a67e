"""Qwen3-Omni with the evidence projector, for stock vLLM.

Does: widen each video's place in the prompt by the reserved pair, and add CT and IT, computed from
the same frames, as two more rows of the video's embeddings.  Does not: change what vLLM does with
audio, images, positions or caching.

Why rows of the video rather than a modality of their own: the video's hash, cache entry and place
then cover the evidence too, and a chunk that splits them is vLLM's own business.  M-RoPE counts the
pair as text, as transformers does, because a video's positions end with its grid.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import vllm
from torch import Tensor

from mllm_affect.model.evidence.vllm_plugin import refuse_other_versions

refuse_other_versions(vllm.__version__)

from vllm.model_executor.models.qwen3_omni_moe_thinker import (  # noqa: E402
    Qwen3OmniMoeThinkerDummyInputsBuilder,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    Qwen3OmniMoeThinkerMultiModalProcessor,
    Qwen3OmniMoeThinkerProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY  # noqa: E402
from vllm.multimodal.processing import PromptReplacement, PromptUpdateDetails  # noqa: E402

from mllm_affect.model.evidence.config import TOKENS_A_VIDEO, EvidenceConfig  # noqa: E402
from mllm_affect.model.evidence.placing import PAIR, pair_ids, places  # noqa: E402
from mllm_affect.model.evidence.projector import EvidenceProjector  # noqa: E402


class EvidenceInfo(Qwen3OmniMoeThinkerProcessingInfo):  # type: ignore[misc]
    """What vLLM asks before it processes anything."""

    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int] | None = None
    ) -> Mapping[str, int]:
        """Return the most tokens of an item: a video's own, the end of vision and the pair."""
        most = dict(super().get_mm_max_tokens_per_item(seq_len, mm_counts))
        if "video" in most:
            most["video"] += 1 + TOKENS_A_VIDEO
        return most


class EvidenceDummies(Qwen3OmniMoeThinkerDummyInputsBuilder):  # type: ignore[misc]
    """The text that vLLM measures memory with; it must hold what the processor looks for."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """Return the placeholders of so many items."""
        text: str = super().get_dummy_text(mm_counts)
        video = self.info.get_hf_processor().video_token
        return text.replace(video, f"{video}<|vision_end|>{PAIR}")


class EvidenceProcessor(Qwen3OmniMoeThinkerMultiModalProcessor):  # type: ignore[misc]
    """Prompts in which every video is followed by the pair."""

    def _get_prompt_updates(
        self,
        mm_items: Any,
        hf_processor_mm_kwargs: Mapping[str, Any],
        out_mm_kwargs: Any,
    ) -> Sequence[Any]:
        if hf_processor_mm_kwargs.get("use_audio_in_video"):
            raise ValueError(
                "Evidence checkpoints take sound as a part of its own, not in the video."
            )
        updates = super()._get_prompt_updates(mm_items, hf_processor_mm_kwargs, out_mm_kwargs)
        return [self._widened(item) if item.modality == "video" else item for item in updates]

    def _widened(self, update: Any) -> Any:
        ids = pair_ids(self.info.get_hf_config())
        behind = [ids.vision_end, ids.content, ids.instruction]
        embedded = [ids.video, ids.content, ids.instruction]

        def replacement(item: int) -> Any:
            return PromptUpdateDetails.select_token_ids(
                [*update.replacement(item), *behind], embed_token_ids=embedded
            )

        return PromptReplacement(
            modality="video", target=[ids.video, *behind], replacement=replacement
        )

    def _maybe_apply_prompt_updates(self, mm_items: Any, mm_res: Any) -> Any:
        ids = pair_ids(self.info.get_hf_config())
        videos = mm_items.get_all_counts().get("video", 0)
        # Text that spells the pair must not take a video's place.
        places(torch.tensor([mm_res.prompt_ids]), ids, videos)
        return super()._maybe_apply_prompt_updates(mm_items, mm_res)


@MULTIMODAL_REGISTRY.register_processor(
    EvidenceProcessor, info=EvidenceInfo, dummy_inputs=EvidenceDummies
)
class EvidenceThinkerForServing(Qwen3OmniMoeThinkerForConditionalGeneration):  # type: ignore[misc]
    """vLLM's Qwen3-Omni thinker with the projector beside its vision tower."""

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        settings = EvidenceConfig.from_mapping(self.config.evidence["projector"])
        with self._mark_tower_model(vllm_config, "video"):
            # vLLM builds in the checkpoint's dtype; the projector was trained in float32.
            self.evidence_projector = EvidenceProjector(settings).float()

    def _process_video_input(self, video_input: Any) -> tuple[Tensor, ...]:
        if video_input["type"] != "pixel_values_videos":
            raise ValueError("Evidence is computed from frames; send the video, not embeddings.")
        embedded = super()._process_video_input(video_input)
        pixels, grid_B3 = video_input["pixel_values_videos"], video_input["video_grid_thw"]
        with torch.inference_mode():
            tokens_B2D = self.evidence_projector(pixels, grid_B3).tokens_B2D
        return tuple(
            torch.cat([video, _as_wide(pair, video)])
            for video, pair in zip(embedded, tokens_B2D, strict=True)
        )

    def get_mm_lora_token_counts(
        self, *, modality: str, mm_kwargs: Any, num_mm_embeds: int
    ) -> tuple[int, int | None]:
        """Return the rows of the tower and of its connector; the pair passes through neither."""
        own = num_mm_embeds - (TOKENS_A_VIDEO if modality == "video" else 0)
        counts: tuple[int, int | None] = super().get_mm_lora_token_counts(
            modality=modality, mm_kwargs=mm_kwargs, num_mm_embeds=own
        )
        return counts


def _as_wide(pair_2D: Tensor, video_NW: Tensor) -> Tensor:
    """Return the pair with zeros where a video's rows hold what deeper layers add."""
    wide = video_NW.new_zeros(len(pair_2D), video_NW.shape[1])
    wide[:, : pair_2D.shape[1]] = pair_2D.to(video_NW)
    return wide

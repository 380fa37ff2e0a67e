"""The offline engine: a checkpoint run by transformers in this process.

Does: score answers and write text with the reference encoding, several inputs at a time.
Does not: serve, sample frames, or share anything with vLLM; tests hold the two to each other.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mllm_affect.engine.answer_tree import Path as Written
from mllm_affect.engine.answer_tree import check_answers, score_answers
from mllm_affect.engine.types import AnswerScores
from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.errors import UserError
from mllm_affect.model.frame_rate import check_frame_rate
from mllm_affect.model.quiet_loading import quiet_when_small
from mllm_affect.tasks.model_input import ModelInput

if TYPE_CHECKING:
    from torch import Tensor

INPUTS_AT_ONCE = 8


class TransformersEngine:
    """An Engine that holds one checkpoint in memory; float32 on the CPU unless told otherwise."""

    def __init__(self, checkpoint: Path, device: str = "cpu", dtype: str = "float32") -> None:
        """Load the checkpoint.

        Raises UserError `bad_checkpoint` when the folder is no Qwen3-Omni checkpoint, and
        `missing_package` when torch or transformers is not installed.
        """
        processor, model = load_checkpoint(checkpoint, device, dtype)
        self._hold(model, processor, device, checkpoint.name)

    @classmethod
    def holding(cls, model: Any, processor: Any, device: str) -> Self:
        """Return an engine for a model that is in memory already, such as one in training.

        The caller puts it into evaluation mode, and chooses its precision.
        """
        engine = cls.__new__(cls)
        engine._hold(model, processor, device, "in memory")
        return engine

    def _hold(self, model: Any, processor: Any, device: str, model_id: str) -> None:
        self._model_id, self._device = model_id, device
        self._processor, self._model = processor, model
        self._positions = float(model.config.thinker_config.position_id_per_seconds)
        tokenizer = processor.tokenizer
        self._vocabulary = Vocabulary.of_tokenizer(tokenizer, _turn_ends(tokenizer, model))

    @property
    def model_id(self) -> str:
        """Name of the checkpoint."""
        return self._model_id

    def score(self, inputs: Sequence[ModelInput], answers: Sequence[str]) -> list[AnswerScores]:
        """Return the scores of `answers` for each input; see Engine."""
        check_answers(answers)
        scores = []
        for start in range(0, len(inputs), INPUTS_AT_ONCE):
            some = [self._encode(made) for made in inputs[start : start + INPUTS_AT_ONCE]]
            for encoded, first_V in zip(some, self._next_logits(some), strict=True):
                scores.append(self._score_one(encoded, first_V, answers))
        return scores

    def generate(self, inputs: Sequence[ModelInput], max_new_tokens: int) -> list[str]:
        """Return greedy text for each input; see Engine."""
        return [self._write_one(self._encode(made), max_new_tokens) for made in inputs]

    def close(self) -> None:
        """Let go of the model and of its memory."""
        self._model = None
        forget_models()

    def first_log_probabilities(self, made: ModelInput) -> "Tensor":
        """Return the natural log-probabilities (V,) of the first answer token, unconstrained."""
        (logits_V,) = self._next_logits([self._encode(made)])
        return logits_V.log_softmax(-1)

    def _encode(self, made: ModelInput) -> "dict[str, Tensor]":
        check_frame_rate(made.fps, self._positions)
        return encoded_on(self._device, self._processor, made)

    def _score_one(
        self, encoded: "dict[str, Tensor]", first_V: "Tensor", answers: Sequence[str]
    ) -> AnswerScores:
        def next_tokens(path: Written, endings: list[bytes]) -> Mapping[bytes, float]:
            logits_V = first_V
            if path:
                (logits_V,) = self._next_logits([self._continued(encoded, path)])
            log_probabilities_V = logits_V.log_softmax(-1)
            return {
                token: float(log_probabilities_V[list(numbers)].logsumexp(-1))
                for token, numbers in self._vocabulary.beginnings(endings).items()
            }

        return score_answers(next_tokens, answers)

    def _continued(self, encoded: "dict[str, Tensor]", path: Written) -> "dict[str, Tensor]":
        """Return the encoding with the first tokens of an answer after the prompt."""
        import torch

        numbers = [[self._vocabulary.id_of(token) for token in path]]
        ids = torch.tensor(numbers, device=self._device)
        longer = dict(encoded)
        longer["input_ids"] = torch.cat([encoded["input_ids"], ids], dim=1)
        longer["attention_mask"] = torch.ones_like(longer["input_ids"])
        return longer

    def _next_logits(self, some: "list[dict[str, Tensor]]") -> "Iterator[Tensor]":
        """Yield the logits (V,) behind the last token of each encoding, float32."""
        import torch

        with torch.inference_mode():
            logits_BLV = self._model.thinker(**together(self._model, some), use_cache=False).logits
        for row, encoded in enumerate(some):
            yield logits_BLV[row, encoded["input_ids"].shape[1] - 1].float()

    def _write_one(self, encoded: "dict[str, Tensor]", max_new_tokens: int) -> str:
        import torch

        tokenizer = self._processor.tokenizer
        with torch.inference_mode():
            ids = self._model.thinker.generate(
                **encoded,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                use_audio_in_video=False,
            )
        new = ids[0, encoded["input_ids"].shape[1] :]
        return str(tokenizer.decode(new, skip_special_tokens=True)).strip()


def load_checkpoint(checkpoint: Path, device: str, dtype: str) -> tuple[Any, Any]:
    """Return (processor, model) of a checkpoint folder; nothing is looked up elsewhere.

    Raises UserError as TransformersEngine does.
    """
    try:
        import torch
        from transformers import AutoProcessor

        from mllm_affect.model.model_class import model_class

        chosen = model_class(checkpoint)
    except ImportError as error:
        raise UserError(
            "missing_package", f'{error.name} is missing; pip install "mllm-affect[cpu]".'
        ) from error
    try:
        processor = AutoProcessor.from_pretrained(checkpoint, local_files_only=True)
        with quiet_when_small(checkpoint):
            # A tensor at a time onto the device, and never the weights of speech output.
            model = chosen.from_pretrained(
                checkpoint, dtype=getattr(torch, dtype), local_files_only=True,
                device_map={"": device}, enable_audio_output=False,
            )  # fmt: skip
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            "bad_checkpoint", f"{checkpoint} is not a usable Qwen3-Omni checkpoint: {reason}"
        ) from error
    return processor, model.eval()


def forget_models() -> None:
    """Free the memory of models that nobody holds any more; they lie in reference cycles."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def encoded_on(device: str, processor: Any, made: ModelInput) -> "dict[str, Tensor]":
    """Return the reference encoding of an input on a device."""
    from mllm_affect.model.encode import encode

    return {name: value.to(device) for name, value in encode(processor, made).items()}


def together(model: Any, some: "list[dict[str, Tensor]]") -> "dict[str, Tensor]":
    """Join encodings into one batch, shorter prompts and sounds padded at their ends.

    A causal model never looks at what comes later, so that padding changes no logit before it.
    """
    import torch
    from torch.nn.functional import pad

    from mllm_affect.model.encode import positions

    places = [positions(model, encoded) for encoded in some]
    longest = max(encoded["input_ids"].shape[1] for encoded in some)
    missing = [longest - encoded["input_ids"].shape[1] for encoded in some]
    batch = {
        name: torch.cat(
            [pad(encoded[name], (0, gap)) for encoded, gap in zip(some, missing, strict=True)]
        )
        for name in ("input_ids", "attention_mask")
    }
    batch["position_ids"] = torch.cat(
        [pad(place, (0, gap)) for place, gap in zip(places, missing, strict=True)], dim=1
    )
    for name in ("pixel_values_videos", "video_grid_thw", "video_second_per_grid"):
        batch[name] = torch.cat([encoded[name] for encoded in some])
    heard = [encoded for encoded in some if "input_features" in encoded]
    if heard:
        frames = max(encoded["input_features"].shape[-1] for encoded in heard)
        for name in ("input_features", "feature_attention_mask"):
            batch[name] = torch.cat(
                [pad(encoded[name], (0, frames - encoded[name].shape[-1])) for encoded in heard]
            )
    return batch


def _turn_ends(tokenizer: Any, model: Any) -> set[int]:
    """Return the ids of the tokens that end a turn."""
    ends = model.generation_config.eos_token_id
    named = set(ends) if isinstance(ends, list) else {ends}
    return {int(number) for number in (*named, tokenizer.eos_token_id) if number is not None}

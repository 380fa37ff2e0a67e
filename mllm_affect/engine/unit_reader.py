"""Action units read off a checkpoint with the evidence projector, in this process.

Does: give each head's probability of every unit for model inputs, with tokens taken away where
asked.  Does not: choose thresholds, sample frames or write text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mllm_affect.engine.transformers_engine import (
    INPUTS_AT_ONCE,
    encoded_on,
    load_checkpoint,
    together,
)
from mllm_affect.errors import UserError
from mllm_affect.model.evidence.config import Token
from mllm_affect.model.frame_rate import check_frame_rate
from mllm_affect.model.model_class import EVIDENCE
from mllm_affect.tasks.model_input import ModelInput

Head = Literal["answer", "evidence", "nodes"]
"""The measured one, on the state before the answer; that on CT and IT alone; the graph's nodes."""

LOGITS: dict[Head, str] = {
    "answer": "unit_logits", "evidence": "evidence_logits", "nodes": "node_logits",
}  # fmt: skip


class UnitReader:
    """Holds one checkpoint in memory; float32 on the CPU unless told otherwise."""

    def __init__(self, checkpoint: Path, device: str = "cpu", dtype: str = "float32") -> None:
        """Load the checkpoint.

        Raises UserError `bad_checkpoint` for a folder that is no checkpoint or has no evidence
        projector, and `missing_package` as TransformersEngine does.
        """
        processor, model = load_checkpoint(checkpoint, device, dtype)
        if type(model).__name__ != EVIDENCE:
            raise UserError(
                "bad_checkpoint",
                f"{checkpoint} has no evidence projector; `mllm-affect evidence add` gives it one, "
                "and `finetune run` trains it.",
            )
        self._processor, self._model, self._device = processor, model, device
        self._positions = float(model.config.thinker_config.position_id_per_seconds)

    @property
    def units(self) -> tuple[int, ...]:
        """The action units, in the order of all probabilities."""
        units: tuple[int, ...] = self._projector.config.units
        return units

    @property
    def given(self) -> tuple[Token, ...]:
        """The tokens that the checkpoint gives its language model."""
        given: tuple[Token, ...] = self._projector.config.given
        return given

    @property
    def _projector(self) -> Any:
        return self._model.thinker.evidence_projector

    def read(
        self, inputs: Sequence[ModelInput], without: Sequence[Token] = ()
    ) -> dict[Head, NDArray[np.float64]]:
        """Return the probability of each unit for each input (N, A), by head.

        `without`: tokens that are set to zero, besides those that the checkpoint never gives; the
        measured head alone notices.
        """
        import torch

        for made in inputs:
            check_frame_rate(made.fps, self._positions)
        given = self._projector.muted
        self._projector.muted = given | set(without)
        read = {head: [np.zeros((0, len(self.units)))] for head in LOGITS}
        try:
            for start in range(0, len(inputs), INPUTS_AT_ONCE):
                some = [
                    encoded_on(self._device, self._processor, made)
                    for made in inputs[start : start + INPUTS_AT_ONCE]
                ]
                with torch.inference_mode():
                    out = self._model.thinker(
                        **together(self._model, some), use_cache=False, want_units=True
                    )
                for head, name in LOGITS.items():
                    read[head].append(getattr(out, name).double().sigmoid().cpu().numpy())
        finally:
            self._projector.muted = given
        return {head: np.concatenate(parts) for head, parts in read.items()}

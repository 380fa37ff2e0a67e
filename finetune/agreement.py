"""Whether a merged checkpoint answers as its base with the adapter beside it.

Does: ask both about the same made clips and compare the logits behind the prompt, where two
experts are as good as equal with those that the adapter's model chose.
Does not: merge.  peft's own code applies the adapter, so that the merge is held to another's work.
"""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.routing import Routing
from mllm_affect.data.made.clips import make_model_clip, plan_clips
from mllm_affect.engine.placement import Placement, check_memory
from mllm_affect.errors import EngineError
from mllm_affect.media.types import FRAME_MULTIPLE, Sampling, Segment
from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.prompts import load_task, shipped_task_ids

if TYPE_CHECKING:
    from torch import Tensor

PROMPTS = 64
LONGEST_SIDE = 256
FLOAT32_TOLERANCE = 1e-4
ROUNDING = 0.072
DEPTH_POWER = 0.4
"""In bfloat16 merged weights are rounded to eight bits, which the adapter's sum is not.  Largest
logit differences of true merges of random models, over six prompts: .094, .188, .250 and .336 at 2,
8, 24 and 48 layers; our fit is ROUNDING x layers ^ DEPTH_POWER.  Not held to real weights."""
MEASURED_PROMPTS = 6
VOCABULARY = 152_064
MARGIN = 2.0
TIES = {"float32": 1e-4, "bfloat16": 2**-8}
"""Differences of two experts' probabilities that rounding makes."""


@dataclass(frozen=True)
class Agreement:
    """The largest difference of any logit (natural units) over so many prompts.

    `ties`: tokens, over all layers, whose experts rounding alone would have chosen otherwise.
    """

    prompts: int
    largest: float
    tolerance: float
    dtype: str
    ties: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @property
    def holds(self) -> bool:
        """Whether the two agree within the tolerance; not-a-number never does."""
        return self.largest <= self.tolerance

    def refuse(self, kept: Path) -> None:
        """Raise EngineError `merge_differs`, which names the folder where the merge is `kept`."""
        compare = "" if self.dtype == "float32" else "compare in float32 (--dtype float32), "
        raise EngineError(
            "merge_differs",
            f"The merged checkpoint's logits differ from the adapter's by {self.largest:.2g}, "
            f"more than {self.tolerance:.2g}, over {self.prompts} prompts in {self.dtype}. It is "
            f"kept as {kept}. Remove it and run `finetune merge` again: {compare}or accept the "
            f"difference (--tolerance {self.largest * 1.1:.2g}).",
        )


@dataclass(frozen=True)
class AgreementCheck:
    """How a merge is judged.  `tolerance` None: that of the weights' precision."""

    prompts: int = PROMPTS
    tolerance: float | None = None
    device: str = "cpu"
    dtype: str = "float32"

    def compare(
        self, base: Path, adapter: Path, merged: Path, sampling: Sampling | None
    ) -> Agreement:
        """Return how far apart the two are; one model is in memory at a time.

        Raises UserError `too_little_memory` where it does not fit.
        """
        check_memory(base, Placement(self.device, self.dtype))
        inputs = sample_inputs(self.prompts, sampling or Sampling())
        routing = Routing(TIES[self.dtype])
        beside = self._last_logits(base, adapter, inputs, routing.kept)
        folded = self._last_logits(merged, None, inputs, routing.followed)
        pairs = zip(beside, folded, strict=True)
        largest = max(float((one - other).abs().max()) for one, other in pairs)
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = usual_tolerance(self.dtype, _layers(base), self.prompts)
        return Agreement(self.prompts, largest, tolerance, self.dtype, routing.settled)

    def _last_logits(
        self,
        checkpoint: Path,
        adapter: Path | None,
        inputs: Sequence[ModelInput],
        watched: Callable[[Any], AbstractContextManager[None]],
    ) -> "list[Tensor]":
        """Return the logits (V,) behind each prompt, float32 on the CPU."""
        import torch

        from mllm_affect.engine.transformers_engine import forget_models, load_checkpoint
        from mllm_affect.model.encode import encode, positions

        processor, model = load_checkpoint(checkpoint, self.device, self.dtype)
        if adapter is not None:
            from peft import PeftModel

            PeftModel.from_pretrained(model, adapter).eval()  # puts its layers into the model
        found = []
        with torch.inference_mode(), watched(model.thinker):
            for made in inputs:
                encoded = encode(processor, made)
                places = positions(model, encoded).to(self.device)
                given = {name: value.to(self.device) for name, value in encoded.items()}
                logits_1LV = model.thinker(**given, position_ids=places, use_cache=False).logits
                found.append(logits_1LV[0, -1].float().cpu())
        del model
        forget_models()  # before the other one is loaded
        return found


def usual_tolerance(dtype: str, layers: int, prompts: int) -> float:
    """Return the largest logit difference that rounding alone may make (natural units).

    In bfloat16 twice what was measured at this depth; the largest of more logits grows as the
    extremes of a normal distribution do.
    """
    if dtype == "float32":
        return FLOAT32_TOLERANCE
    extremes = math.log(prompts * VOCABULARY) / math.log(MEASURED_PROMPTS * VOCABULARY)
    return MARGIN * ROUNDING * math.pow(layers, DEPTH_POWER) * math.sqrt(extremes)


def _layers(base: Path) -> int:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    return int(config["thinker_config"]["text_config"]["num_hidden_layers"])


def sample_inputs(count: int, sampling: Sampling, seed: int = 0) -> list[ModelInput]:
    """Return questions about made clips of 1 to 5 seconds, shipped tasks in turn."""
    side = min(int(sampling.max_pixels**0.5), LONGEST_SIDE) // FRAME_MULTIPLE * FRAME_MULTIPLE
    tasks = [load_task(name) for name in shipped_task_ids()]
    specs = plan_clips(count + -count % 4, "test", seed)[:count]
    inputs = []
    for number, spec in enumerate(specs):
        frames_THWC, audio_S, _ = make_model_clip(spec, sampling.fps, max(side, FRAME_MULTIPLE))
        task = tasks[number % len(tasks)]
        segment = Segment("", number, 0.0, spec.duration_s, 0, len(frames_THWC), True)
        asked = (segment, task.id, task.prompt_hash, task.question)
        inputs.append(ModelInput(*asked, sampling.fps, frames_THWC, audio_S))
    return inputs

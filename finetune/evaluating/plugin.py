"""A callback for `swift sft --external_plugins .../plugin.py --callbacks mllm_affect_evaluate`.

Does: every so many steps, and behind the last, ask the model in training about the videos that
evaluation.json names; log the figure; keep the best checkpoint; end a training that gets no better.
Does not: decide by itself (see choice), or know how a video is answered (see finetune.asking).

Every process asks about every video: with shared weights (ZeRO-3) none can go on alone.  The first
one's figure counts for all, so that rounding cannot part them over what is best.
"""

from pathlib import Path
from typing import Any

import torch
from swift.callbacks import TrainerCallback, callbacks_map

from finetune.asking import answered
from finetune.base import load_processor
from finetune.evaluating.choice import is_best, is_over
from finetune.evaluating.figure import mean_macro_f1
from finetune.evaluating.stage import EvaluationOrder, evaluated_examples
from finetune.plugins import EVALUATION_CALLBACK
from finetune.progress import SCORE
from mllm_affect.engine.transformers_engine import TransformersEngine
from mllm_affect.media.cache import open_cache


class EvaluationCallback(TrainerCallback):  # type: ignore[misc]
    """Called behind each step."""

    def __init__(self, args: Any, trainer: Any) -> None:
        """Read what is to be evaluated."""
        super().__init__(args, trainer)
        self._order = EvaluationOrder.read(Path.cwd())
        stage = self._order.stage
        self._examples = evaluated_examples(self._order.data, stage.split, self._order.tasks)
        self._processor = load_processor(self._order.base)

    def on_step_end(self, _args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Evaluate when it is time; mark the best step, and the last where nothing gets better."""
        stage = self._order.stage
        if state.global_step % stage.every and state.global_step != state.max_steps:
            return
        score = self._score(rest["model"])
        # Logging takes a note to log the step's loss for done.
        wanted = control.should_log
        self.trainer.log({SCORE: score})
        control.should_log = wanted
        scores = [record[SCORE] for record in state.log_history if SCORE in record]
        if is_best(scores):
            state.best_metric, state.best_global_step = score, state.global_step
            control.should_save = True
        if is_over(scores, stage.patience):
            # What is left behind shall say that this was its last step.
            state.max_steps = state.global_step
            control.should_save = control.should_training_stop = True

    def _score(self, model: Any) -> float:
        order = self._order
        # An adapter's layers lie inside the model that it adapts.
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        engine = TransformersEngine.holding(inner, self._processor, str(self.args.device))
        was_training = model.training
        model.eval()
        try:
            with self.trainer.compute_loss_context_manager():
                answers = list(
                    answered(
                        order.data, self._examples, order.tasks, engine, order.profile,
                        open_cache(order.cache), trusted=order.trusted,
                    )
                )  # fmt: skip
        finally:
            model.train(was_training)
        score_1 = torch.tensor(
            [mean_macro_f1(answers)], dtype=torch.float64, device=self.args.device
        )
        if torch.distributed.is_initialized():
            torch.distributed.broadcast(score_1, src=0)
        return float(score_1)


callbacks_map[EVALUATION_CALLBACK] = EvaluationCallback

"""Asking an engine about the clips of one video, in order.

Does: word the inputs, keep some questions in flight, pass over what is known already.
Does not: read clips or pool answers (see pipeline).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from mllm_affect.engine.types import Engine
from mllm_affect.media.types import Clip
from mllm_affect.scoring.answers import SegmentAnswer, segment_answer
from mllm_affect.tasks.context import NOTHING, Told
from mllm_affect.tasks.model_input import model_input
from mllm_affect.tasks.task import Task
from mllm_affect.tracing import in_this_context

CLIPS_AT_ONCE = 8
"""Clips in memory and in flight for one video."""

ClipsTold = Iterator[tuple[Clip, Told]]
Ask = Callable[[Sequence[tuple[Clip, Told]]], list[SegmentAnswer]]
"""Asks about some clips in one call."""


def ask_about(
    clips: Sequence[Clip], task: Task, engine: Engine, told: Sequence[Told] | None = None
) -> list[SegmentAnswer]:
    """Return the engine's answers about some clips, in order; `told`: what is known of each."""
    known = told or [NOTHING] * len(clips)
    inputs = [model_input(clip, task, said) for clip, said in zip(clips, known, strict=True)]
    if not task.answers:
        texts = engine.generate(inputs, task.max_new_tokens)
        return [
            segment_answer(clip, task, text, {}) for clip, text in zip(clips, texts, strict=True)
        ]
    scores = engine.score(inputs, task.answers)
    return [
        segment_answer(clip, task, scored.best, scored.probabilities)
        for clip, scored in zip(clips, scores, strict=True)
    ]


def asked_in_batches(
    clips: ClipsTold, ask: Ask, known: Mapping[int, SegmentAnswer]
) -> Iterator[SegmentAnswer]:
    """Yield the answer about each clip, in order, a few clips in one call of the engine."""
    while some := list(islice(clips, CLIPS_AT_ONCE)):
        unknown = [one for one in some if one[0].segment.index not in known]
        new = iter(ask(unknown) if unknown else [])
        for clip, _ in some:
            yield known[clip.segment.index] if clip.segment.index in known else next(new)


def asked_ahead(
    clips: ClipsTold, ask: Ask, known: Mapping[int, SegmentAnswer], in_flight: int
) -> Iterator[SegmentAnswer]:
    """Yield the answer about each clip, in order, while later ones are read and asked about.

    The engine is called from so many threads; where one question fails, nobody waits for the rest.
    """
    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="asking")
    ask = in_this_context(ask)
    waiting: deque[Future[list[SegmentAnswer]]] = deque()
    try:
        for clip, said in clips:
            waiting.append(_known_or_asked(pool, ask, clip, said, known))
            while waiting and (len(waiting) >= in_flight or waiting[0].done()):
                yield waiting.popleft().result()[0]
        while waiting:
            yield waiting.popleft().result()[0]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _known_or_asked(
    pool: ThreadPoolExecutor,
    ask: Ask,
    clip: Clip,
    said: Told,
    known: Mapping[int, SegmentAnswer],
) -> Future[list[SegmentAnswer]]:
    if clip.segment.index not in known:
        return pool.submit(ask, [(clip, said)])
    future: Future[list[SegmentAnswer]] = Future()
    future.set_result([known[clip.segment.index]])
    return future

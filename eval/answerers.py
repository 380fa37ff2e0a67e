"""Who answers during an evaluation: a checkpoint in this process, or a service over HTTP.

Does: open one of them and say which it is.  Does not: choose videos or keep answers.  Both run
`mllm_affect.pipeline.answer_video`, here or behind the service, and give the same JSON.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.ablations import Ablation, ablate
from eval.run import Answer, Answerer
from mllm_affect.data.footage import Footage
from mllm_affect.engine.placement import ON_CPU, Placement, check_memory
from mllm_affect.engine.types import Engine
from mllm_affect.errors import UserError
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.prompts import shipped_task_ids
from mllm_affect.tasks.task import Task
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext

ECHO = Path("echo")
"""The `model` that stands for the engine without a model."""

Settings = dict[str, str | float | None]

IN_FLIGHT = 8
"""Questions at the same time to a model server."""

ECHO_NOTE = "Made-up answers of the echo engine; they mean nothing."


@dataclass(frozen=True)
class OpenAnswerer:
    """Something to ask; `settings` say what its answers depend on, `note` is for the reader."""

    ask: Answerer
    settings: Mapping[str, Any]
    note: str = ""


@contextmanager
def open_answerer(
    task: Task,
    model: Path | None,
    url: str | None,
    ablation: Ablation | None,
    api_key: str | None = None,
    force: bool = False,
    cache: Path | None = None,
    trusted: bool = False,
    engine_url: str | None = None,
    placement: Placement = ON_CPU,
) -> Iterator[OpenAnswerer]:
    """Open the service at `url`, else the checkpoint `model`, else the embedded miniature.

    `engine_url`: a running vLLM server that serves the checkpoint; else it is loaded as `placement`
    says.

    `force` lets a checkpoint answer in another wording than it was trained or scored with; `cache`
    is a folder that keeps decoded clips.

    Raises UserError `bad_options` for an ablation over HTTP, and what opening raises.
    """
    if url is not None:
        if ablation is not None:
            raise UserError("bad_options", "A service cannot be asked without a modality.")
        if task.id not in shipped_task_ids():
            raise UserError("unknown_task", f"A service answers shipped tasks, not {task.id}.")
        yield _service(task, url, api_key)
    else:
        engine = open_engine(model, engine_url, placement)
        with _checkpoint(task, model, engine, ablation, force, cache, trusted) as opened:
            yield opened


def _service(task: Task, url: str, api_key: str | None) -> OpenAnswerer:
    from mllm_affect.client import ask

    def answer(video: Footage, context: VideoContext) -> Answer:
        path, image_fps = (video, None) if isinstance(video, Path) else (video.path, video.fps)
        told = context if task.context else UNKNOWN
        return ask(
            path, task=task.id, transcript=told.transcript, asked=told.asked,
            url=url, api_key=api_key, image_fps=image_fps,
        ).as_dict()  # fmt: skip

    return OpenAnswerer(answer, {"engine": "service"})


@contextmanager
def _checkpoint(
    task: Task,
    model: Path | None,
    opening: AbstractContextManager[tuple[Engine, ModelProfile, Settings]],
    ablation: Ablation | None,
    force: bool,
    cache: Path | None,
    trusted: bool,
) -> Iterator[OpenAnswerer]:
    from mllm_affect.media.cache import open_cache
    from mllm_affect.model.miniature import embedded_checkpoint
    from mllm_affect.pipeline import answer_video
    from mllm_affect.scoring.scoring_file import ScoringFile, scoring_of

    clips = open_cache(cache)
    folder = embedded_checkpoint() if model is None else model
    with opening as (engine, profile, settings):
        scorings = ScoringFile()
        if folder != ECHO:
            scorings = scoring_of(folder, force, str(settings["weights"]))
        if ablation is not None:  # what was taken away on purpose is no reason to abstain
            scorings = scorings.never_abstaining()
        scoring = scorings.tasks.get(task.id)
        change_clip = ablate(ablation) if ablation else None
        served = settings["engine"] == "vllm"

        def answer(video: Footage, context: VideoContext) -> Answer:
            return answer_video(
                video, task, engine, profile, context=context,
                scorings=scorings, force=force, cache=clips, trusted=trusted,
                change_clip=change_clip, in_flight=IN_FLIGHT if served else None,
            ).as_dict()  # fmt: skip

        made_with = {**settings, "calibration": scoring.id if scoring else None}
        yield OpenAnswerer(answer, made_with, profile.note)


@contextmanager
def open_engine(
    model: Path | None, engine_url: str | None = None, placement: Placement = ON_CPU
) -> Iterator[tuple[Engine, ModelProfile, Settings]]:
    """Open an engine for a checkpoint, the embedded miniature where `model` is None.

    Yields the engine, how it must be fed, and what its answers depend on.  `engine_url`: a running
    vLLM server that serves this checkpoint; else it is loaded as `placement` says.  Raises
    UserError as loading does, and `too_little_memory`.
    """
    from mllm_affect.model.miniature import embedded_checkpoint

    folder = embedded_checkpoint() if model is None else model
    if engine_url is None:
        engine, profile, settings = _load(folder, placement)
    else:
        from mllm_affect.engine.checkpoint import check_checkpoint
        from mllm_affect.engine.vllm_client import VllmEngine
        from mllm_affect.engine.vocabulary import Vocabulary

        profile = check_checkpoint(folder)
        rate = (profile.sampling or Sampling()).fps
        vocabulary = Vocabulary.of_checkpoint(folder)
        engine = VllmEngine(engine_url, rate, folder.name, vocabulary=vocabulary)
        settings = _settings("vllm", folder, profile)
    try:
        yield engine, profile, settings
    finally:
        engine.close()


def _load(folder: Path, placement: Placement) -> tuple[Engine, ModelProfile, Settings]:
    """Load the engine of a checkpoint folder; ECHO is the engine without a model."""
    if folder == ECHO:
        from mllm_affect.engine.echo import EchoEngine

        return EchoEngine(), ModelProfile(note=ECHO_NOTE), {"engine": "echo"}
    from mllm_affect.engine.checkpoint import check_checkpoint
    from mllm_affect.engine.transformers_engine import TransformersEngine

    profile = check_checkpoint(folder)
    placed = placement.settled()
    check_memory(folder, placed)
    settings = _settings("transformers", folder, profile)
    if placed.dtype != "float32":  # absent otherwise, so that runs begun earlier go on
        settings["dtype"] = placed.dtype
    return TransformersEngine(folder, placed.device, placed.dtype), profile, settings


def _settings(engine: str, folder: Path, profile: ModelProfile) -> Settings:
    """Return what a checkpoint's answers depend on."""
    from mllm_affect.model.weights_hash import weights_hash

    settings: Settings = {"engine": engine, "weights": weights_hash(folder)}
    if profile.max_seconds is not None:  # absent otherwise, so that runs begun earlier go on
        settings["max_seconds"] = profile.max_seconds
    return settings

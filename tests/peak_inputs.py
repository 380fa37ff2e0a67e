"""A model input of a made video, sampled as the micro-expression prompt says."""

from dataclasses import replace
from pathlib import Path

from mllm_affect.data.made.clips import make_clip, plan_clips
from mllm_affect.data.made.folders import write_video
from mllm_affect.media.probe import probe
from mllm_affect.media.reader import read_video
from mllm_affect.media.types import Sampling
from mllm_affect.model.profile import ModelProfile
from mllm_affect.tasks.model_input import ModelInput, model_input
from mllm_affect.tasks.prompts import load_task


def peak_input(folder: Path, sampling: Sampling) -> ModelInput:
    """The native-rate frames that a checkpoint fed at this rate and size gets to see."""
    spec = plan_clips(4, "test", seed=3)[0]
    made = make_clip(spec)
    path = folder / "brief.mp4"
    write_video(made.frames_THWC, made.audio_S, path)
    task = ModelProfile(sampling=sampling).fit(load_task("me_vqa-coarse"))
    clip = next(iter(read_video(probe(path), task.sampling)))
    assert clip.sampling == replace(sampling, policy=load_task("me_vqa-coarse").sampling.policy)
    assert len(clip.frames_THWC) == 16
    return model_input(clip, task)

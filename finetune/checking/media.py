"""The pictures and the sound of a row, decoded as the trainer would.

Does: read the files of one row and check them against what the model input promises.
Does not: look at text.
"""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.checking.findings import LONGEST_AUDIO_S, Fault, RowLimits, WrongRowError
from mllm_affect.media.decoding.audio import HOP, SHORTEST
from mllm_affect.media.types import AUDIO_RATE, FRAME_MULTIPLE


@dataclass(frozen=True)
class Decoded:
    """frames_THWC uint8 RGB; audio_S int16 at 16 kHz, or None."""

    frames_THWC: NDArray[np.uint8]
    audio_S: NDArray[np.int16] | None


def decode(
    folder: Path, frames: Sequence[str], audio: str | None, limits: RowLimits
) -> tuple[Decoded | None, list[Fault]]:
    """Return what the files hold, or None and what is wrong with pictures and sound."""
    faults: list[Fault] = []
    frames_THWC = audio_S = None
    try:
        frames_THWC = _frames(folder, frames, limits)
    except WrongRowError as error:
        faults.append(error.fault)
    try:
        audio_S = None if audio is None else _audio(_existing(folder, audio), limits)
    except WrongRowError as error:
        faults.append(error.fault)
    if faults or frames_THWC is None:
        return None, faults
    return Decoded(frames_THWC, audio_S), []


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise WrongRowError("missing_file", f"{name} is not there.")
    if path.stat().st_size == 0:
        raise WrongRowError("empty_file", f"{name} has no bytes.")
    return path


def _frames(folder: Path, names: Sequence[str], limits: RowLimits) -> NDArray[np.uint8]:
    paths = [_existing(folder, name) for name in names]
    if len(paths) % 2:
        raise WrongRowError("odd_frames", f"{len(paths)} frames: the tower reads them in pairs.")
    # A family of tasks may show a picture of motion, a pair of frames, after the sampled ones.
    most = limits.sampling.most_frames(limits.max_seconds) + 2
    if len(paths) > most:
        said = f"{limits.max_seconds:g} s at {limits.sampling.fps:g} a second"
        raise WrongRowError("too_many_frames", f"{len(paths)} frames are more than {said}.")
    pictures = [_picture(path, name) for path, name in zip(paths, names, strict=True)]
    if len({picture.shape for picture in pictures}) > 1:
        raise WrongRowError("frame_sizes_differ", "Its frames are not all of one size.")
    height, width, _ = pictures[0].shape
    if height % FRAME_MULTIPLE or width % FRAME_MULTIPLE:
        raise WrongRowError(
            "frame_size",
            f"{width}x{height} is no multiple of {FRAME_MULTIPLE}: it would be scaled.",
        )
    if height * width > limits.sampling.max_pixels:
        raise WrongRowError(
            "frame_too_large",
            f"{width}x{height} is over {limits.sampling.max_pixels} pixels: it would be scaled.",
        )
    return np.stack(pictures)


def _picture(path: Path, name: str) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            mode, pixels = picture.mode, np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise WrongRowError("bad_picture", f"{name} cannot be read: {error}.") from error
    if mode != "RGB":
        raise WrongRowError("not_rgb", f"{name} is {mode}, not RGB.")
    return pixels


def _audio(path: Path, limits: RowLimits) -> NDArray[np.int16]:
    try:
        with wave.open(str(path)) as sound:
            shape = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
            promised, pcm = sound.getnframes(), sound.readframes(-1)
    except (wave.Error, EOFError, OSError) as error:
        raise WrongRowError("bad_sound", f"{path.name} cannot be read: {error}.") from error
    if shape != (AUDIO_RATE, 1, 2):
        said = f"{shape[0]} Hz, {shape[1]} channels, {8 * shape[2]} bits"
        raise WrongRowError(
            "sound_format", f"{path.name} is {said}; 16 kHz, mono, 16 bits are read."
        )
    samples = len(pcm) // 2
    if samples != promised:
        raise WrongRowError("bad_sound", f"{path.name} holds {samples} of {promised} samples.")
    if samples == 0:
        raise WrongRowError("empty_sound", f"{path.name} holds no sample.")
    seconds = samples / AUDIO_RATE
    if seconds > LONGEST_AUDIO_S:
        raise WrongRowError(
            "audio_cut", f"{seconds:.2f} s of sound: after {LONGEST_AUDIO_S:g} s it would be cut."
        )
    if seconds > max(limits.max_seconds, SHORTEST / AUDIO_RATE) + HOP / AUDIO_RATE:
        raise WrongRowError(
            "audio_too_long",
            f"{seconds:.2f} s of sound; clips have {limits.max_seconds:g} s at most.",
        )
    if samples < SHORTEST or samples % HOP:
        raise WrongRowError(
            "sound_length",
            f"{samples} samples: at least {SHORTEST}, in whole {HOP}, are heard alike.",
        )
    return np.frombuffer(pcm, dtype="<i2")

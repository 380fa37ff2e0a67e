"""Training rows: one model input and its answer, as ms-swift reads it.

Does: write the frames (PNG) and the audio (PCM16 WAV) of an input losslessly under the hash of
their content, and build the row that points at them, parts in the order audio, video, text.
Does not: choose inputs or answers, write the list of rows, or know ms-swift's options.
"""

import hashlib
import shutil
import tempfile
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError
from mllm_affect.media.types import AUDIO_RATE
from mllm_affect.tasks.model_input import ModelInput

CLIPS = "clips"
AUDIO_NAME = "audio.wav"
RESERVED_TAGS = ("<audio>", "<video>", "<image>", "<bbox>", "<ref-object>", "<cot-process>")
"""Words that ms-swift replaces in a message; a question that holds one would lose it."""


def write_row(folder: Path, model_input: ModelInput, answer: str) -> dict[str, Any]:
    """Write the media of `model_input` under `folder` and return its ms-swift row.

    Paths in the row are relative to `folder`, so that the folder can be moved.  Media that are
    already there are left alone: preparing again after an interruption goes on where it stopped.
    Raises UserError `bad_question` when the text holds a word that ms-swift would replace.
    """
    tags = [tag for tag in RESERVED_TAGS if tag in model_input.text]
    if tags:
        raise UserError(
            "bad_question",
            f"The question contains {tags[0]!r}, which stands for media in training rows; "
            "word it differently.",
        )
    place = f"{CLIPS}/{content_hash(model_input)[:24]}"
    if not (folder / place).is_dir():
        _write_media(folder / place, model_input)
    count = len(model_input.frames_THWC)
    has_audio = model_input.audio_S is not None
    prefix = "<audio><video>" if has_audio else "<video>"
    return with_answer(
        {
            "messages": [{"role": "user", "content": prefix + model_input.text}],
            "videos": [[f"{place}/{_frame_name(position)}" for position in range(count)]],
            "audios": [f"{place}/{AUDIO_NAME}"] if has_audio else [],
        },
        answer,
    )


def with_answer(row: Mapping[str, Any], answer: str) -> dict[str, Any]:
    """Return a copy of `row` in which the assistant gives `answer` and nothing else."""
    asked = [message for message in row["messages"] if message["role"] != "assistant"]
    return {**row, "messages": [*asked, {"role": "assistant", "content": answer}]}


def without_answer(row: Mapping[str, Any], allowed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a row for reinforcement learning: no answer, but the right one as `solution`.

    `allowed`: the answers that each question's text allows; they become the column `allowed`.
    """
    *asked, answer = row["messages"]
    text = asked[-1]["content"]
    answers = next((some for question, some in allowed.items() if text.endswith(question)), ())
    columns = {"solution": answer["content"], "allowed": list(answers)}
    return {**row, "messages": asked, **columns}


def media_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the relative paths of all files that `row` points at."""
    return (*(name for video in row["videos"] for name in video), *row["audios"])


def content_hash(model_input: ModelInput) -> str:
    """Return the hex SHA-256 of the frames and the audio, shapes included."""
    digest = hashlib.sha256(repr(model_input.frames_THWC.shape).encode())
    digest.update(model_input.frames_THWC.tobytes())
    if model_input.audio_S is not None:
        digest.update(b"audio")
        digest.update(model_input.audio_S.astype("<i2").tobytes())
    return digest.hexdigest()


def _frame_name(position: int) -> str:
    return f"frame-{position:04d}.png"


def _write_media(target: Path, model_input: ModelInput) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
    try:
        _write_frames(temporary, model_input)
        if model_input.audio_S is not None:
            _write_wav(temporary / AUDIO_NAME, model_input.audio_S.astype("<i2").tobytes())
        temporary.chmod(0o755)
        # Not fsynced file by file (thousands of small ones): they can be made again at any time.
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_frames(folder: Path, model_input: ModelInput) -> None:
    from PIL import Image

    for position, frame_HWC in enumerate(model_input.frames_THWC):
        # Level 1: any level is lossless, and the default takes four times as long.
        Image.fromarray(frame_HWC).save(folder / _frame_name(position), compress_level=1)


def _write_wav(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(AUDIO_RATE)
        sound.writeframes(pcm)

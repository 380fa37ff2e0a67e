"""A model input as the parts of an OpenAI chat message, nothing lost on the way.

Does: order (audio, video, text) and lossless coding (PCM16 WAV, PNG frames).
Does not: send anything, or look at the answer space.
"""

import base64
import io
import wave
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mllm_affect.engine.vocabulary import control_token_in
from mllm_affect.errors import UserError
from mllm_affect.media.types import AUDIO_RATE
from mllm_affect.tasks.model_input import ModelInput


def content_parts(made: ModelInput, name: str | None = None) -> list[dict[str, Any]]:
    """Return the parts of the user message: audio (when there is any), video, text.

    The frame list is labelled `video/jpeg`, the label under which vLLM takes one, but holds PNG:
    each frame is opened by its content, so nothing is lost.  `name`: under which the server may
    keep the media (its `uuid`).
    Raises UserError `bad_question` when the text holds one of the model's control tokens.
    """
    _refuse_control_tokens(made.text)
    frames = ",".join(png_base64(frame_HWC) for frame_HWC in made.frames_THWC)
    sound = None if made.audio_S is None else wav_base64(made.audio_S)
    return _parts(made, sound, f"data:video/jpeg;base64,{frames}", name)


def named_parts(made: ModelInput, name: str) -> list[dict[str, Any]]:
    """Return the same parts without the media, which the server was sent under this name.

    Raises UserError as content_parts.
    """
    _refuse_control_tokens(made.text)
    return _parts(made, None if made.audio_S is None else "", "", name)


def _refuse_control_tokens(text: str) -> None:
    steering = control_token_in(text)
    if steering is not None:
        raise UserError(
            "bad_question",
            f"The question contains {steering!r}, which steers the model; leave it out.",
        )


def _parts(
    made: ModelInput, sound: str | None, video: str, name: str | None
) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if sound is not None:
        parts.append({"type": "input_audio", "input_audio": {"data": sound, "format": "wav"}})
    parts.append({"type": "video_url", "video_url": {"url": video}})
    if name is not None:
        for part in parts:
            part["uuid"] = f"{name}-{part['type']}"
    return [*parts, {"type": "text", "text": made.text}]


def png_base64(frame_HWC: NDArray[np.uint8]) -> str:
    """Return one RGB frame as PNG in base64."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(frame_HWC).save(stream, format="PNG", compress_level=1)
    return base64.b64encode(stream.getvalue()).decode()


def wav_base64(audio_S: NDArray[np.int16]) -> str:
    """Return 16 kHz mono samples as a PCM16 WAV file in base64."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(AUDIO_RATE)
        sound.writeframes(audio_S.astype("<i2").tobytes())
    return base64.b64encode(stream.getvalue()).decode()

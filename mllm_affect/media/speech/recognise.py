"""Speech to text, where somebody has a recogniser: the contract and one adapter.

Does: say what a recogniser is; run a Whisper model from a local folder through transformers.
Does not: download, come with weights, or repair times (transcript does).

The adapter was tried against a stand-in for the pipeline only, never with real weights.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mllm_affect.errors import UserError
from mllm_affect.media.speech.transcript import Transcript, one_timeline
from mllm_affect.media.speech.transcript_files import chunks_of
from mllm_affect.media.types import AUDIO_RATE


class Recogniser(Protocol):
    """Whoever writes down what is said."""

    def recognise(self, audio_S: NDArray[np.int16]) -> Transcript:
        """Return what is said in 16 kHz mono sound, times from its beginning."""


class WhisperFolder:
    """A Whisper checkpoint in a local folder, as transformers saves it.

    Raises UserError `no_recogniser` for a folder that is none.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise UserError(
                "no_recogniser",
                f"{folder} holds no config.json; give the folder of a saved Whisper model.",
            )
        self._pipeline = _pipeline(folder)

    def recognise(self, audio_S: NDArray[np.int16]) -> Transcript:
        """Return what is said; see Recogniser."""
        sound = {"raw": audio_S.astype(np.float32) / 32768, "sampling_rate": AUDIO_RATE}
        found = self._pipeline(sound, return_timestamps=True)
        return one_timeline(chunks_of(found), duration_s=len(audio_S) / AUDIO_RATE)


def _pipeline(folder: Path) -> Any:
    try:
        from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor, pipeline
    except ImportError as error:
        raise UserError(
            "package_missing", "A recogniser needs transformers; pip install 'mllm-affect[cpu]'."
        ) from error
    model = AutoModelForSpeechSeq2Seq.from_pretrained(folder, local_files_only=True)
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    return pipeline(
        "automatic-speech-recognition",
        model=model,
        tokenizer=processor.tokenizer,
        feature_extractor=processor.feature_extractor,
    )

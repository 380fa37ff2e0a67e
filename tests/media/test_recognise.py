"""The adapter to a recogniser, on its edge: a stand-in answers instead of a model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mllm_affect.errors import UserError
from mllm_affect.media.speech import recognise
from mllm_affect.media.speech.transcript import Chunk, Repairs
from mllm_affect.media.types import AUDIO_RATE


def test_sound_goes_in_and_a_repaired_timeline_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def stand_in(sound: dict[str, Any], **options: Any) -> dict[str, Any]:
        heard.append((sound, options))
        chunks = [
            {"text": " a made", "timestamp": (0.0, 28.0)},
            {"text": " text", "timestamp": (0.0, None)},
        ]
        return {"text": " a made text", "chunks": chunks}

    monkeypatch.setattr(recognise, "_pipeline", lambda folder: stand_in)
    (tmp_path / "config.json").write_text("{}")
    audio_S = np.full(31 * AUDIO_RATE, 16384, dtype=np.int16)
    told = recognise.WhisperFolder(tmp_path).recognise(audio_S)
    ((sound, options),) = heard
    assert sound["sampling_rate"] == 16_000
    assert sound["raw"].dtype == np.float32
    assert np.all(sound["raw"] == 0.5)
    assert options["return_timestamps"] is True
    assert told.chunks == (Chunk("a made", 0.0, 28.0), Chunk("text", 28.0, 31.0))
    assert told.repairs == Repairs(restarts=1, missing_ends=1)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json") as caught:
        recognise.WhisperFolder(tmp_path)
    assert caught.value.code == "no_recogniser"

"""Training rows: lossless media, the same order as serving, safe to prepare again."""

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noise_inputs import QUESTION, noise_input

from mllm_affect.errors import UserError
from mllm_affect.tasks.rows import media_of, with_answer, write_row


def test_row_is_audio_video_text_then_the_answer(tmp_path: Path) -> None:
    row = write_row(tmp_path, noise_input(0), "yes")
    assert row["messages"] == [
        {"role": "user", "content": f"<audio><video>{QUESTION}"},
        {"role": "assistant", "content": "yes"},
    ]
    assert len(row["videos"]) == len(row["audios"]) == 1


def test_silent_row_has_no_audio_part(tmp_path: Path) -> None:
    row = write_row(tmp_path, noise_input(0, samples=None), "no")
    assert row["messages"][0]["content"] == f"<video>{QUESTION}"
    assert row["audios"] == []


def test_media_are_lossless_and_relative(tmp_path: Path) -> None:
    from PIL import Image

    given = noise_input(7, frames=6, size=(32, 96), samples=3_200)
    assert given.audio_S is not None
    row = write_row(tmp_path, given, "yes")
    assert not any(Path(name).is_absolute() for name in media_of(row))
    frames = [np.asarray(Image.open(tmp_path / name)) for name in row["videos"][0]]
    np.testing.assert_array_equal(np.stack(frames), given.frames_THWC)
    with wave.open(str(tmp_path / row["audios"][0])) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
        pcm = np.frombuffer(sound.readframes(-1), dtype="<i2")
    np.testing.assert_array_equal(pcm, given.audio_S)


def test_writing_again_keeps_the_files(tmp_path: Path) -> None:
    row = write_row(tmp_path, noise_input(1), "yes")
    first = tmp_path / media_of(row)[0]
    before = first.stat().st_mtime_ns
    again = write_row(tmp_path, replace(noise_input(1), text="Another question?"), "no")
    assert media_of(again) == media_of(row)
    assert first.stat().st_mtime_ns == before


def test_different_content_never_shares_files(tmp_path: Path) -> None:
    given = noise_input(1)
    turned = replace(given, frames_THWC=given.frames_THWC.reshape(4, 32, 128, 3))
    silent = replace(given, audio_S=None)
    places = {media_of(write_row(tmp_path, item, "yes"))[0] for item in (given, turned, silent)}
    assert len(places) == 3


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    broken = replace(noise_input(1), frames_THWC=np.zeros((2, 32, 32, 9), dtype=np.uint8))
    with pytest.raises((TypeError, ValueError)):
        write_row(tmp_path, broken, "yes")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list((tmp_path / "clips").iterdir()) == []


@pytest.mark.parametrize("tag", ["<audio>", "<video>", "<image>"])
def test_a_question_with_a_media_tag_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(UserError) as caught:
        write_row(tmp_path, replace(noise_input(0), text=f"What is in {tag}?"), "yes")
    assert caught.value.code == "bad_question"
    assert list(tmp_path.iterdir()) == []


def test_with_answer_replaces_the_answer_only(tmp_path: Path) -> None:
    row = write_row(tmp_path, noise_input(0), "")
    answered = with_answer(row, "no")
    assert [message["role"] for message in answered["messages"]] == ["user", "assistant"]
    assert answered["messages"][1]["content"] == "no"
    assert row["messages"][1]["content"] == ""

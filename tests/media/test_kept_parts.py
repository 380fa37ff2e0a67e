"""Face and speech parts are kept with the clips."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.face.part import FacePart
from mllm_affect.media.parts import AnyPart
from mllm_affect.media.probe import probe
from mllm_affect.media.speech.activity import SpeechPart
from mllm_affect.media.types import Clip, Sampling
from mllm_affect.media.video import open_video, read_cached
from tests.real_videos import real_video

SMALL = Sampling(fps=2.0, max_pixels=4096)


def no_reading(*_how: Any) -> Iterator[Clip]:
    raise AssertionError("decoded although it is in the cache")


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    else:
        assert one == other


@pytest.mark.parametrize("name", ["single_face", "no_face"])
def test_face_and_speech_come_back_from_the_cache_as_they_were(name: str, tmp_path: Path) -> None:
    source, cache = probe(real_video(name)), ClipCache.open(tmp_path)
    parts: list[AnyPart] = [FacePart(crop_size=64, look_every_s=1.0), SpeechPart()]
    made = list(cached_video(source, SMALL, 2.0, parts, cache=cache))
    kept = list(cached_video(source, SMALL, 2.0, parts, cache=cache, read=no_reading))
    assert len(made) == len(kept) > 0
    for one, other in zip(made, kept, strict=True):
        for part in parts:
            assert_same(one.parts[part], other.parts[part])
    with pytest.raises(AssertionError, match="although"):
        next(cached_video(source, SMALL, 2.0, [FacePart(64)], cache=cache, read=no_reading))


def test_speech_is_kept_with_its_spans(tmp_path: Path) -> None:
    source, cache = probe(real_video("talking")), ClipCache.open(tmp_path)
    part = SpeechPart()
    made = [clip.parts[part] for clip in cached_video(source, SMALL, 5.0, [part], cache=cache)]
    again = cached_video(source, SMALL, 5.0, [part], cache=cache, read=no_reading)
    assert sum(len(one.speech) for one in made) > 0
    for one, clip in zip(made, again, strict=True):
        assert_same(one, clip.parts[part])


def test_an_open_video_s_parts_come_from_the_cache_too(tmp_path: Path) -> None:
    part, cache = FacePart(crop_size=0, look_every_s=1.0), ClipCache.open(tmp_path)
    for trusted in (True, False):
        with open_video(real_video("single_face"), trusted=trusted, parts=[part]) as video:
            (clip,) = read_cached(video, SMALL, 5.0, cache)
            assert clip.parts[part].quality.share == 1.0
    assert len(list((tmp_path / "clips").glob("??/*"))) == 1

"""What was done to a video reaches everybody who reads about it."""

import json
from dataclasses import replace
from pathlib import Path

import av
import pytest
from kinds import make_kind
from read_video import MadeVideo

from mllm_affect.engine.echo import EchoEngine
from mllm_affect.media import reader, video, warnings
from mllm_affect.media.cache import ClipCache, cached_video
from mllm_affect.media.export.segments_file import read_segments, write_segments
from mllm_affect.media.isolation import wire
from mllm_affect.media.isolation.checking import check_answered, check_segments
from mllm_affect.media.limits import DEFAULT_LIMITS
from mllm_affect.media.probe import probe
from mllm_affect.media.types import Sampling, Segment, Source
from mllm_affect.media.warnings import MediaWarning, warn
from mllm_affect.pipeline import answer_video
from mllm_affect.tasks.prompts import load_task

SAMPLING = Sampling(fps=1.0, max_pixels=4096)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> MediaWarning:
    monkeypatch.setitem(warnings.SENTENCES, "made_up", "Something was done {times} times.")
    return warn("made_up", times=3)


@pytest.fixture
def warned(plain: MadeVideo, made: MediaWarning) -> Source:
    return replace(plain.source, warnings=(made,))


def test_warnings_about_the_file_stand_in_every_segment(
    plain: MadeVideo, warned: Source, made: MediaWarning
) -> None:
    segments = video.TrustedVideo(warned).segment()
    clips = list(reader.read_video(warned, SAMPLING))
    again = list(reader.read_clips(warned, plain.segments, SAMPLING))
    assert [part.warnings for part in segments] == [(made,)] * len(plain.segments)
    assert [clip.segment for clip in clips] == [clip.segment for clip in again] == list(segments)


def test_they_are_in_the_segments_file_and_in_kept_clips(
    warned: Source, made: MediaWarning, tmp_path: Path
) -> None:
    segments = video.TrustedVideo(warned).segment()
    path = write_segments(tmp_path, segments)
    assert read_segments(path) == segments
    cache = ClipCache.open(tmp_path / "cache")
    for _ in range(2):
        clips = cached_video(warned, SAMPLING, cache=cache)
        assert [clip.segment.warnings for clip in clips] == [(made,)] * len(segments)


def test_segments_files_and_sources_from_before_are_read(plain: MadeVideo, tmp_path: Path) -> None:
    path = write_segments(tmp_path, plain.segments)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        del row["warnings"]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert read_segments(path) == plain.segments
    facts = {name: getattr(plain.source, name) for name in Source.__dataclass_fields__}
    del facts["warnings"], facts["path"]
    assert Source.from_json(facts, plain.path) == plain.source


def test_an_answer_says_them_once(warned: Source, made: MediaWarning) -> None:
    answer = answer_video(warned, load_task("ah"), EchoEngine(), trusted=True)
    said = [(one.code, one.sentence) for one in answer.warnings]
    assert said.count(("made_up", "Something was done 3 times.")) == 1


def test_they_travel_and_foreign_sentences_do_not(
    plain: MadeVideo, warned: Source, made: MediaWarning
) -> None:
    travelled = wire.rebuild(wire.plain(warned), Source, ())
    assert travelled.warnings == (made,)
    check_answered(travelled, DEFAULT_LIMITS)
    (segment,) = plain.segments[:1]
    sent = wire.rebuild(wire.plain(replace(segment, warnings=(made,))), Segment, ())
    check_segments([sent], plain.source, 5.0, DEFAULT_LIMITS)
    for foreign in (
        MediaWarning("made_up", "Buy something."),
        MediaWarning("other", made.sentence),
        MediaWarning("made_up", f"Something was done {'x' * 500} times."),
        MediaWarning("made_up", "Something was done \n times."),
    ):
        with pytest.raises(wire.WireError):
            check_answered(replace(warned, warnings=(foreign,)), DEFAULT_LIMITS)
        with pytest.raises(wire.WireError):
            check_segments(
                [replace(segment, warnings=(foreign,))], plain.source, 5.0, DEFAULT_LIMITS
            )


@pytest.mark.parametrize("kind", ["25 a second", "avi"])
def test_pictures_that_cannot_be_decoded_are_told(kind: str, tmp_path: Path) -> None:
    path, _ = make_kind(kind, tmp_path)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        pieces = [(one.pos, one.size) for one in container.demux(video=0) if one.size]
    for place, size in pieces[40:60]:
        content[place + 8 : place + 8 + size - 8] = bytes(size - 8)
    path.write_bytes(content)
    clips = list(reader.read_video(probe(path), SAMPLING))
    codes = [{one.code for one in clip.segment.warnings} for clip in clips]
    assert "pictures_damaged" in codes[0]
    assert "pictures_damaged" not in codes[-1]

"""WebVTT, read back by the transcript reader and by the rules of W3C WebVTT."""

import html
import re
from pathlib import Path

import pytest
from made_answers import EVENTS, analysis, plain, scored

from mllm_affect.exports.analysis import Analysis
from mllm_affect.exports.captions import as_webvtt
from mllm_affect.media.speech.transcript_files import read_transcript

TIMES = re.compile(
    r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"
)


def cues(content: bytes) -> list[tuple[float, float, str]]:
    """The cues of a WebVTT file by its grammar; asserts what that forbids."""
    text = content.decode("utf-8")
    assert text.startswith("WEBVTT\n\n")
    found = []
    for block in text.removeprefix("WEBVTT\n\n").rstrip("\n").split("\n\n"):
        lines = block.split("\n")
        if lines[0] == "NOTE":
            assert "-->" not in block
            continue
        times = TIMES.fullmatch(lines[0])
        assert times, block
        assert not any("-->" in line or "<" in line for line in lines[1:])
        numbers = [int(part) for part in times.groups()]
        start_s, end_s = (
            h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (numbers[:4], numbers[4:])
        )
        assert end_s > start_s
        found.append((start_s, end_s, html.unescape("\n".join(lines[1:]))))
    assert found == sorted(found, key=lambda cue: cue[0])
    return found


def test_a_cue_a_segment_on_the_players_clock() -> None:
    read = cues(as_webvtt(plain()))
    assert [(start, end) for start, end, _ in read] == [(0.0, 5.0), (5.0, 10.0), (10.0, 12.0)]
    assert [text for *_, text in read] == ["ah: yes (0.90)", "ah: yes (0.70)", "ah: no (0.80)"]


def test_tasks_share_cues_and_text_cannot_break_out() -> None:
    first, micro, *_ = cues(as_webvtt(analysis()))
    assert first[2].split("\n") == [
        "ah: yes (0.90)",
        'question-1: She says "no" --> <b>&amp; looks away , smiles \u2603',
    ]
    assert micro == (1.6, 2.0, "micro-expression, probability 0.91")


def test_the_transcript_reader_reads_it_back(tmp_path: Path) -> None:
    path = tmp_path / "v.vtt"
    path.write_bytes(as_webvtt(Analysis("v.mp4", (scored(0.9, 0.7, 0.2),), EVENTS[:1])))
    read = read_transcript(path)
    assert "ah: no (0.80)" in read.text
    assert len(read.chunks) == 4


@pytest.mark.parametrize("name", ["a\n\nNOTE b", "x --> y", "<i>"])
def test_the_name_of_the_video_cannot_break_out(name: str) -> None:
    assert len(cues(as_webvtt(Analysis(name, (scored(0.9, 0.7, 0.2),))))) == 3

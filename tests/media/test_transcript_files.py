"""Transcripts are read from text, subtitles and chunks; anything else is one clear sentence."""

import json
from pathlib import Path

import pytest

from mllm_affect.errors import UserError
from mllm_affect.media.speech.transcript import Chunk, RawChunk, Repairs
from mllm_affect.media.speech.transcript_files import MAX_BYTES, chunks_of, read_transcript

CHUNKS = [
    {"text": " Well,", "timestamp": [0.0, 29.5]},
    {"text": " perhaps.", "timestamp": [0.0, None]},
]
PLACED = (Chunk("Well,", 0.0, 29.5), Chunk("perhaps.", 29.5, 31.0))

VTT = """WEBVTT - made

NOTE this is
a remark

STYLE
::cue { color: lime }

first
00:01.000 --> 00:02.500 align:start
<v Ann>Well, <i>I</i> think &amp; hope

01:00:03.250 --> 01:00:04.000
two
lines
"""

SRT = """1
00:00:01,000 --> 00:00:02,500
{\\an8}<i>Well</i>,

2
00:00:03,000 --> 00:00:04,000
1 < 2
"""


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_plain_text_has_words_and_no_times(tmp_path: Path) -> None:
    told = read_transcript(written(tmp_path, "said.txt", "\ufeffWell,\r\n perhaps \n"))
    assert (told.text, told.chunks) == ("Well, perhaps", ())


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_webvtt(tmp_path: Path, line_end: str) -> None:
    content = "\ufeff" + VTT.replace("\n", line_end)
    told = read_transcript(written(tmp_path, "said.vtt", content))
    assert told.chunks == (
        Chunk("Well, I think & hope", 1.0, 2.5),
        Chunk("two lines", 3603.25, 3604.0),
    )
    assert told.repairs.total == 0


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_subrip(tmp_path: Path, line_end: str) -> None:
    told = read_transcript(written(tmp_path, "said.srt", SRT.replace("\n", line_end)))
    assert told.chunks == (Chunk("Well,", 1.0, 2.5), Chunk("1 < 2", 3.0, 4.0))


def words_of(tmp_path: Path, content: str, name: str = "said.vtt") -> list[str]:
    return read_transcript(written(tmp_path, name, content)).text.split()


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.080 --> 00:00:02.149 align:start position:0%
~
well<00:00:00.480><c> then</c><00:00:00.799><c> no</c><00:00:01.199> no<00:00:01.600> no

00:00:02.149 --> 00:00:02.159 align:start position:0%
well then no no no
~

00:00:02.159 --> 00:00:04.000 align:start position:0%
well then no no no
yes

00:00:04.000 --> 00:00:04.010 align:start position:0%
yes
~

00:00:04.010 --> 00:00:06.000 align:start position:0%
yes
yes

00:00:06.000 --> 00:00:06.010 align:start position:0%
yes
~

00:00:08.000 --> 00:00:09.000 align:start position:0%
yes
but<00:00:08.480><c> not</c><00:00:08.8><c> now</c>
""".replace("~", " ")
"""Ten words; three of them are repeated on purpose, and so is one line."""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_rolling_captions_say_each_word_once(tmp_path: Path, line_end: str) -> None:
    told = read_transcript(written(tmp_path, "said.vtt", ROLLING.replace("\n", line_end)))
    assert told.text == "well then no no no yes yes but not now"
    assert [(chunk.start_s, chunk.end_s) for chunk in told.chunks] == [
        (0.08, 2.149), (2.159, 4.0), (4.01, 6.0), (8.0, 9.0),
    ]  # fmt: skip
    assert told.repairs == Repairs(rolled_over=6)
    assert "rolled over: 6" in told.repairs.sentence()


def test_rolling_captions_as_subrip_without_times_of_words(tmp_path: Path) -> None:
    content = """1
00:00:01,000 --> 00:00:02,000
so it goes

2
00:00:02,000 --> 00:00:03,000
so it goes
on and on

3
00:00:03,000 --> 00:00:04,000
on and on
on and on
"""
    assert words_of(tmp_path, content, "a.srt") == [
        "so",
        "it",
        "goes",
        "on",
        "and",
        "on",
        "on",
        "and",
        "on",
    ]


@pytest.mark.parametrize(
    "cues",
    [
        (("00:01.000 --> 00:02.000", "No."), ("00:02.000 --> 00:03.000", "No.")),
        (("00:01.000 --> 00:02.000", "Never."), ("00:05.000 --> 00:06.000", "Never.\nI said it.")),
        (
            ("00:01.000 --> 00:02.000", "- Yes.\n- Sure?"),
            ("00:02.000 --> 00:03.000", "- Sure?\n- Yes."),
            ("00:03.000 --> 00:04.000", "- Then come.\n- Now?"),
        ),
        (
            ("00:01.000 --> 00:02.000", "la<00:01.500> la"),
            ("00:02.000 --> 00:03.000", "la<00:02.500> la\nla<00:02.700> la"),
        ),
    ],
    ids=["two cues alike", "after a gap", "in dialogue", "with times of words"],
)
def test_words_repeated_on_purpose_are_kept(
    tmp_path: Path, cues: tuple[tuple[str, str], ...]
) -> None:
    content = "WEBVTT\n\n" + "\n\n".join("\n".join(cue) for cue in cues) + "\n"
    spoken = " ".join(text for _, text in cues)
    for time in ("<00:01.500>", "<00:02.500>", "<00:02.700>"):
        spoken = spoken.replace(time, "")
    assert words_of(tmp_path, content) == spoken.split()


def test_a_line_of_blanks_does_not_end_a_cue_and_times_begin_one(tmp_path: Path) -> None:
    content = """WEBVTT

00:01.000 --> 00:02.000
one
\t
two
00:03.000 --> 00:04.000
three
\x20
4
00:05.000 --> 00:06.000
four
"""
    told = read_transcript(written(tmp_path, "said.vtt", content))
    assert told.chunks == (
        Chunk("one two", 1.0, 2.0), Chunk("three", 3.0, 4.0), Chunk("four", 5.0, 6.0),
    )  # fmt: skip


@pytest.mark.parametrize("value", [CHUNKS, {"text": "…", "chunks": CHUNKS}])
def test_chunks_as_json(tmp_path: Path, value: object) -> None:
    told = read_transcript(written(tmp_path, "said.json", json.dumps(value)), duration_s=31.0)
    assert told.chunks == PLACED
    assert told.repairs == Repairs(restarts=1, missing_ends=1)


def test_segments_as_another_recogniser_writes_them(tmp_path: Path) -> None:
    value = {"segments": [{"id": 0, "start": 0.0, "end": 2.0, "text": " Well"}]}
    told = read_transcript(written(tmp_path, "said.json", json.dumps(value)))
    assert told.chunks == (Chunk("Well", 0.0, 2.0),)


def test_chunks_as_yaml_with_tuples(tmp_path: Path) -> None:
    content = """text: "Well, perhaps."
chunks:
- language: english
  text: ' Well,'
  timestamp: !!python/tuple [0.0, 29.5]
- text: ' perhaps.'
  timestamp: [0.0, null]
"""
    told = read_transcript(written(tmp_path, "said.yml", content), duration_s=31.0)
    assert told.chunks == PLACED


def test_parsed_chunks_can_be_taken_without_a_file() -> None:
    assert chunks_of(CHUNKS) == [RawChunk(" Well,", 0.0, 29.5), RawChunk(" perhaps.", 0.0, None)]


BAD: dict[str, tuple[str, str | bytes, str, str]] = {
    "cp1252": ("a.txt", b"it\x92s", "transcript_not_utf8", "byte 3"),
    "utf-16": ("a.txt", "hello".encode("utf-16"), "transcript_not_utf8", "UTF-8"),
    "NUL bytes": ("a.txt", b"a\0b", "bad_transcript", "NUL"),
    "too large": ("a.txt", b"a" * (MAX_BYTES + 1), "transcript_too_large", "8 MiB"),
    "subtitles by another name": ("a.txt", SRT, "bad_transcript", ".srt"),
    "no header": ("a.vtt", SRT, "bad_transcript", "WEBVTT"),
    "a cue without times": ("a.srt", "1\nhello\n", "bad_transcript", "Block 1"),
    "times that are none": ("a.srt", "1\n00:xx --> 00:02,0\nhi", "bad_transcript", "Block 1"),
    "cut off": ("a.json", '{"chunks": [', "bad_transcript", "JSON"),
    "deep JSON": ("a.json", "[" * 100_000, "bad_transcript", "JSON"),
    "deep YAML": ("a.yml", "[" * 5_000 + "]" * 5_000, "bad_transcript", "deeply"),
    "an object in YAML": ("a.yml", "!!python/object/apply:os.getcwd []", "bad_transcript", "YAML"),
    "broken YAML": ("a.yaml", "a: [", "bad_transcript", "YAML"),
    "no chunks": ("a.json", '{"text": "hi"}', "bad_transcript", "chunks"),
    "a chunk without text": ("a.json", '[{"timestamp": [0, 1]}]', "bad_transcript", "Piece 1"),
    "one time": (
        "a.json",
        '[{"text": "a", "timestamp": [0]}]',
        "bad_transcript",
        "two",
    ),
    "a time that is no number": (
        "a.json",
        '[{"text": "a", "timestamp": [0, NaN]}]',
        "bad_transcript",
        "Piece 1",
    ),
    "a time as text": (
        "a.json",
        '[{"text": "a", "timestamp": ["0", 1]}]',
        "bad_transcript",
        "no number",
    ),
    "too many chunks": (
        "a.json",
        json.dumps([{"text": "", "timestamp": [0, 0]}] * 100_001),
        "bad_transcript",
        "100000",
    ),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_files_are_one_sentence(case: str, tmp_path: Path) -> None:
    name, content, code, said = BAD[case]
    with pytest.raises(UserError, match=name) as caught:
        read_transcript(written(tmp_path, name, content))
    assert caught.value.code == code
    assert said in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere") as caught:
        read_transcript(tmp_path / "nowhere.txt")
    assert caught.value.code == "transcript_not_found"

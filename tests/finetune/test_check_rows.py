"""Planted faults in training rows: each gets its own verdict, and training refuses to start."""

import json
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noise_inputs import noise_input
from PIL import Image

from finetune.base import load_processor
from finetune.checking.findings import RowLimits, RowsReport
from finetune.checking.rows import check_rows, limits_beside, refuse_bad_rows
from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, write_json, write_jsonl
from mllm_affect.media.types import Sampling
from mllm_affect.tasks.prompts import load_task
from mllm_affect.tasks.rows import write_row

TASK = load_task("ah_demo")
SAMPLING = Sampling(fps=4.0, max_pixels=64 * 64)
LIMITS = RowLimits((TASK,), SAMPLING, max_seconds=5.0, max_length=400)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def processor() -> Any:
    from mllm_affect.model.miniature import embedded_checkpoint

    return load_processor(embedded_checkpoint())


@pytest.fixture(scope="module")
def sound_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four rows that nothing is wrong with."""
    folder = tmp_path_factory.mktemp("rows")
    rows = []
    for number, answer in enumerate(("yes", "no", "yes", "no")):
        given = noise_input(number, samples=None if number == 3 else 16_000, question=TASK.question)
        of = {"participant": f"p{number}", "voice": "", "split": "train"}
        rows.append(write_row(folder, given, answer) | of)
    write_jsonl(folder / "rows.jsonl", rows)
    return folder


@pytest.fixture
def folder(sound_rows: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound_rows, tmp_path / "rows")
    return tmp_path / "rows"


def rows_of(folder: Path) -> list[Row]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def check(folder: Path, processor: Any, limits: RowLimits = LIMITS) -> RowsReport:
    return check_rows([folder / "rows.jsonl"], limits, processor)


def codes(report: RowsReport, line: int) -> set[str]:
    (row,) = (row for row in report.rows if row.line == line)
    return {finding.code for finding in row.findings}


def test_sound_rows_are_fit_and_their_tokens_counted(sound_rows: Path, processor: Any) -> None:
    report = check(sound_rows, processor)
    assert report.fit
    assert [row.answer for row in report.rows] == ["yes", "no", "yes", "no"]
    assert report.answers == {TASK.id: {"yes": 2, "no": 2}}
    first, silent = report.rows[0].tokens, report.rows[3].tokens
    assert first is not None
    assert silent is not None
    assert (first.video, first.audio) == (8, 13)  # 4 frames of 64x64; one second of sound
    assert silent.audio == 0
    assert first.answer == 3  # yes, the end of the turn, a new line
    assert first.total == first.text + first.video + first.audio + first.answer


# What each planted fault does to the second row, by the code of its verdict.
def change(**fields: Any) -> Callable[[Row], Row]:
    return lambda row: row | fields


def ask(text: str) -> Callable[[Row], Row]:
    return lambda row: row | {"messages": [{"role": "user", "content": text}, row["messages"][1]]}


def answer(text: str) -> Callable[[Row], Row]:
    return lambda row: (
        row | {"messages": [row["messages"][0], {"role": "assistant", "content": text}]}
    )


def without(key: str) -> Callable[[Row], Row]:
    return lambda row: {name: value for name, value in row.items() if name != key}


def first_frame(name: str) -> Callable[[Row], Row]:
    return lambda row: row | {"videos": [[name, *row["videos"][0][1:]]]}


ROW_FAULTS: dict[str, tuple[str, Callable[[Row], Row]]] = {
    "an unknown key": ("unknown_key", change(weight=2)),
    "no messages": ("missing_key", without("messages")),
    "no list of sounds": ("missing_key", change(audios=None)),
    "a participant that is no text": ("wrong_value", change(participant=3)),
    "no answer turn": ("wrong_turns", lambda row: row | {"messages": row["messages"][:1]}),
    "turns the wrong way": ("wrong_turns", lambda row: row | {"messages": row["messages"][::-1]}),
    "a turn of two keys too many": ("wrong_turns", change(messages=[{"role": "user"}])),
    "an empty answer": ("no_answer", answer(" ")),
    "an answer outside the space": ("answer_outside", answer("maybe")),
    "an answer in capitals": ("answer_outside", answer("YES")),
    "a tag too few": ("wrong_tag_count", ask(f"<video>{TASK.question}")),
    "a tag too many": ("wrong_tag_count", ask(f"<audio><video><video>{TASK.question}")),
    "tags the wrong way": ("wrong_tag_order", ask(f"<video><audio>{TASK.question}")),
    "a tag inside the question": ("wrong_tag", ask(f"<audio><video>{TASK.question} <image>")),
    "another question": ("other_prompt", ask("<audio><video>Is it raining? Answer yes or no.")),
    "no question": ("no_question", ask("<audio><video> ")),
    "two sounds": (
        "wrong_media_count",
        lambda row: ask(f"<audio><audio><video>{TASK.question}")(
            row | {"audios": row["audios"] * 2}
        ),
    ),
    "a video file": ("not_frames", change(videos=["clip.mp4"])),
    "frames that are no paths": ("not_frames", change(videos=[[1, 2]])),
    "an empty clip": ("empty_clip", change(videos=[[]])),
    "an absolute path": ("absolute_path", first_frame("/home/somebody/frame-0000.png")),
    "a path of Windows": ("absolute_path", first_frame("C:\\clips\\frame-0000.png")),
    "a path out of the folder": ("outside_path", first_frame("../frame-0000.png")),
    "an address": ("remote_path", first_frame("https://example.org/frame-0000.png")),
    "a missing frame": ("missing_file", first_frame("clips/none/frame-0000.png")),
    "a missing sound": ("missing_file", change(audios=["clips/none.wav"])),
    "an odd count of frames": ("odd_frames", lambda row: row | {"videos": [row["videos"][0][:3]]}),
    "too many frames": ("too_many_frames", lambda row: row | {"videos": [row["videos"][0] * 7]}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROW_FAULTS)
def test_a_fault_in_a_row_gets_its_verdict(kind: str, folder: Path, processor: Any) -> None:
    code, plant = ROW_FAULTS[kind]
    rows = rows_of(folder)
    rows[1] = plant(rows[1])
    write_jsonl(folder / "rows.jsonl", rows)
    report = check(folder, processor)
    assert codes(report, 2) == {code}
    assert [row.line for row in report.wrong] == [2]


BYTES = {
    "not UTF-8": ("not_utf8", b'{"messages": "\xe9t\xe9"}'),
    "not JSON": ("not_json", b'{"messages": ['),
    "no object": ("not_an_object", b"[1, 2]"),
    "a key twice": ("repeated_key", b'{"videos": [], "videos": []}'),
    "a byte order mark": ("byte_order_mark", b"\xef\xbb\xbf{}"),
}


@pytest.mark.parametrize("kind", BYTES)
def test_a_line_that_cannot_be_read_gets_its_verdict(
    kind: str, folder: Path, processor: Any
) -> None:
    code, raw = BYTES[kind]
    lines = (folder / "rows.jsonl").read_bytes().splitlines()
    lines[1] = raw
    (folder / "rows.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    report = check(folder, processor)
    assert codes(report, 2) == {code}
    assert len(report.rows) == 4
    assert len(report.wrong) == 1


def write_wav(
    path: Path, samples: int, rate: int = 16_000, channels: int = 1, promised: int = 0
) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\1\0" * samples * channels)
    if promised:
        content = path.read_bytes()
        path.write_bytes(content[: 44 + promised])


def gray(path: Path) -> None:
    Image.open(path).convert("L").save(path)


def resized(path: Path, width: int, height: int) -> None:
    Image.open(path).resize((width, height)).save(path)


def all_resized(path: Path, side: int) -> None:
    for frame in path.parent.glob("*.png"):
        resized(frame, side, side)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


MEDIA_FAULTS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "an empty picture": ("empty_file", "frame-0000.png", lambda path: path.write_bytes(b"")),
    "a torn picture": ("bad_picture", "frame-0001.png", torn),
    "a picture that is text": ("bad_picture", "frame-0001.png", lambda p: p.write_text("no")),
    "a gray picture": ("not_rgb", "frame-0002.png", gray),
    "frames of two sizes": ("frame_sizes_differ", "frame-0003.png", lambda p: resized(p, 32, 64)),
    "frames of no multiple": ("frame_size", "frame-0000.png", lambda p: all_resized(p, 50)),
    "frames too large": ("frame_too_large", "frame-0000.png", lambda p: all_resized(p, 96)),
    "a sound without samples": ("empty_sound", "audio.wav", lambda p: write_wav(p, 0)),
    "a torn sound": ("bad_sound", "audio.wav", lambda p: write_wav(p, 16_000, promised=999)),
    "a sound that is none": ("bad_sound", "audio.wav", lambda p: p.write_text("no")),
    "a sound of another rate": ("sound_format", "audio.wav", lambda p: write_wav(p, 8000, 8000)),
    "a sound in stereo": ("sound_format", "audio.wav", lambda p: write_wav(p, 16_000, 16_000, 2)),
    "a sound over 30 s": ("audio_cut", "audio.wav", lambda p: write_wav(p, 30 * 16_000 + 160)),
    "a sound over 5 s": ("audio_too_long", "audio.wav", lambda p: write_wav(p, 6 * 16_000)),
    "a sound of broken length": ("sound_length", "audio.wav", lambda p: write_wav(p, 16_001)),
    "a sound too short": ("sound_length", "audio.wav", lambda p: write_wav(p, 1600)),
}


@pytest.mark.parametrize("kind", MEDIA_FAULTS)
def test_a_fault_in_a_file_gets_its_verdict(kind: str, folder: Path, processor: Any) -> None:
    code, name, plant = MEDIA_FAULTS[kind]
    plant(folder / Path(rows_of(folder)[1]["videos"][0][0]).parent / name)
    report = check(folder, processor)
    assert codes(report, 2) == {code}
    assert [row.line for row in report.wrong] == [2]


def again(**changes: Any) -> Callable[[list[Row]], Row]:
    return lambda rows: rows[0] | changes


ACROSS: dict[str, tuple[set[str], Callable[[list[Row]], Row]]] = {
    "the same row": ({"duplicate"}, again()),
    "the same clip, other answer": ({"contradiction"}, lambda rows: answer("no")(rows[0])),
    "a person in two splits": (
        {"participant_leak"},
        lambda rows: rows[1] | {"participant": "p0", "split": "test"},
    ),
    "a voice in two splits": (
        {"participant_leak"},
        lambda rows: rows[1] | {"voice": "v0", "split": "test"},
    ),
    "a clip in two splits": (
        {"clip_in_two_splits"},
        again(participant="p9", voice="v9", split="test"),
    ),
}


@pytest.mark.parametrize("kind", ACROSS)
def test_a_fault_between_rows_gets_its_verdict(kind: str, folder: Path, processor: Any) -> None:
    expected, plant = ACROSS[kind]
    rows = rows_of(folder)
    rows[0]["voice"] = "v0"
    others = [rows[0], *rows[2:]]
    write_jsonl(folder / "rows.jsonl", [*others, plant(rows)])
    report = check(folder, processor)
    assert codes(report, 4) == expected
    assert [row.line for row in report.wrong] == [4]


def test_two_files_are_two_splits(folder: Path, processor: Any) -> None:
    rows = [without("split")(row) for row in rows_of(folder)]
    write_jsonl(folder / "rows.jsonl", rows[:2])
    write_jsonl(folder / "test.jsonl", [rows[2], rows[3] | {"participant": "p1"}])
    report = check_rows([folder / "rows.jsonl", folder / "test.jsonl"], LIMITS, processor)
    assert [(row.file, row.line) for row in report.wrong] == [("test.jsonl", 2)]


def test_repeats_are_fine_where_rows_were_balanced(folder: Path, processor: Any) -> None:
    write_jsonl(folder / "rows.jsonl", [*rows_of(folder), rows_of(folder)[0]])
    manifest = {
        "tasks": {TASK.id: TASK.prompt_hash},
        "sampling": {"fps": 4.0, "max_pixels": 4096},
        "segmenter": {"name": "blind", "max_seconds": 5.0},
        "balance": "oversample",
    }
    write_json(folder / "manifest.json", manifest)
    limits = limits_beside(folder / "rows.jsonl")
    assert limits == RowLimits((TASK,), SAMPLING, 5.0, None, repeats_allowed=True)
    assert check(folder, processor, limits).fit
    assert not check(folder, processor).fit


def test_a_file_that_is_not_its_manifest_s_is_noticed(folder: Path, processor: Any) -> None:
    manifest = {
        "tasks": {TASK.id: "0" * 64},
        "sampling": {"fps": 4.0, "max_pixels": 4096},
        "segmenter": {"name": "blind", "max_seconds": 5.0},
        "rows_sha256": sha256_file(folder / "rows.jsonl"),
    }
    write_json(folder / "manifest.json", manifest)
    report = check(folder, processor, limits_beside(folder / "rows.jsonl"))
    assert {finding.code for finding in report.files} == {"prompt_changed"}
    write_jsonl(folder / "rows.jsonl", rows_of(folder)[:3])
    report = check(folder, processor)
    assert {finding.code for finding in report.files} == {"prompt_changed", "changed_since"}
    assert not report.fit


def test_control_tokens_and_long_rows_are_refused(folder: Path, processor: Any) -> None:
    free = RowLimits((), SAMPLING, 5.0, max_length=400)
    rows = rows_of(folder)
    rows[1] = ask("<audio><video>What is <|im_start|>?")(rows[1])
    rows[2] = ask("<audio><video>" + "Why? " * 200)(rows[2])
    write_jsonl(folder / "rows.jsonl", rows)
    report = check(folder, processor, free)
    assert codes(report, 2) == {"control_token"}
    assert codes(report, 3) == {"too_many_tokens"}
    assert len(report.wrong) == 2


def test_what_a_prompt_tells_before_its_question_is_part_of_it(
    folder: Path, processor: Any
) -> None:
    told = load_task("ah_context")
    rows = rows_of(folder)
    rows[1] = ask(f"<audio><video>What was said.\n{told.question}")(rows[1])
    write_jsonl(folder / "rows.jsonl", rows)
    assert check(folder, processor, RowLimits((TASK, told), SAMPLING, 5.0)).fit


def test_training_is_refused_with_the_first_faults(folder: Path, processor: Any) -> None:
    rows = rows_of(folder)
    rows[1] = first_frame("clips/none/frame-0000.png")(rows[1])
    write_jsonl(folder / "rows.jsonl", rows)
    with pytest.raises(UserError) as caught:
        refuse_bad_rows(check(folder, processor))
    assert caught.value.code == "bad_rows"
    assert "1 of 4 rows" in caught.value.sentence
    assert "line 2: missing_file" in caught.value.sentence


def test_faults_are_many_kinds() -> None:
    across = {code for expected, _ in ACROSS.values() for code in expected}
    kinds = {code for code, *_ in (*ROW_FAULTS.values(), *BYTES.values(), *MEDIA_FAULTS.values())}
    assert len(kinds | across) >= 25


def test_the_verb_prints_a_table_and_ends_with_1(folder: Path) -> None:
    from typer.testing import CliRunner

    from mllm_affect.cli.app import app

    words = ["validate", "rows", str(folder / "rows.jsonl"), "--task", TASK.id]
    assert CliRunner().invoke(app, words).exit_code == 0
    rows = rows_of(folder)
    rows[1] = answer("maybe")(rows[1])
    write_jsonl(folder / "rows.jsonl", rows)
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 1
    assert "rows.jsonl:2" in shown.output
    assert "answer_outside" in shown.output
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert [row["verdict"] for row in told["verdicts"]] == ["well", "wrong", "well", "well"]
    np.testing.assert_equal(told["tokens"]["audio"]["most"], 13)

"""Labelled sets of videos: what is read back, and what is refused."""

import json
from pathlib import Path

import pytest

from mllm_affect.data.examples import Example, read_examples, write_examples
from mllm_affect.errors import UserError

GOOD = {"video": "videos/a.mp4", "participant": "p1", "split": "train", "labels": {"ah": "yes"}}


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    examples = [
        Example.model_validate({**GOOD, "video": f"videos/{name}.mp4", "voice": "v1"})
        for name in ("b", "a", "ünï")
    ]
    write_examples(tmp_path, examples)
    assert read_examples(tmp_path) == examples


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "no_examples"),
        ("{not json", "bad_examples"),
        ("[1, 2]", "bad_examples"),
        (json.dumps({**GOOD, "video": "../secret.mp4"}), "bad_examples"),
        (json.dumps({**GOOD, "video": "/etc/passwd"}), "bad_examples"),
        (json.dumps({**GOOD, "video": "videos\\a.mp4"}), "bad_examples"),
        (json.dumps({**GOOD, "labels": {"ah": 1}}), "bad_examples"),
        (json.dumps({**GOOD, "colour": "red"}), "bad_examples"),
        (json.dumps({key: GOOD[key] for key in ("video", "split", "labels")}), "bad_examples"),
        (json.dumps(GOOD) + "\n\n" + json.dumps(GOOD), "bad_examples"),
    ],
)
def test_unusable_lists_are_refused(tmp_path: Path, content: str, code: str) -> None:
    (tmp_path / "examples.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_examples(tmp_path)
    assert caught.value.code == code


def test_the_line_at_fault_is_named(tmp_path: Path) -> None:
    lines = [json.dumps(GOOD), "", json.dumps({**GOOD, "video": "b.mp4", "split": ""})]
    (tmp_path / "examples.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"line 3.*split"):
        read_examples(tmp_path)


def test_a_folder_without_a_list_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError) as missing:
        read_examples(tmp_path)
    assert missing.value.code == "no_examples"
    (tmp_path / "examples.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError) as binary:
        read_examples(tmp_path)
    assert binary.value.code == "bad_examples"

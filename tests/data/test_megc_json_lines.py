"""JSON lines: which line a row stands on, what stays byte for byte, and what is refused where."""

from pathlib import Path

import pytest

from mllm_affect.data.megc.json_lines import read_lines
from mllm_affect.errors import UserError


def write(folder: Path, content: str) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(content.encode())
    return path


def test_lines_are_numbered_as_an_editor_does_and_blank_ones_stay(tmp_path: Path) -> None:
    content = '\ufeff\n\n{"a": 1}\r\n \t\n{"a": 2, "b": [3, {"c": "}"}]}\n\n'
    lines = read_lines(write(tmp_path, content), "bad_rows")
    assert [line.number for line in lines] == [3, 5]
    assert [line.values for line in lines] == [{"a": 1}, {"a": 2, "b": [3, {"c": "}"}]}]
    assert "".join(line.text + line.ending for line in lines) == content
    begin, end = lines[1].spans["b"]
    assert lines[1].text[begin:end] == '[3, {"c": "}"}]'
    changed = "".join(line.replaced("a", 9) for line in lines)
    assert changed == content.replace('"a": 1', '"a": 9').replace('"a": 2', '"a": 9')


@pytest.mark.parametrize(
    ("row", "with_key"),
    [
        ("{}", '{"new": "é"}'),
        ("{ }", '{"new": "é" }'),
        ('{"a":1}', '{"a":1,"new":"\\u00e9"}'),
        ('{"a":1,"b":2}', '{"a":1,"b":2,"new":"\\u00e9"}'),
        ('{"a": 1, "b": 2 }', '{"a": 1, "b": 2, "new": "\\u00e9" }'),
        ('{"a":"x, y","b":"é"}', '{"a":"x, y","b":"é","new":"é"}'),
    ],
)
def test_a_new_key_comes_last_spaced_and_escaped_as_the_others(
    tmp_path: Path, row: str, with_key: str
) -> None:
    (line,) = read_lines(write(tmp_path, row), "bad_rows")
    expected = with_key.replace("é", "\\u00e9") if row.isascii() else with_key
    assert line.replaced("new", "é") == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n\n{"a": 1, "a": 2}\n', "line 3 names the key 'a' twice"),
        ('{"a": 1}\n[1]', "line 2 is not one JSON object: expected '{'"),
        ('{"a": 1} {"b": 2}', "line 1 is not one JSON object: something follows the object"),
        ("{} x", "line 1 is not one JSON object: something follows the object"),
        ("{1: 2}", "line 1 is not one JSON object: a key must be a text"),
        ('{"a" 2}', "line 1 is not one JSON object: expected ':'"),
        ('{"a": 2 "b": 3}', "line 1 is not one JSON object: expected ','"),
        ('{"a": 2', "line 1 is not one JSON object: expected ','"),
        ('{"a": 2,}', "line 1 is not one JSON object"),
        ('{"a": ' + "[" * 100_000, "line 1 is not one JSON object"),
    ],
)
def test_what_is_no_object_is_refused_by_line(tmp_path: Path, content: str, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_lines(path, "bad_rows")
    assert caught.value.code == "bad_rows"
    assert f"{path}, {said}" in caught.value.sentence


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.jsonl", "No file at"), (tmp_path, "cannot be read")):
        with pytest.raises(UserError, match=said) as caught:
            read_lines(path, "bad_rows")
        assert caught.value.code == "bad_rows"
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read_lines(path, "bad_rows")
    assert read_lines(write(tmp_path, "\n \n"), "bad_rows") == []

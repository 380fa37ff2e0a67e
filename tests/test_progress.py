"""Progress is visible on a terminal and in a log, and silent when JSON is wanted."""

import io

import pytest
from rich.console import Console

from mllm_affect.cli import progress as progress_module
from mllm_affect.cli.progress import progress


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool, show: bool = True) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100)
    monkeypatch.setattr(progress_module, "err", console)
    with progress("asking", show) as advance:
        for done in range(101):
            advance(done, 100)
    return stream.getvalue()


def test_a_log_gets_a_line_for_every_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, terminal=False).splitlines()
    assert lines[0] == "asking: 0 of 100"
    assert lines[-1] == "asking: 100 of 100"
    assert len(lines) == 5


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "100/100" in shown(monkeypatch, terminal=True)


def test_json_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=True, show=False) == ""


def test_nothing_to_do_is_no_division_by_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "err", Console(file=io.StringIO()))
    with progress("asking") as advance:
        advance(0, 0)

"""Progress is visible on a terminal and in a log, and silent when JSON is wanted."""

import io

import pytest
from rich.console import Console

from finetune.progress import Progress
from mllm_affect.cli import progress as progress_module
from mllm_affect.cli import stage_bars as stage_bars_module
from mllm_affect.cli.progress import progress
from mllm_affect.cli.stage_bars import stage_bars


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


def test_a_stage_that_comes_again_goes_on_with_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stage_bars_module, "err", Console(file=stream, width=120))
    with stage_bars(as_json=False) as report:
        for step in range(1, 5):
            report(Progress("train", step, 4, loss=0.5))
            report(Progress("evaluate", step, 4, score=0.25 * step))
    lines = [line.split() for line in stream.getvalue().splitlines() if line.strip()]
    assert len(lines) == 2
    assert all("4/4" in line for line in lines)
    assert lines[1][-1] == "1.000"

"""Scanning: what is asked of which window, and the events that come out of it."""

import numpy as np
import pytest
from seeing_engine import SeeingEngine

from mllm_affect.data.megc.vocabulary import ACTION_UNITS
from mllm_affect.expressions.asking import ask_clips
from mllm_affect.expressions.scanning import scan, window_tasks
from mllm_affect.expressions.windows import overlapping, scanned
from mllm_affect.media.types import Clip, Sampling, Segment
from mllm_affect.scoring.video_events import accepted, find_events
from mllm_affect.tasks.family import Scan
from mllm_affect.tasks.prompts import load_family

SHOWN, SCAN = Sampling(fps=4.0, max_pixels=1024), Scan(rate=10.0, window_s=0.6, hop_s=0.2)


def video(seconds: float, on: list[tuple[float, float]]) -> list[Clip]:
    """Five-second segments with expressions between the given times."""
    clips = []
    for index, start in enumerate(np.arange(0.0, seconds, 5.0)):
        end = min(seconds, start + 5.0)
        times = np.arange(round((end - start) * 10)) / 10 + start
        frames = np.zeros((len(times), 32, 32, 3), np.uint8)
        for first, last in on:
            within = (times >= first - 1e-6) & (times < last - 1e-6)
            frames[within, 0, 0, 0] = 255
            frames[within, 0, 0, 1] = 255 * (last - first <= 0.5)
        segment = Segment("hash", index, float(start), float(end), 0, len(times), True)
        sound = np.zeros(16000, np.int16)
        clips.append(Clip(segment, scanned(SCAN, SHOWN), frames, times, sound))
    return clips


def test_events_are_found_across_cuts_with_type_units_and_times() -> None:
    engine = SeeingEngine()
    windows = overlapping(video(12.0, [(4.8, 6.4), (9.0, 9.4)]), SCAN, SHOWN)
    reached: list[float] = []
    found = scan(windows, window_tasks(load_family("me_lvqa")), engine, report=reached.append)
    macro, micro = accepted(find_events(found))
    assert (macro.onset_s, macro.offset_s) == pytest.approx((4.8, 6.4), abs=0.25)
    assert micro.apex_s == pytest.approx(9.2, abs=0.25)
    assert (macro.type, micro.type) == ("macro-expression", "micro-expression")
    assert max(macro.units, key=lambda name: macro.units[name]) == "cheek raiser"
    assert reached[-1] == pytest.approx(12.0)


def test_calm_windows_are_asked_one_question_and_no_window_is_heard() -> None:
    engine = SeeingEngine()
    windows = list(overlapping(video(6.0, [(2.0, 2.4)]), SCAN, SHOWN))
    found = scan(windows, window_tasks(load_family("me_lvqa")), engine)
    closer = sum(bool(window.units) for window in found)
    assert 0 < closer < len(windows) / 2
    assert len(engine.asked) == len(windows) + closer * (1 + len(ACTION_UNITS))
    assert all(made.audio_S is None for made in engine.asked)


def test_units_outside_the_25_are_asked_of_a_checkpoint_that_learned_them() -> None:
    family, engine = load_family("me_lvqa"), SeeingEngine()
    windows = list(overlapping(video(2.0, [(0.4, 0.8)]), SCAN, SHOWN))
    (event,) = accepted(find_events(scan(windows, window_tasks(family, ("blink",)), engine)))
    assert event.units.keys() == ACTION_UNITS.keys() | {"blink"}
    assert any("blink" in made.text for made in engine.asked)
    assert "blink" not in window_tasks(family).closer


def test_answers_come_back_under_the_question_they_belong_to() -> None:
    family = load_family("me_lvqa")
    tasks = {name: family.task("unit_shown", unit=name) for name in ("dimpler", "cheek raiser")}
    tasks["event"] = family.task("event_here")
    first, last = ask_clips(video(10.0, [(0.0, 5.0)]), tasks, SeeingEngine())
    assert list(first) == list(tasks)
    assert first["cheek raiser"]["yes"] == pytest.approx(0.8)
    assert first["dimpler"]["yes"] == pytest.approx(0.05)
    assert first["event"]["yes"] == pytest.approx(1.0)
    assert last["event"]["yes"] < 0.01

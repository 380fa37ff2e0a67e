"""Strangers' videos are decoded elsewhere: the same clips, no harm from a process that fails."""

import errno
import fcntl
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import hurt_child
import numpy as np
import pytest
from kinds import make_kind
from read_video import MadeVideo

from mllm_affect.errors import UserError
from mllm_affect.media import reader
from mllm_affect.media.cutting import frame_times
from mllm_affect.media.export import clip_files
from mllm_affect.media.face.part import FacePart
from mllm_affect.media.isolation import decoding_process, isolated_video, wire
from mllm_affect.media.isolation.bare_python import bare_python
from mllm_affect.media.isolation.confined_program import run_confined
from mllm_affect.media.isolation.decoding_process import DecodingProcess
from mllm_affect.media.isolation.isolated_video import IsolatedVideo
from mllm_affect.media.isolation.sandbox import SandboxLayers
from mllm_affect.media.isolation.seccomp import ARCHITECTURES
from mllm_affect.media.limits import DEFAULT_CHILD_LIMITS, ChildLimits, Limits
from mllm_affect.media.probe import probe
from mllm_affect.media.speech.activity import SpeechPart
from mllm_affect.media.types import Clip, Sampling
from tests.real_videos import NAMES, real_video

SAMPLING = Sampling(fps=4.0, max_pixels=8192)
PATIENT = ChildLimits(probe_seconds=60.0, memory_bytes=1 << 30)
QUICK = replace(PATIENT, probe_seconds=1.0)


def children() -> set[int]:
    """Processes of this one that have not been waited for."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def same(one: Clip, other: Clip) -> bool:
    return (
        one.segment == other.segment
        and one.sampling == other.sampling
        and np.array_equal(one.frames_THWC, other.frames_THWC)
        and np.array_equal(one.times_T, other.times_T)
        and (one.audio_S is None) == (other.audio_S is None)
        and (one.audio_S is None or np.array_equal(one.audio_S, other.audio_S))
    )


@pytest.mark.parametrize("kind", ["25 a second", "webm", "variable rate", "avi", "one frame"])
def test_the_same_comes_out_as_in_this_process(kind: str, tmp_path: Path) -> None:
    from mllm_affect.media.segment import segment

    path, _ = make_kind(kind, tmp_path)
    source = probe(path)
    here = list(reader.read_video(source, SAMPLING, 3.0))
    with IsolatedVideo(path) as video:
        assert video.source == source
        assert video.segment(3.0) == segment(source, 3.0)
        there = list(video.read(SAMPLING, 3.0))
        assert np.array_equal(video.frame_times(), frame_times(source))
        again = list(video.read_segments([clip.segment for clip in here], SAMPLING))
    assert len(here) == len(there) == len(again)
    assert all(map(same, here, there))
    assert all(map(same, here, again))


def test_the_functions_do_what_those_of_this_process_do(plain: MadeVideo) -> None:
    assert isolated_video.probe(plain.path) == plain.source
    assert isolated_video.segment(plain.source) == plain.segments
    clips = list(isolated_video.read_video(plain.source, SAMPLING))
    assert all(map(same, clips, reader.read_video(plain.source, SAMPLING)))
    clips = list(isolated_video.read_clips(plain.source, plain.segments[1:], SAMPLING))
    assert [clip.segment for clip in clips] == list(plain.segments[1:])


def test_a_face_track_travels_unchanged() -> None:
    path, faces, speech = real_video(NAMES[0]), FacePart(), SpeechPart()
    here = next(reader.read_video(probe(path), SAMPLING, parts=[faces, speech]))
    with IsolatedVideo(path, parts=[faces, speech]) as video:
        assert video.sandbox.network_namespace, "loading the detector must start no thread"
        there = next(video.read(SAMPLING))
    assert there.parts[speech] == here.parts[speech]
    for item in fields(here.parts[faces]):
        found, wanted = (getattr(clip.parts[faces], item.name) for clip in (there, here))
        assert np.array_equal(found, wanted) if isinstance(wanted, np.ndarray) else found == wanted


def test_nothing_is_left_when_reading_stops_early(plain: MadeVideo) -> None:
    before, open_before = children(), len(list(Path("/proc/self/fd").iterdir()))
    clips = isolated_video.read_video(plain.source, SAMPLING)
    next(clips)
    clips.close()  # type: ignore[attr-defined]
    assert children() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_a_user_with_many_large_pipes_gets_small_ones(
    plain: MadeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux refuses to enlarge a pipe once a user's pipes take 64 MiB, but for root."""
    refused = []
    control = fcntl.fcntl

    def refuse(descriptor: int, command: int, *given: Any) -> Any:
        if command == fcntl.F_SETPIPE_SZ:
            refused.append(descriptor)
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return control(descriptor, command, *given)

    expected = list(isolated_video.read_video(plain.source, SAMPLING))
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    found = list(isolated_video.read_video(plain.source, SAMPLING))
    assert refused
    assert len(found) == len(expected)
    assert all(map(same, found, expected))


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(bytes=100), "file_too_large"),
        (Limits(seconds=1.0), "video_too_long"),
        (Limits(pixels=64), "frame_too_large"),
        (Limits(streams=1), "too_many_streams"),
    ],
)
def test_refusals_say_the_same_from_both_sides(limits: Limits, code: str, plain: MadeVideo) -> None:

    with pytest.raises(UserError) as here:
        probe(plain.path, limits)
    with pytest.raises(UserError) as there:
        isolated_video.probe(plain.path, limits)
    assert (there.value.code, str(there.value)) == (here.value.code, str(here.value))
    assert here.value.code == code


def test_a_file_that_changed_since_it_was_probed_is_refused(plain: MadeVideo) -> None:
    plain.path.write_bytes(plain.path.read_bytes() + b"\0")
    with pytest.raises(UserError) as caught:
        next(isolated_video.read_video(plain.source, SAMPLING))
    assert caught.value.code == "source_changed"


def test_links_are_refused_and_devices_not_waited_for(plain: MadeVideo, tmp_path: Path) -> None:
    link, pipe = tmp_path / "link.mp4", tmp_path / "pipe.mp4"
    link.symlink_to(plain.path)
    os.mkfifo(pipe)
    for path, code in (
        (link, "symbolic_link"),
        (pipe, "not_a_file"),
        (Path("/dev/zero"), "not_a_file"),
    ):
        with pytest.raises(UserError) as caught:
            isolated_video.probe(path)
        assert caught.value.code == code


@pytest.mark.skipif(os.uname().machine not in ARCHITECTURES, reason="another machine")
def test_this_kernel_gives_every_layer() -> None:
    assert isolated_video.sandbox_layers() == SandboxLayers(
        resource_limits=True,
        network_namespace=True,
        no_new_privileges=True,
        landlock=isolated_video.sandbox_layers().landlock,
        seccomp=True,
    )


@pytest.fixture
def hurt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the stand-in instead of the real child."""
    real = bare_python
    monkeypatch.syspath_prepend(str(Path(hurt_child.__file__).parent))
    monkeypatch.setattr(decoding_process, "bare_python", lambda _module: real("hurt_child"))


@pytest.mark.usefixtures("hurt")
def test_the_process_can_touch_nothing(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IsolatedVideo, "_probed", lambda self, size: None)
        with IsolatedVideo(hurt_child.hurt_file(tmp_path, "try_everything")) as video:
            (message,) = video._ask("probe", 10)
    outcome = dict(message.value)
    assert outcome.keys() == {*hurt_child.ATTEMPTS, *hurt_child.ALLOWED}
    done = {name for name, how in outcome.items() if not how.startswith("refused")}
    assert done == hurt_child.ALLOWED.keys()
    assert not Path("/tmp/escaped").exists()


@pytest.mark.usefixtures("hurt")
@pytest.mark.parametrize(
    ("misdeed", "code"),
    [
        ("crash", "media_crashed"),
        ("sleep", "media_too_slow"),
        ("spin", "media_too_slow"),
        ("grow", "media_too_big"),
        ("babble", "media_crashed"),
        ("promise_too_much", "media_crashed"),
        ("lie", "media_crashed"),
        ("other_class", "media_crashed"),
        ("odd_refusal", "media_crashed"),
        ("unknown_refusal", "media_crashed"),
        ("not_numbers", "media_crashed"),
        ("deep", "media_crashed"),
        ("end", "media_crashed"),
        ("silent_array", "media_crashed"),
    ],
)
def test_a_process_that_fails_is_one_clear_error(misdeed: str, code: str, tmp_path: Path) -> None:
    before = children()
    limits = QUICK if code == "media_too_slow" else PATIENT
    with pytest.raises(UserError) as caught:
        IsolatedVideo(hurt_child.hurt_file(tmp_path, misdeed), child_limits=limits).__enter__()
    assert caught.value.code == code
    assert str(caught.value).startswith("video.mp4")
    assert "script" not in str(caught.value)
    assert children() == before


@pytest.mark.usefixtures("hurt")
def test_a_process_that_burns_its_processor_time_is_ended(tmp_path: Path) -> None:
    limits = replace(DEFAULT_CHILD_LIMITS, cpu_seconds=1, probe_seconds=30.0)
    begun = time.monotonic()
    with pytest.raises(UserError) as caught:
        IsolatedVideo(hurt_child.hurt_file(tmp_path, "spin"), child_limits=limits).__enter__()
    assert caught.value.code == "media_too_slow"
    assert time.monotonic() - begun < 20


class Killer:
    """Kills the decoding process with SIGKILL after so many messages, so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int, times: int) -> None:
        self.kills, receive = 0, DecodingProcess.receive
        seen = itertools.count()

        def killed(process: DecodingProcess, patience_s: float) -> wire.Message:
            if self.kills < times and next(seen) >= after:
                self.kills += 1
                os.kill(process._child.pid, signal.SIGKILL)
                process._child.wait()
                os.set_blocking(process._answers, True)
                while os.read(process._answers, 1 << 20):  # what it had sent before
                    pass
            return receive(process, patience_s)

        monkeypatch.setattr(DecodingProcess, "receive", killed)
        monkeypatch.setattr(isolated_video, "PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize("after", range(6))
def test_a_process_that_is_killed_is_started_once_more(
    plain: MadeVideo, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it starts, is asked about the file, and after each clip: the same clips come out."""
    here = list(reader.read_video(plain.source, SAMPLING, 1.0))
    killer, before = Killer(monkeypatch, after, 1), children()
    with IsolatedVideo(plain.path) as video:
        assert video.source == plain.source
        there = list(video.read(SAMPLING, 1.0))
    assert killer.kills == 1
    assert len(here) == len(there) > 2
    assert all(map(same, here, there))
    assert children() == before


def test_a_process_that_is_killed_again_is_not_the_fault_of_the_file(
    plain: MadeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    Killer(monkeypatch, 0, 2)
    before = children()
    with pytest.raises(UserError, match="memory") as caught:
        isolated_video.probe(plain.path)
    assert caught.value.code == "media_killed"
    assert children() == before


def test_one_that_we_end_is_not_started_again(plain: MadeVideo) -> None:
    with IsolatedVideo(plain.path) as video:
        clips = video.read(SAMPLING, 1.0)
        next(clips)
        video._running().end()
        with pytest.raises((UserError, ValueError)):
            list(clips)
        assert not video._was_killed


def test_a_program_that_is_killed_is_run_once_more(
    plain: MadeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses, run = [-signal.SIGKILL], run_confined

    def killed_first(words: Sequence[str], descriptors: Sequence[int], timeout_s: float) -> int:
        if statuses:
            os.write(descriptors[1], b"half a clip")
            return statuses.pop()
        return run(words, descriptors, timeout_s)

    monkeypatch.setattr(clip_files, "run_confined", killed_first)
    written = list(clip_files.write_clips(plain.source, plain.segments[:1], tmp_path))
    assert len(written) == 1
    assert probe(written[0]).duration_s == pytest.approx(plain.segments[0].duration_s, abs=0.1)


REACHING_OUT = """
import fcntl, os, signal, sys
from contextlib import suppress
from pathlib import Path
from mllm_affect.media.isolation import sandbox
from mllm_affect.media.limits import DEFAULT_CHILD_LIMITS
victim, kind = int(sys.argv[1]), sys.argv[2]
sandbox._no_files = lambda *_given: 0  # a kernel without Landlock
read, write = os.pipe()
if kind == "none":
    pass
elif kind == "decoder":
    layers = sandbox.confine(DEFAULT_CHILD_LIMITS)
    assert layers.seccomp and not layers.landlock
else:
    assert sandbox.confine_program(Path(sys.executable)).seccomp
with suppress(OSError):
    fcntl.fcntl(read, fcntl.F_SETOWN, victim)
    fcntl.fcntl(read, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC)
os.write(write, b"x")
if kind != "none":
    with suppress(OSError):
        os.kill(victim, signal.SIGKILL)
print("tried", flush=True)
"""


@pytest.mark.skipif(os.uname().machine not in ARCHITECTURES, reason="another machine")
@pytest.mark.parametrize("kind", ["none", "decoder", "program"])
def test_nobody_else_can_be_killed_without_landlock_either(kind: str) -> None:
    """`none` shows that the attempt works where nothing stands in its way."""
    with subprocess.Popen(["sleep", "60"]) as victim:
        words = [sys.executable, "-c", REACHING_OUT, str(victim.pid), kind]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.stdout == "tried\n", done.stderr
        try:
            status = victim.wait(1.0)
        except subprocess.TimeoutExpired:
            status = None
        assert status == (-signal.SIGKILL if kind == "none" else None)
        victim.kill()


def test_layers_that_are_missing_are_named() -> None:
    assert SandboxLayers(True, True, True, 7, True).missing == ()
    assert SandboxLayers(True, False, True, 0, True).missing == ("network_namespace", "landlock")

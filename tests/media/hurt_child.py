"""Stand-ins for the decoding process: what it might do after a hostile file took it over.

Run as the child: `main` confines itself like the real one, then misbehaves as the file's name in
MISDEEDS says (the file begins like a video; the rest is the name).
"""

import ctypes
import fcntl
import json
import mmap
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mllm_affect.media.isolation import wire
from mllm_affect.media.isolation.sandbox import confine
from mllm_affect.media.limits import ChildLimits

OUTSIDE = "/etc/hostname"


def send(kind: str, value: Any) -> None:
    for piece in wire.encode(kind, value):
        os.write(1, piece)


def refused(attempt: Callable[[], Any]) -> str:
    """Say how an attempt ended."""
    try:
        attempt()
    except (OSError, ValueError) as error:  # setrlimit's is a ValueError
        return f"refused: {error}"
    return "done"


def call(number: int, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


ATTEMPTS: dict[str, Callable[[], Any]] = {
    "read a file": lambda: os.open(OUTSIDE, os.O_RDONLY),
    "write a file": lambda: os.open("/tmp/escaped", os.O_WRONLY | os.O_CREAT),
    "list a folder": lambda: list(Path("/").iterdir()),
    "remove a file": lambda: Path("/tmp/nothing").unlink(),
    "make a folder": lambda: Path("/tmp/escaped").mkdir(),
    "open a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "fork": os.fork,
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "lift its limits": lambda: resource.setrlimit(9, (-1, -1)),
    "make memory executable": lambda: mmap.mmap(-1, 4096, prot=7),
    "trace itself": lambda: call(101, 0, 0, 0, 0),
    "leave the namespace": lambda: call(272, 0x40000000),
    "go before all others": lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
    "have signals of a pipe go to the parent": lambda: fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid()),
    "choose which signal": lambda: fcntl.fcntl(1, fcntl.F_SETSIG, 9),
    "ask a pipe for signals": lambda: fcntl.fcntl(1, fcntl.F_SETFL, os.O_ASYNC),
    "lease a file": lambda: fcntl.fcntl(1, fcntl.F_SETLEASE, fcntl.F_RDLCK),
    "watch a folder": lambda: fcntl.fcntl(1, fcntl.F_NOTIFY, fcntl.DN_CREATE),
    "make a pipe larger": lambda: fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 4096),
    "calm another process": lambda: os.sched_setscheduler(
        os.getppid(), os.SCHED_BATCH, os.sched_param(0)
    ),
}
ALLOWED: dict[str, Callable[[], Any]] = {
    "become batch work": lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
    "look at a descriptor": lambda: fcntl.fcntl(1, fcntl.F_GETFL),
    "and ordinary again": lambda: os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0)),
}


def try_everything() -> None:
    send("value", [[name, refused(attempt)] for name, attempt in {**ATTEMPTS, **ALLOWED}.items()])
    send("end", None)


def crash() -> None:
    ctypes.string_at(0)


def sleep() -> None:
    time.sleep(60)


def spin() -> None:
    while True:
        pass


def grow() -> None:
    held = []
    try:
        while True:
            held.append(bytearray(64 << 20))
    except MemoryError:
        held.clear()
        send("no_memory", None)


def babble() -> None:
    os.write(1, b"\0" * 4096)


def promise_too_much() -> None:
    header = json.dumps(
        {
            "kind": "value",
            "value": None,
            "arrays": [{"dtype": "uint8", "shape": [1 << 30, 1 << 10]}],
        }
    ).encode()
    os.write(1, wire.MAGIC + wire.LENGTH.pack(len(header)) + header)


def lie() -> None:
    send("value", {"class": "mllm_affect.media.source:Source", "fields": {"path": "x"}})


def other_class() -> None:
    send("value", {"class": "subprocess:Popen", "fields": {"args": ["/bin/true"]}})


def odd_refusal() -> None:
    send("refused", ["video_too_long", [["seconds", "<script>" * 50]]])


def unknown_refusal() -> None:
    send("refused", ["you_are_owned", []])


def not_numbers() -> None:
    header = b'{"kind": "value", "value": NaN, "arrays": []}'
    os.write(1, wire.MAGIC + wire.LENGTH.pack(len(header)) + header)


def deep() -> None:
    header = b'{"kind": "value", "value": ' + b"[" * 100_000 + b"]" * 100_000 + b', "arrays": []}'
    os.write(1, wire.MAGIC + wire.LENGTH.pack(len(header)) + header)


def end() -> None:
    sys.exit(0)


def silent_array() -> None:
    for piece in list(wire.encode("value", [np.zeros(9)]))[:1]:
        os.write(1, piece)


MISDEEDS: dict[str, Callable[[], None]] = {
    made.__name__: made
    for made in (
        try_everything, crash, sleep, spin, grow, babble, promise_too_much, lie, other_class,
        odd_refusal, unknown_refusal, not_numbers, deep, end, silent_array,
    )
}  # fmt: skip


def main() -> None:
    begin = json.loads(sys.stdin.readline())
    misdeed = os.pread(begin["descriptor"], 200, 8).decode()
    layers = confine(ChildLimits(**begin["child_limits"]))
    send("sandbox_layers", layers)
    json.loads(sys.stdin.readline())
    MISDEEDS[misdeed]()


def hurt_file(folder: Path, misdeed: str) -> Path:
    """Write the file that makes the stand-in misbehave so."""
    path = folder / "video.mp4"
    path.write_bytes(b"\0\0\0\x08ftyp" + misdeed.encode())
    return path

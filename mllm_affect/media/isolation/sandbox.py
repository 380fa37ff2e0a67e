"""Giving up what a decoder does not need, before the first byte of a stranger's file is parsed.

Does: resource limits, an own user and network namespace, no new privileges, Landlock, and a seccomp
filter, all of Linux, through ctypes; say which of them hold.
Does not: start processes (see decoding_process), or fail where the kernel lacks one of them.

Sources: seccomp(2), landlock(7), unshare(2), setrlimit(2).
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from mllm_affect.media.isolation.seccomp import (
    ARCHITECTURES,
    call_number,
    seccomp_program,
    signals_program,
)
from mllm_affect.media.limits import DEFAULT_PROGRAM_LIMITS, ChildLimits, ProgramLimits

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
KEPT_BYTES = 1 << 20
"""Freed pieces of this size go back to the system.  The C library raises its own bound with every
large piece that is freed, and then keeps the holes that a long video's growing index leaves."""
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
PATH_BENEATH, RUN, READ, LIST = 1, 1 << 0, 1 << 2, 1 << 3
LIBRARIES = tuple(map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")))
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1


@dataclass(frozen=True)
class SandboxLayers:
    """What holds in a process: True, or False where the kernel would not.

    `landlock` is the version of its interface, 0 without it.
    """

    resource_limits: bool = False
    network_namespace: bool = False
    no_new_privileges: bool = False
    landlock: int = 0
    seccomp: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of those that do not hold."""
        return tuple(field.name for field in fields(self) if not getattr(self, field.name))


def confine(limits: ChildLimits) -> SandboxLayers:
    """Give up everything but decoding, for good; call from the only thread.

    Afterwards no file can be opened, no process started, no socket made, no program run; memory,
    processor time and descriptors are bounded.
    """
    limited = _limit_resources(limits)
    if sys.platform != "linux":
        return SandboxLayers(resource_limits=limited)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_ARENA_MAX, 2)  # an arena for each thread would use up the address space
    namespace = not libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) or not libc.unshare(CLONE_NEWNET)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    privileges = not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    landlock = _no_files(libc) if privileges else 0
    seccomp = privileges and _filter_calls(libc, seccomp_program)
    return SandboxLayers(limited, namespace, privileges, landlock, seccomp)


def confine_program(program: Path, limits: ProgramLimits = DEFAULT_PROGRAM_LIMITS) -> SandboxLayers:
    """Give up everything but running a program on files that are open already.

    It can open only itself and the system's libraries, and only for reading; it reaches no network
    and no other process.  Other system calls stay allowed.
    """
    limited = _limit_resources(limits)
    if sys.platform != "linux":
        return SandboxLayers(resource_limits=limited)
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = not libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) or not libc.unshare(CLONE_NEWNET)
    privileges = not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    landlock = _no_files(libc, [program, *LIBRARIES]) if privileges else 0
    seccomp = privileges and _filter_calls(libc, signals_program)
    return SandboxLayers(limited, namespace, privileges, landlock, seccomp)


def _limit_resources(limits: ChildLimits | ProgramLimits) -> bool:
    import resource

    bounds = {
        resource.RLIMIT_AS: (limits.memory_bytes, limits.memory_bytes),
        # Soft: the parent raises it when it knows how long the video is.
        resource.RLIMIT_CPU: (limits.cpu_seconds, resource.RLIM_INFINITY),
        resource.RLIMIT_FSIZE: (limits.written_bytes, limits.written_bytes),
        resource.RLIMIT_NOFILE: (limits.descriptors, limits.descriptors),
        resource.RLIMIT_CORE: (0, 0),
    }
    done = True
    for what, bound in bounds.items():
        try:
            resource.setrlimit(what, bound)
        except (OSError, ValueError):  # a lower hard limit stands already, or the system has none
            done = False
    return done


def _no_files(libc: ctypes.CDLL, but: Sequence[Path] = ()) -> int:
    """Forbid opening any file and connecting anywhere; return Landlock's version, 0 for failure.

    What lies at or below the paths `but` can still be read and run.
    """
    version = int(libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1))
    if version <= 0:
        return 0
    rights = 13 + (version >= 2) + (version >= 3) + (version >= 5)
    rules = struct.pack("<QQQ", (1 << rights) - 1, 0b11, 0b11)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, rules, size, 0)
    if ruleset < 0:
        return 0
    try:
        for path in filter(Path.exists, but):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            may = RUN | READ | LIST if path.is_dir() else RUN | READ
            rule = struct.pack("<Qi", may, descriptor)
            libc.syscall(LANDLOCK_ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
            os.close(descriptor)
        return 0 if libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) else version
    finally:
        os.close(ruleset)


def _filter_calls(libc: ctypes.CDLL, made: Callable[[str, int], bytes]) -> bool:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    program = made(machine, os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    call = call_number("seccomp", machine)
    return not libc.syscall(call, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, header)

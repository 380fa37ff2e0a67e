"""Giving up what a decoder does not need, before the first byte of a stranger's file is parsed.

Does: resource limits, an own user and network namespace, no new privileges, Landlock, and a seccomp
filter, all of Linux, through ctypes; say which of them hold.
Does not: start processes (see decoding_process), or fail where the kernel lacks one of them.

Sources: seccomp(2), landlock(7), unshare(2), setrlimit(2), asm/unistd.h of x86_64 and aarch64.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mllm_affect.media.limits import DEFAULT_PROGRAM_LIMITS, ChildLimits, ProgramLimits

CLONE_THREAD, CLONE_NEWUSER, CLONE_NEWNET = 0x0001_0000, 0x1000_0000, 0x4000_0000
PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_NO_NEW_PRIVS = 4, 15, 38
PROT_EXEC, SCHED_BATCH = 4, 3
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
KEPT_BYTES = 1 << 20
"""Freed pieces of this size go back to the system.  The C library raises its own bound with every
large piece that is freed, and then keeps the holes that a long video's growing index leaves."""
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
PATH_BENEATH, RUN, READ, LIST = 1, 1 << 0, 1 << 2, 1 << 3
LIBRARIES = tuple(map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")))
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
ALLOW, REFUSE, NO_SUCH_CALL = 0x7FFF_0000, 0x0005_0001, 0x0005_0026  # EPERM, ENOSYS

ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}

CALLS: dict[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "pread64": (17, 67), "writev": (20, 66), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "nanosleep": (35, 101),
    "getpid": (39, 172), "exit": (60, 93), "fcntl": (72, 25), "gettimeofday": (96, 169),
    "getrusage": (98, 165), "sysinfo": (99, 179), "sigaltstack": (131, 132), "gettid": (186, 178),
    "futex": (202, 98), "sched_getaffinity": (204, 123), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "newfstatat": (262, 79), "set_robust_list": (273, 99),
    "getrandom": (318, 278), "membarrier": (324, 283), "rseq": (334, 293),
}  # fmt: skip
"""What decoding needs, by number on x86_64 and aarch64; whatever is not here is refused."""

CONDITIONAL: dict[str, tuple[int, int]] = {
    "mmap": (9, 222), "mprotect": (10, 226), "clone": (56, 220), "prctl": (157, 167),
    "tgkill": (234, 131), "clone3": (435, 435), "seccomp": (317, 277),
    "sched_setscheduler": (144, 119), "sched_getscheduler": (145, 120),
}  # fmt: skip


@dataclass(frozen=True)
class Walls:
    """What holds in a process: True, or False where the kernel would not.

    `landlock` is the version of its interface, 0 without it.
    """

    resource_limits: bool = False
    network_namespace: bool = False
    no_new_privileges: bool = False
    landlock: int = 0
    seccomp: bool = False


def confine(limits: ChildLimits) -> Walls:
    """Give up everything but decoding, for good; call from the only thread.

    Afterwards no file can be opened, no process started, no socket made, no program run; memory,
    processor time and descriptors are bounded.
    """
    limited = _limit_resources(limits)
    if sys.platform != "linux":
        return Walls(resource_limits=limited)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_ARENA_MAX, 2)  # an arena for each thread would use up the address space
    namespace = not libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) or not libc.unshare(CLONE_NEWNET)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    privileges = not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    landlock = _no_files(libc) if privileges else 0
    seccomp = privileges and _filter_calls(libc)
    return Walls(limited, namespace, privileges, landlock, seccomp)


def confine_program(program: Path, limits: ProgramLimits = DEFAULT_PROGRAM_LIMITS) -> Walls:
    """Give up everything but running a program on files that are open already.

    It can open only itself and the system's libraries, and only for reading; it reaches no network.
    Any system call stays allowed.
    """
    limited = _limit_resources(limits)
    if sys.platform != "linux":
        return Walls(resource_limits=limited)
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = not libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) or not libc.unshare(CLONE_NEWNET)
    privileges = not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    landlock = _no_files(libc, [program, *LIBRARIES]) if privileges else 0
    return Walls(limited, namespace, privileges, landlock)


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


def _filter_calls(libc: ctypes.CDLL) -> bool:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    program = seccomp_program(machine, os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    call = CONDITIONAL["seccomp"][_column(machine)]
    return not libc.syscall(call, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, header)


def _column(machine: str) -> int:
    return 0 if machine == "x86_64" else 1


LOAD, IF_EQUAL, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06  # BPF: ld abs, jeq, jset, ret
CALL_NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def seccomp_program(machine: str, process: int) -> bytes:
    """Return the classic BPF program for this architecture and process.

    Threads may be started but no processes, memory may not become executable, signals go to the
    process itself; clone3 does not exist, so that the C library asks clone, whose flags show.
    A thread may make itself batch work or ordinary again, neither of which gives it more.
    """

    def step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_so, if_not, value)

    def number(name: str) -> int:
        return {**CALLS, **CONDITIONAL}[name][_column(machine)]

    def argument(place: int) -> bytes:
        return step(LOAD, FIRST_ARGUMENT + 8 * place)

    def when(name: str, *body: bytes) -> bytes:
        return step(IF_EQUAL, number(name), 0, len(body)) + b"".join(body)

    allow, refuse = step(RETURN, ALLOW), step(RETURN, REFUSE)
    own_share = (
        argument(0), step(IF_EQUAL, 0, 0, 4),
        argument(1), step(IF_EQUAL, 0, 1, 0), step(IF_EQUAL, SCHED_BATCH, 0, 1), allow, refuse,
    )  # fmt: skip
    executable = (argument(2), step(IF_ANY_BIT, PROT_EXEC, 0, 1), refuse, allow)
    parts = [
        step(LOAD, ARCHITECTURE), step(IF_EQUAL, ARCHITECTURES[machine], 1, 0), refuse,
        step(LOAD, CALL_NUMBER),
        when("mmap", *executable),
        when("mprotect", *executable),
        when("clone", argument(0), step(IF_ANY_BIT, CLONE_THREAD, 0, 1), allow, refuse),
        when("clone3", step(RETURN, NO_SUCH_CALL)),
        when("prctl", argument(0), step(IF_EQUAL, PR_SET_NAME, 0, 1), allow, refuse),
        when("sched_getscheduler", argument(0), step(IF_EQUAL, 0, 0, 1), allow, refuse),
        when("sched_setscheduler", *own_share),
        when("tgkill", argument(0), step(IF_EQUAL, process, 0, 1), allow, refuse),
        *(when(name, allow) for name in CALLS),
        refuse,
    ]  # fmt: skip
    return b"".join(parts)

"""Filters of system calls, as the kernel takes them: programs of classic BPF, made as bytes.

Does: make the filter of a decoder, which lists what decoding needs, and of a program, which lists
what reaches into other processes.  Does not: install them (see sandbox).

Sources: seccomp(2), bpf(2), asm/unistd.h of x86_64 and aarch64.
"""

import struct
from collections.abc import Iterable

CLONE_THREAD, PR_SET_NAME, PROT_EXEC, SCHED_BATCH = 0x0001_0000, 15, 4, 3
ALLOW, REFUSE, NO_SUCH_CALL = 0x7FFF_0000, 0x0005_0001, 0x0005_0026  # EPERM, ENOSYS
ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}

CALLS: dict[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "pread64": (17, 67), "writev": (20, 66), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "nanosleep": (35, 101),
    "getpid": (39, 172), "exit": (60, 93), "gettimeofday": (96, 169),
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
    "sched_setscheduler": (144, 119), "sched_getscheduler": (145, 120), "fcntl": (72, 25),
}  # fmt: skip

FCNTL_COMMANDS = {"F_DUPFD": 0, "F_GETFD": 1, "F_SETFD": 2, "F_GETFL": 3, "F_DUPFD_CLOEXEC": 1030}
"""What may be done with an open descriptor.  F_SETOWN with F_SETSIG, and F_SETLEASE, have the
kernel send any signal to any process of the user; of the other layers only Landlock, from its
version 6 on, forbids that too."""

SIGNALS: dict[str, tuple[int, int]] = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "kcmp": (312, 272), "io_uring_setup": (425, 425),
}  # fmt: skip
"""How one process reaches into another, by number on x86_64 and aarch64."""
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902
X32_BIT = 0x4000_0000


def call_number(name: str, machine: str) -> int:
    """Return the number of a call that a decoder may make under conditions."""
    return CONDITIONAL[name][_column(machine)]


def _column(machine: str) -> int:
    return 0 if machine == "x86_64" else 1


LOAD, IF_EQUAL, IF_ANY_BIT, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
"""Of classic BPF: ld abs, jeq, jset, jge, ret."""
CALL_NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_so, if_not, value)


ALLOWED, REFUSED = _step(RETURN, ALLOW), _step(RETURN, REFUSE)


def _argument(place: int) -> bytes:
    return _step(LOAD, FIRST_ARGUMENT + 8 * place)


def _when(numbers: dict[str, tuple[int, int]], machine: str, name: str, *body: bytes) -> bytes:
    """Return steps that a call of this name goes through, and others jump over."""
    return _step(IF_EQUAL, numbers[name][_column(machine)], 0, len(body)) + b"".join(body)


def _one_of(values: Iterable[int], then: bytes, otherwise: bytes) -> list[bytes]:
    """Return steps that compare what was loaded."""
    found = list(values)
    tests = [_step(IF_EQUAL, one, len(found) - place, 0) for place, one in enumerate(found)]
    return [*tests, otherwise, then]


def seccomp_program(machine: str, process: int) -> bytes:
    """Return the classic BPF program for a decoder on this architecture and in this process.

    Threads may be started but no processes, memory may not become executable, signals go to the
    process itself; clone3 does not exist, so that the C library asks clone, whose flags show.
    A thread may make itself batch work or ordinary again, neither of which gives it more.
    """

    def when(name: str, *body: bytes) -> bytes:
        return _when({**CALLS, **CONDITIONAL}, machine, name, *body)

    own_share = (
        _argument(0), _step(IF_EQUAL, 0, 0, 4),
        _argument(1), _step(IF_EQUAL, 0, 1, 0), _step(IF_EQUAL, SCHED_BATCH, 0, 1),
        ALLOWED, REFUSED,
    )  # fmt: skip
    executable = (_argument(2), _step(IF_ANY_BIT, PROT_EXEC, 0, 1), REFUSED, ALLOWED)
    commands = (_argument(1), *_one_of(FCNTL_COMMANDS.values(), ALLOWED, REFUSED))
    parts = [
        *_right_architecture(machine),
        when("mmap", *executable),
        when("mprotect", *executable),
        when("fcntl", *commands),
        when("clone", _argument(0), _step(IF_ANY_BIT, CLONE_THREAD, 0, 1), ALLOWED, REFUSED),
        when("clone3", _step(RETURN, NO_SUCH_CALL)),
        when("prctl", _argument(0), _step(IF_EQUAL, PR_SET_NAME, 0, 1), ALLOWED, REFUSED),
        when("sched_getscheduler", _argument(0), _step(IF_EQUAL, 0, 0, 1), ALLOWED, REFUSED),
        when("sched_setscheduler", *own_share),
        when("tgkill", _argument(0), _step(IF_EQUAL, process, 0, 1), ALLOWED, REFUSED),
        *(when(name, ALLOWED) for name in CALLS),
        REFUSED,
    ]  # fmt: skip
    return b"".join(parts)


def signals_program(machine: str, process: int) -> bytes:
    """Return the BPF program for a program that may do anything but reach into other processes.

    It may signal itself; descriptors cannot be made to signal others either.
    """
    numbers = {**SIGNALS, "fcntl": CONDITIONAL["fcntl"], "ioctl": (16, 29)}

    def when(name: str, *body: bytes) -> bytes:
        return _when(numbers, machine, name, *body)

    # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY
    commands = (_argument(1), *_one_of((8, 10, 15, 1024, 1026), REFUSED, ALLOWED))
    own = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
    parts = [
        *_right_architecture(machine),
        # The numbers of x86_64's other interface would pass by a list of what is refused.
        *([_step(IF_AT_LEAST, X32_BIT, 0, 1), REFUSED] if machine == "x86_64" else []),
        when("fcntl", *commands),
        when("ioctl", _argument(1), *_one_of((FIOSETOWN, SIOCSPGRP), REFUSED, ALLOWED)),
        *(
            when(name, _argument(0), _step(IF_EQUAL, process, 0, 1), ALLOWED, REFUSED)
            for name in own
        ),
        *(when(name, REFUSED) for name in SIGNALS if name not in own),
        ALLOWED,
    ]
    return b"".join(parts)


def _right_architecture(machine: str) -> list[bytes]:
    """Return steps that refuse calls of another architecture, then load the number of the call."""
    right = _step(IF_EQUAL, ARCHITECTURES[machine], 1, 0)
    return [_step(LOAD, ARCHITECTURE), right, REFUSED, _step(LOAD, CALL_NUMBER)]

"""Kills a process at a system call: the n-th of its kind that any of its threads makes, at its entry or at its exit.

Linux on x86-64 only, by ptrace. `strace --inject` counts for each thread by itself, so that what a young thread does hides
behind the start-up of the first one; here calls are counted over all threads, from the moment in which the event loop is made.
"""

from __future__ import annotations

import ctypes
import os
import platform
import select
import signal
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

_TRACEME, _KILL_WITH_TRACER, _SYSCALL, _SET_OPTIONS, _INFO = 0, 0x100000, 24, 0x4200, 0x420E
_OPTIONS = 0x1 | 0x8 | _KILL_WITH_TRACER  # mark system calls, follow new threads
_WALL = 0x40000000
_ENTRY, _EXIT = 1, 2

NAMES = {
    0: "read", 1: "write", 2: "open", 3: "close", 4: "stat", 5: "fstat", 6: "lstat", 7: "poll", 8: "lseek", 9: "mmap",
    10: "mprotect", 11: "munmap", 12: "brk", 13: "rt_sigaction", 14: "rt_sigprocmask", 16: "ioctl", 17: "pread64",
    18: "pwrite64", 20: "writev", 23: "select", 24: "sched_yield", 25: "mremap", 28: "madvise", 32: "dup", 39: "getpid",
    41: "socket", 42: "connect", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 48: "shutdown", 49: "bind",
    51: "getsockname", 52: "getpeername", 53: "socketpair", 54: "setsockopt", 55: "getsockopt", 56: "clone", 60: "exit",
    63: "uname", 72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync", 76: "truncate", 77: "ftruncate", 79: "getcwd",
    82: "rename", 83: "mkdir", 84: "rmdir", 86: "link", 87: "unlink", 89: "readlink", 90: "chmod", 91: "fchmod",
    98: "getrusage", 99: "sysinfo", 102: "getuid", 107: "geteuid", 137: "statfs", 186: "gettid", 202: "futex",
    203: "sched_setaffinity", 204: "sched_getaffinity", 217: "getdents64", 218: "set_tid_address", 230: "clock_nanosleep",
    231: "exit_group", 232: "epoll_wait", 233: "epoll_ctl", 257: "openat", 258: "mkdirat", 262: "newfstatat", 263: "unlinkat",
    264: "renameat", 268: "fchmodat", 270: "pselect6", 271: "ppoll", 273: "set_robust_list", 281: "epoll_pwait",
    288: "accept4", 290: "eventfd2", 291: "epoll_create1", 293: "pipe2", 302: "prlimit64", 316: "renameat2",
    318: "getrandom", 332: "statx", 334: "rseq", 435: "clone3", 441: "epoll_pwait2",
}
ALIVE = "epoll_create1"
"""The call that makes the event loop: what comes before is reading and planning."""

DISK = frozenset({
    "write", "pwrite64", "ftruncate", "truncate", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "unlink",
    "unlinkat", "mkdir", "mkdirat", "chmod", "fchmod", "fchmodat", "openat", "open", "flock", "fcntl", "close", "pread64",
    "read", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx", "getdents64", "readlink", "ioctl"})
NETWORK = frozenset({
    "socket", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg", "setsockopt", "getsockopt", "getsockname", "getpeername",
    "shutdown", "socketpair", "bind"})
WAITS = frozenset({
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "futex", "poll", "ppoll", "select", "pselect6", "clock_nanosleep",
    "sched_yield"})


def group_of(name: str) -> str:
    """`disk`, `network`, `waits` or `other`; `any time` for a kill by the clock."""
    if name == "any time":
        return name
    return "disk" if name in DISK else "network" if name in NETWORK else "waits" if name in WAITS else "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where to kill: at the `n`-th call `name` (from 1) since the event loop was made, `after` it or before it; or, where
    `name` is `any time`, `seconds` after the start."""

    name: str
    n: int = 0
    after: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.name == "any time":
            return f"{self.seconds:.3f} s"
        return f"{'after' if self.after else 'before'} {self.name} #{self.n}"

    @classmethod
    def parse(cls, text: str) -> Point:
        """The point that was shown as `text`."""
        side, _, rest = text.strip().partition(" ")
        if rest == "s":
            return cls(name="any time", seconds=float(side))
        name, _, n = rest.partition(" #")
        return cls(name=name, n=int(n), after=side == "after")


@dataclass(slots=True, kw_only=True)
class Ended:
    """How a child ended. `code` is None where it was killed; `calls` is what it did once its event loop was made."""

    code: int | None
    calls: Counter[str] = field(default_factory=Counter)


def can_trace() -> str:
    """Why this machine does not let a process be traced, or nothing."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "kills at system calls need Linux on x86-64"
    try:
        ended = run(lambda: None, None, seconds=20, traced=True)
    except OSError as error:
        return f"this machine does not allow ptrace ({error.strerror})"
    return "" if ended.code == 0 else "this machine does not allow ptrace"


def run(child: Callable[[], object], point: Point | None, *, seconds: float, traced: bool = False) -> Ended:
    """Run `child` in a process of its own that is killed at `point`, if it ever gets there; `TimeoutError` after `seconds`.

    The caller must have no other thread and no other child. `traced` counts calls where nothing is to be killed.
    """
    by_call = point is not None and point.name != "any time"
    pid = os.fork()
    if pid == 0:
        _become(child, traced=traced or by_call)
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return _Tracer(pid, point if by_call else None).follow() if traced or by_call else _wait(pid, point)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _too_long(*_: object) -> NoReturn:
    raise TimeoutError("it hangs")


def _become(child: Callable[[], object], *, traced: bool) -> NoReturn:
    code = 99
    try:
        if traced:
            if ctypes.CDLL(None).ptrace(_TRACEME, 0, 0, 0) != 0:
                os._exit(98)
            os.kill(os.getpid(), signal.SIGSTOP)
        child()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _wait(pid: int, point: Point | None) -> Ended:
    """Without tracing: kill it after the point's seconds, or wait for its end."""
    if point is not None:
        handle = os.pidfd_open(pid)
        try:
            if not select.select([handle], [], [], point.seconds)[0]:
                os.kill(pid, signal.SIGKILL)
        finally:
            os.close(handle)
    _, status = os.waitpid(pid, 0)
    return Ended(code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None)


class _Tracer:
    """Follows all threads of one child from system call to system call."""

    def __init__(self, pid: int, point: Point | None) -> None:
        self._pid, self._point = pid, point
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._libc.ptrace.restype = ctypes.c_long
        self._info = ctypes.create_string_buffer(96)
        self._threads: set[int] = set()
        self._alive = False
        self._calls: Counter[str] = Counter()
        self._watched = 0  # the thread that is inside the call at whose exit the kill is due

    def follow(self) -> Ended:
        while True:
            pid, status = os.waitpid(-1, _WALL)
            if os.WIFSTOPPED(status):
                self._stopped(pid, os.WSTOPSIG(status), status >> 16)
            elif pid == self._pid:
                return Ended(code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None, calls=self._calls)

    def _stopped(self, pid: int, number: int, event: int) -> None:
        deliver = 0
        if number == signal.SIGTRAP | 0x80:
            if self._call(pid):
                os.kill(self._pid, signal.SIGKILL)
                return
        elif pid not in self._threads and number == signal.SIGSTOP:  # how a traced thread begins
            self._threads.add(pid)
            if pid == self._pid:
                self._libc.ptrace(_SET_OPTIONS, pid, 0, _OPTIONS)
        elif not event:
            deliver = number
        self._libc.ptrace(_SYSCALL, pid, 0, deliver)

    def _call(self, pid: int) -> bool:
        """Whether this entry or exit is where the child must die."""
        if self._libc.ptrace(_INFO, pid, len(self._info), ctypes.addressof(self._info)) <= 0:
            return False
        kind, = struct.unpack_from("B", self._info)
        if kind == _EXIT:
            return pid == self._watched
        if kind != _ENTRY:
            return False
        name = NAMES.get(number := struct.unpack_from("Q", self._info, 24)[0], f"call {number}")
        self._alive = self._alive or name == ALIVE
        if not self._alive:
            return False
        self._calls[name] += 1
        point = self._point
        if point is None or point.name != name or point.n != self._calls[name]:
            return False
        if point.after:
            self._watched = pid
        return not point.after

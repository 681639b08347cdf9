"""The process that works: it is told a function and jobs, and tells what comes of them.

It holds one end of a line; :mod:`zoorank.executors.process` holds the other.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import faulthandler
import functools
import gc
import os
import pickle
import resource
import signal
import socket
import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker, spawn
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from zoorank.errors import StoreError, ZoorankError
from zoorank.executors.base import Emit, Failure, Thinned

_SET_CHILD_SUBREAPER = 36  # of prctl
_SLACK = 256 * 2**20  # bytes, for stacks of threads and the like, which are reserved and not used
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_AS)
_BUILTINS = tuple(vars(builtins))
_OFTEN = 0.05  # seconds between two events of one stage, for nobody looks faster


@dataclass(frozen=True)
class Setup:
    """How a process works, sent to it first.

    Attributes
    ----------
    threads : int
    prepare : callable or None
        Called once with ``threads``, before the first job.
    state : callable or None
        What no job may change; compared before and after each.
    memory : int or None
        Bytes that a job may hold.
    jobs : int
        After so many the process is worn.
    growth : int
        Bytes by which it may grow after its first job until it is worn.
    """

    threads: int
    prepare: Callable[[int], None] | None
    state: Callable[[], object] | None
    memory: int | None
    jobs: int
    growth: int


@dataclass(frozen=True)
class Order:
    """A job to do.

    Attributes
    ----------
    program : dict of str to str
        The program that the function or the job is defined in, for ``spawn.prepare``; else empty.
    function : bytes or None
        It and what its jobs share, pickled; None for those of the last order.
    job : bytes
        Pickled.
    """

    program: dict[str, str]
    function: bytes | None
    job: bytes


@dataclass(frozen=True)
class Ready:
    """The process can take a job."""


@dataclass(frozen=True)
class Done:
    """A job has ended.

    Attributes
    ----------
    outcome : object
        What the function gave, a :class:`Failure`, or a StoreError, which ends the run.
    worn : str
        Why the process should take no other job; mostly empty.
    """

    outcome: object
    worn: str


class Worker:
    """One process for as long as it works."""

    def __init__(self, line: Connection[Any, Any]) -> None:
        self._line = line
        self._sending = threading.Lock()
        self._pid = os.getpid()
        self._function: Callable[[Any, Any, Emit], object] = _nothing
        self._shared: object = None
        self._has_program = False
        self._surprised = False

    def run(self) -> None:
        """Do what comes over the line until it ends."""
        program, pickled = self._line.recv()
        self._import(program)
        setup: Setup = pickle.loads(pickled)  # noqa: S301 - from the parent, as all that comes
        if setup.prepare is not None:
            setup.prepare(setup.threads)
        self._send(Ready())
        wear = Wear(setup)
        while True:
            order: Order = self._line.recv()
            wear.before()
            outcome = self._outcome(order)
            if os.getpid() != self._pid:  # a copy that the job forked and that came back
                os._exit(1)
            # What this job has left is looked through once: the next look is as quick.
            gc.collect()
            gc.freeze()
            worn = wear.after(surprised=self._surprised)
            if worn and isinstance(outcome, StoreError):
                # It may be the job's own doing: another one, elsewhere, will meet it if it is not.
                outcome = Failure.of(outcome)
            try:
                self._send(Done(outcome, worn))
            except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
                self._send(Done(Failure.of(error), worn))

    def _outcome(self, order: Order) -> object:
        self._surprised = False
        try:
            self._import(order.program)
            if order.function is not None:
                self._function, self._shared = pickle.loads(order.function)  # noqa: S301
            job: Any = pickle.loads(order.job)  # noqa: S301
            return self._function(self._shared, job, Thinned(self._send, _OFTEN))
        except StoreError as error:
            return error
        except BaseException as error:  # noqa: BLE001 - even a KeyboardInterrupt is the job's here
            self._surprised = not isinstance(error, ZoorankError)
            return Failure.of(error)

    def _import(self, program: dict[str, str]) -> None:
        if program and not self._has_program:
            self._has_program = True
            spawn.prepare(program)

    def _send(self, message: object) -> None:
        content = pickle.dumps(message)
        if os.getpid() != self._pid:
            os._exit(1)
        try:
            with self._sending:
                self._line.send_bytes(content)
        except OSError:  # nobody is there any more
            os._exit(1)


def _nothing(_shared: object, _job: object, _emit: Emit) -> object:
    raise RuntimeError("a job came before its function")


class Wear:
    """Whether a process is still as good as a new one.

    Memory and open files may grow a little, and the state of the process not change at all.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._jobs = 0
        self._first: tuple[int, int] | None = None
        self._path = list(sys.path)
        # As each job finds it: after the one before, nothing of this has changed.
        self._before: dict[str, object] = {}
        self._before = self._state()

    def before(self) -> None:
        """Limit the memory that a job can take."""
        if self._setup.memory is not None:
            # What is reserved and not used counts here, so a process starts with some of it.
            reserved = max(0, _pages(5) - (_pages(1) - _pages(2)))
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(
                    resource.RLIMIT_DATA, (self._setup.memory + reserved + _SLACK, hard)
                )

    def after(self, *, surprised: bool) -> str:
        """Why no other job should run here; empty if one may.

        Parameters
        ----------
        surprised : bool
            Whether the job raised an exception that nobody foresaw.
        """
        if self._setup.memory is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        self._jobs += 1
        sys.path[:] = self._path
        faulthandler.cancel_dump_traceback_later()  # which could end the process of another job
        size = _pages(1) - _pages(2), _open_files()
        first = self._first = self._first or size
        if surprised:
            return "a job failed in a way that nobody foresaw"
        if self._jobs >= self._setup.jobs:
            return f"it has done {self._jobs} jobs"
        if size[0] - first[0] > self._setup.growth:
            return f"it has grown by {(size[0] - first[0]) / 2**20:.0f} MiB"
        if size[1] - first[1] > 64:
            return f"{size[1] - first[1]} more files are open"
        if _has_children():
            return "a job has left processes behind"
        try:
            state = self._state()
        except Exception as error:  # noqa: BLE001 - the caller's
            return f"its state cannot be told: {error!r}"
        changed = [name for name, value in self._before.items() if state.get(name) != value]
        return f"a job has changed {', '.join(changed)}" if changed else ""

    def _state(self) -> dict[str, object]:
        mask = os.umask(0o77)
        os.umask(mask)
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGPIPE)
        return {
            "the state of its libraries": self._setup.state() if self._setup.state else None,
            "the working directory": _working_directory(),
            "the mask of new files": mask,
            "what signals do": tuple(signal.getsignal(each) for each in signals),
            "its timers": [signal.getitimer(each)[0] > 0 for each in _TIMERS],
            "its threads": _foreign_threads(),
            "its share of the processors": _share(),
            "its limits": [resource.getrlimit(each) for each in _LIMITS],
            "the standard streams": _streams(),
            "which warnings are errors": [each for each in warnings.filters if each[0] == "error"],
            "whether garbage is collected": gc.isenabled(),
            "how it is traced": (sys.gettrace(), sys.getprofile()),
            "functions of Python": {each: id(getattr(builtins, each, None)) for each in _BUILTINS},
            "the time limit of sockets": socket.getdefaulttimeout(),
            "the limit of recursion": sys.getrecursionlimit(),
            # One that a library adds when it is imported does no harm.
            "the environment": {name: os.environ.get(name) for name in self._names()},
        }

    def _names(self) -> list[str]:
        known = self._before.get("the environment")
        return list(known) if isinstance(known, dict) else list(os.environ)


def _foreign_threads() -> list[int | None]:
    """Threads of no library: what they do next would be another job's to suffer."""
    return [each.ident for each in threading.enumerate() if _is_foreign(each)]


def _is_foreign(thread: threading.Thread) -> bool:
    if isinstance(thread, threading.Timer):
        return True
    code: Any = getattr(thread, "_target", None) or type(thread).run
    while isinstance(code, functools.partial):
        code = code.func
    home = str(getattr(code, "__module__", None))
    if home.partition(".")[0] in {"zoorank", *sys.stdlib_module_names} - {"__main__"}:
        return False
    file = getattr(sys.modules.get(home), "__file__", None) or ""
    return not file.startswith(tuple({sysconfig.get_path(each) for each in ("purelib", "platlib")}))


def _share() -> tuple[object, ...]:
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    return affinity, os.getpriority(os.PRIO_PROCESS, 0)


def _streams() -> list[object]:
    """Which streams these are, and which files: one that is opened next takes a number's place."""
    found: list[object] = []
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        status = None
        with contextlib.suppress(OSError):
            status = os.fstat(number)
        found += [id(stream), getattr(stream, "closed", True), status and status[1:3]]
    return found


def _pages(column: int) -> int:
    """Bytes by a column of the kernel's table: 1 in memory, 2 of files there, 5 data; 0 if none."""
    try:
        columns = Path("/proc/self/statm").read_bytes().split()
    except OSError:
        return 0
    return int(columns[column]) * resource.getpagesize()


def _open_files() -> int:
    for place in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(place))  # noqa: PTH208
    return 0


def _working_directory() -> str | None:
    with contextlib.suppress(OSError):
        return os.getcwd()  # noqa: PTH109
    return None


def _has_children() -> bool:
    if hasattr(os, "waitid"):
        try:
            # Answers at once where there are none, and takes nothing from who waits for one.
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
    import psutil

    known = getattr(resource_tracker, "_resource_tracker", None)
    ours = getattr(known, "_pid", None)
    return any(child.pid != ours for child in psutil.Process().children())


def _settle() -> None:
    """Make the process one that dies alone, quickly and with its reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(sys.__stderr__ or 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Daemons of a job become children of this process, where it can see them.
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with contextlib.suppress(OSError):  # let the system take this process before another
            Path("/proc/self/oom_score_adj").write_text("900")


def main(descriptor: int) -> None:
    """Work until the other end of the line is closed."""
    _settle()
    with contextlib.suppress(EOFError):
        Worker(Connection(descriptor)).run()
    # Threads that a job left running must not keep the process.
    os._exit(0)

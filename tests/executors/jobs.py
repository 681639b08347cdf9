"""What jobs can do to the process that runs them, each by its name."""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import faulthandler
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoorank.errors import SourceError, StoreError
from zoorank.executors.base import Emit, Event


@dataclass(frozen=True)
class Job:
    name: str
    does: str = "nothing"
    given: Any = None


@dataclass
class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self):
        return (os.path.join, (1, 2))


@dataclass
class Holder:
    value: Any = field(default_factory=threading.Lock)


def work(shared: str, job: Job, emit: Emit) -> Any:
    """Do what the job says."""
    emit(Event(job.name, "opening"))
    if job.does.startswith("late "):
        emit(Event(job.name, "encoding", 1, 4))
    if job.does == "beat":
        for seconds in job.given:
            time.sleep(seconds)
            emit(Event(job.name, "encoding", 1, 4, str(time.monotonic())))
        return None
    given = DEEDS[job.does.removeprefix("late ")](job.given)
    return (shared, job.name, given)


def _raise(error: BaseException) -> None:
    raise error


def _fill(amount: int) -> int:
    return len([bytearray(2**24) for _ in range(amount // 2**24)])


def _fill_in_children(amount: int) -> None:
    """Fill memory in three processes, of which none comes near the limit that each inherits."""
    code = f"x = b'x' * ({amount} // 3); import time; time.sleep(60)"
    for process in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]:
        process.wait()


def _spin(seconds: float | None) -> None:
    end = float("inf") if seconds is None else time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _load(given: tuple[str, float]) -> None:
    """Write and read a file for some seconds, as a download or a slow disk does."""
    file, seconds = given
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        Path(file).write_bytes(b"x" * 2**20)
        Path(file).read_bytes()
        time.sleep(0.1)


def _fork_daemon(file: str) -> None:
    """Leave a process behind that no group or session of this one knows."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path(file).write_text(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.wait()
    _wait_for(lambda: Path(file).exists() and Path(file).read_text())


def _start_hiding(file: str) -> None:
    """Leave a process behind that has neither the group nor the environment of this one."""
    process = subprocess.Popen(["sleep", "600"], env={}, start_new_session=True)
    Path(file).write_text(str(process.pid))


def _wait_for(condition) -> None:
    while not condition():
        time.sleep(0.01)


def _fork_and_return(_: Any) -> int:
    """A forked copy comes back, as code that was not written for it does."""
    return os.fork() == 0


def _print(size: int) -> None:
    print("to standard output")
    os.write(1, b"to the descriptor\n" * (size // 18))
    os.system("echo from a child")


def _touch(file: str) -> int:
    """Say in a file that it runs, then go on for long."""
    Path(file).write_text(str(os.getpid()))
    time.sleep(600)
    return 0


def _ignore_signals_and_sleep(_: Any) -> None:
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    time.sleep(600)


def _hold_the_interpreter(_: Any) -> None:
    """Hang in C without letting another thread run."""
    ctypes.PyDLL(None).sleep(600)


def _close_all(_: Any) -> None:
    os.closerange(0, 256)
    time.sleep(600)


def _write_rubbish(_: Any) -> None:
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\0\0\0\4rubbish")
    time.sleep(600)


def _deepen(n: Any) -> int:
    sys.setrecursionlimit(10**9)

    def down(k: int) -> int:
        return down(k + 1) + 1

    return down(0)


def _used_pool() -> ThreadPoolExecutor:
    """As libraries keep one: its thread waits for work."""
    pool = ThreadPoolExecutor(1)
    pool.submit(os.getpid).result()
    return pool


def _sleep_and_give_the_process(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def _open(number: int) -> None:
    HELD.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(number))


def _daemon_and(files: str, then: str) -> Any:
    daemon, *others = files.split()
    _fork_daemon(daemon)
    return DEEDS[then](*others)


DEEDS = {
    "nothing": lambda given: given,
    "raise": _raise,
    "refuse": lambda given: _raise(SourceError("no weights")),
    "fill the disk": lambda given: _raise(StoreError("no space left")),
    "exit": sys.exit,
    "end": os._exit,
    "abort": lambda given: os.abort(),
    "segfault": lambda given: ctypes.string_at(0),
    "kill": lambda given: os.kill(os.getpid(), signal.SIGKILL),
    "kill the group": lambda given: os.killpg(0, signal.SIGKILL),
    "recurse": _deepen,
    "sleep": time.sleep,
    "spin": _spin,
    "load": _load,
    "hold the interpreter": _hold_the_interpreter,
    "ignore signals": _ignore_signals_and_sleep,
    "close all": _close_all,
    "write rubbish": _write_rubbish,
    "stop": lambda given: os.kill(os.getpid(), signal.SIGSTOP),
    "fill": _fill,
    "fill and sleep": lambda amount: ([bytearray(amount)], time.sleep(30)),
    "fill in children": _fill_in_children,
    "fork a daemon": _fork_daemon,
    "fork and return": _fork_and_return,
    "start hiding": _start_hiding,
    "start hiding and touch": lambda files: (
        _start_hiding(files.split()[0]),
        _touch(files.split()[1]),
    ),
    "print": _print,
    "print and end": lambda given: (_print(10**6), os._exit(1)),
    "touch": _touch,
    "sleep and give the process": _sleep_and_give_the_process,
    "open": _open,
    "leave a child": lambda given: HELD.append(subprocess.Popen(["sleep", "600"])),
    "fork a daemon and end": lambda file: (_fork_daemon(file), os._exit(0)),
    "fork a daemon and touch": lambda files: _daemon_and(files, "touch"),
    "fork a daemon and touch and hold the interpreter": lambda files: _daemon_and(
        files, "touch and hold the interpreter"
    ),
    "touch and hold the interpreter": lambda file: (
        Path(file).write_text(str(os.getpid())),
        _hold_the_interpreter(None),
    ),
    "give a lock": lambda given: threading.Lock(),
    "give what cannot be read": lambda given: Unreadable(),
    "process": lambda given: os.getpid(),
    "environment": lambda names: [os.environ.get(name) for name in names],
    "directory": lambda given: os.chdir("/"),
    "variable": lambda given: os.environ.update(HOME="/nowhere"),
    "new variable": lambda given: os.environ.update(ZOORANK_TEST_NEW="1"),
    "path": lambda given: sys.path.insert(0, "/nowhere"),
    "mask": os.umask,
    "signal": lambda given: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "modules": lambda given: sorted({"torch", "numpy", "pandas"} & set(sys.modules)),
    "arguments": lambda given: (sys.path, resource.getrlimit(resource.RLIMIT_CORE)[0]),
    "thread": lambda given: threading.Thread(target=_spin, args=(None,), daemon=True).start(),
    "thread of a timer": lambda given: threading.Timer(given, os._exit, (1,)).start(),
    "idle pool": lambda given: HELD.append(_used_pool()),
    "alarm": signal.alarm,
    "end later": lambda given: faulthandler.dump_traceback_later(given, exit=True),
    "limit": lambda given: resource.setrlimit(
        resource.RLIMIT_FSIZE, (given, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    ),
    "limit and fill the disk": lambda given: (
        DEEDS["limit"](given),
        DEEDS["fill the disk"](None),
    ),
    "nice": os.nice,
    "close output": lambda given: os.close(1),
    "no output": lambda given: setattr(sys, "stdout", None),
    "warnings": lambda given: warnings.simplefilter("error"),
    "print nothing": lambda given: setattr(builtins, "print", lambda *_: None),
    "keep garbage": lambda given: gc.disable(),
    "profile": lambda given: sys.setprofile(lambda *_: None),
    "default": lambda given: STATE.__setitem__("dtype", given),
    "grow": lambda given: HELD.append(bytearray(given)),
    "prepared": lambda given: PREPARED,
}
HELD: list[Any] = []
STATE = {"dtype": "float32"}
PREPARED: list[int] = []


def prepare(threads: int) -> None:
    PREPARED.append(threads)


def prepare_badly(threads: int) -> None:
    raise ImportError(f"no module for {threads} threads")


def state() -> object:
    return dict(STATE)

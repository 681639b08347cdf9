"""A process that works, seen from outside: start it, talk to it, end it and all of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from zoorank.executors import warden
from zoorank.executors.base import Event
from zoorank.executors.child import Done, Order, Ready, Setup
from zoorank.executors.warden import MARK, descendants, end_all, end_group, end_marked

_TAIL = 16_384  # bytes of its output that are kept
_PIECE = 65_536

Outbox = SimpleQueue["Message"]


class Message(NamedTuple):
    """What a process said, and when; None when it says nothing any more."""

    process: WorkerProcess
    at: float
    content: Ready | Event | Done | None


class WorkerProcess:
    """One process that works.

    Parameters
    ----------
    mark : str
        By which it and all that it starts are known.
    setup : Setup
    environment : mapping of str to str
        Put into its environment before it imports anything.
    outbox : queue
        Where its messages go.

    Attributes
    ----------
    ready : bool
        Whether it waits for a job.
    pid : int
    """

    def __init__(
        self, mark: str, setup: Setup, environment: Mapping[str, str], outbox: Outbox
    ) -> None:
        self.ready = False
        self._function: bytes | None = None
        self._mark, self._outbox = mark, outbox
        self._tail = b""
        self._line, theirs = multiprocessing.Pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the interpreter that runs this
                _command_line(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                # Of the descriptor, so that what a library in C prints does not get through.
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment, MARK: mark},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException:
            self._line.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._listener = self._thread(self._listen)
        self._drain = self._thread(self._keep_tail)
        pickled = dumped(setup)
        self._send((_program(pickled), pickled))

    def work(self, function: bytes, job: bytes) -> None:
        """Send a job, with its function where that is another than the last one."""
        self.ready = False
        self._tail = b""
        known = self._function is function
        self._function = function
        self._send(Order(_program(function, job), None if known else function, job))

    @property
    def exit_code(self) -> int | None:
        """Negative for the signal that ended it; None while it lives."""
        if self._process.returncode is not None:
            return self._process.returncode
        if not hasattr(os, "waitid"):  # on macOS
            return self._process.poll()
        try:
            # Without taking it away: until that is done its number is nobody else's.
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # somebody else took it away
            return self._process.poll()
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def wait(self, seconds: float) -> None:
        """Wait for its end, no longer than so many seconds."""
        deadline = time.monotonic() + seconds
        while self.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill it and its group, and wait for nothing."""
        if self._process.returncode is None:
            end_group(self.pid)

    @property
    def tail(self) -> str:
        """The last lines of what it and its children printed."""
        return self._tail.decode("utf-8", "backslashreplace").strip()

    def end_others(self) -> None:
        """Kill all that it has started, though it is gone itself."""
        self.kill()
        end_marked(self._mark)

    def end(self, *, saying_where: bool = False) -> None:
        """Kill it with all that it has started.

        Parameters
        ----------
        saying_where : bool
            Have it print first where its threads are; it has half a second for that.
        """
        if saying_where and self.exit_code is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGABRT)
            self.wait(0.5)
        # Those too that hide from group and mark: while it lives they are its descendants.
        hiding = [] if self.exit_code is not None else descendants({self.pid})
        self.kill()
        self._process.wait()
        end_all(hiding)
        end_marked(self._mark)
        self._drain.join(1.0)
        self._listener.join(1.0)
        self._line.close()

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # its end is told by the listener
            self._line.send(message)

    def _listen(self) -> None:
        content: Any = None
        while True:
            try:
                content = self._line.recv()
            except (EOFError, OSError):
                break
            except Exception:  # noqa: BLE001 - what a process that went astray wrote, it is the end
                break
            if not isinstance(content, Ready | Event | Done):
                break
            self._outbox.put(Message(self, time.monotonic(), content))
        self._outbox.put(Message(self, time.monotonic(), None))

    def _keep_tail(self) -> None:
        stream = self._process.stdout
        if stream is None:
            raise AssertionError
        with stream:
            while piece := os.read(stream.fileno(), _PIECE):
                self._tail = (self._tail + piece)[-_TAIL:]

    @staticmethod
    def _thread(target: Any) -> threading.Thread:
        thread = threading.Thread(target=target, daemon=True, name="zoorank worker")
        thread.start()
        return thread


class Warden:
    """The process that ends all that carries a mark once this one is gone."""

    def __init__(self, mark: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", warden.__file__, mark, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def started(self, process: WorkerProcess) -> None:
        """Have it know the group of a process."""
        self._say(f"+{process.pid}\n")

    def ended(self, process: WorkerProcess) -> None:
        """Have it forget the group of a process."""
        self._say(f"-{process.pid}\n")

    def end(self) -> None:
        """Have it look for what is left, a last time."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _say(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self._process.stdin.fileno(), line.encode())


def _program(*pickled: bytes) -> dict[str, str]:
    """The running program, if something pickled is defined in it, as ``spawn.prepare`` takes it."""
    main = sys.modules.get("__main__")
    if main is None or not any(b"__main__" in each for each in pickled):
        return {}
    if main.__spec__ is not None:
        return {"init_main_from_name": main.__spec__.name}
    path = getattr(main, "__file__", None)
    return {} if path is None else {"init_main_from_path": str(Path(path).absolute())}


def dumped(content: object) -> bytes:
    """Pickle what every process is sent."""
    return pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)


def _command_line(descriptor: int) -> list[str]:
    # Modules come from where they come from here, and never from the working directory alone:
    # a file that lies there must not stand for a package.
    path = [str(Path(each or ".").absolute()) for each in sys.path]
    program = (
        f"import sys; sys.path[:] = {path!a}\n"
        f"from zoorank.executors.child import main; main({descriptor})"
    )
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001
    return [sys.executable, *flags, "-u", "-c", program]

"""One job that runs in another process, watched: its time, its silence, its memory."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from zoorank.executors.base import Event, Failure, Limits, Stage
from zoorank.executors.process import WorkerProcess

_SCAN = 1.0  # seconds between two looks at the children of a process, which cost milliseconds
_BUSY = 0.05  # processor seconds a second; what only waits and looks again needs less
_READS = 65_536  # bytes a second, read or written to a disk
_SHARE = 0.5  # of a limit, in processor time: a process that gets less is not to blame, until
_PATIENCE = 5.0  # times the limit have gone by
_SPARE = 0.02  # of the machine's memory, under which its greatest user must go
_GREAT = 0.2  # of the machine's memory


class Watch:
    """What is known of one job from outside.

    Parameters
    ----------
    process : WorkerProcess
    limits : Limits
    now : float
        When it was given the job, as ``time.monotonic`` says.
    """

    def __init__(self, process: WorkerProcess, limits: Limits, now: float) -> None:
        self.process, self._limits = process, limits
        self._began = self._last = self._active = self._read = self._scanned = now
        self._stage: Stage = "opening"
        self._longest = 0.0
        self._work: tuple[float, float, int] | None = None  # when, processor time, bytes
        self._spent = 0.0
        self._held = 0
        self._of_children = 0

    def event(self, event: Event, at: float) -> None:
        """Take in how far the job is."""
        if event.stage == "encoding":  # the first one ends the trial
            self._longest = max(self._longest, at - self._last, event.expected)
        self._last, self._stage = at, event.stage
        self._work, self._spent = None, 0.0

    def pause(self, seconds: float) -> None:
        """Count a time in which nobody watched as none."""
        self._began += seconds
        self._last += seconds
        self._active += seconds
        self._read += seconds

    def verdict(self, now: float) -> Failure | None:
        """Whether the job has to be stopped, and why."""
        limits = self._limits
        if limits.timeout is not None and now - self._began > limits.timeout:
            return Failure(f"not done after {_seconds(limits.timeout)}, its limit", "timeout")
        return self._silent(now) or self._too_large(now)

    def _silent(self, now: float) -> Failure | None:
        limits = self._limits
        if limits.stall is None or now - self._last < min(_SCAN, limits.stall / 10):
            return None
        self._look(now, min(_SCAN, limits.stall / 10))
        idle = now - max(self._last, self._active)
        if idle > max(limits.stall, limits.factor * self._longest):
            return Failure(f"it hangs: nothing done for {_seconds(idle)} {self._where}", "timeout")
        since = max(self._last, self._read) if self._stage == "opening" else self._last
        silence, limit = now - since, limits.silence(self._stage, self._longest)
        if silence > limit and (self._spent > _SHARE * limit or silence > _PATIENCE * limit):
            return Failure(
                f"it hangs: no progress for {_seconds(silence)} {self._where}", "timeout"
            )
        return None

    @property
    def _where(self) -> str:
        return f"while {self._stage}"

    def _look(self, now: float, often: float) -> None:
        """Find out whether the processes compute, read or write."""
        before = self._work
        if before is not None and now - before[0] < often:
            return
        seconds, moved, runs, waits = 0.0, 0, False, False
        for each in self._tree():
            with contextlib.suppress(psutil.Error):
                times, status = each.cpu_times(), each.status()
                seconds += times.user + times.system
                runs = runs or status == psutil.STATUS_RUNNING
                waits = waits or status == psutil.STATUS_DISK_SLEEP
                if hasattr(each, "io_counters"):
                    counters = each.io_counters()
                    moved += counters.read_chars + counters.write_bytes
        self._work = now, seconds, moved
        if before is None:
            self._active = now  # as far as anybody knows
            return
        # Less than before where a process has ended that was counted.
        spent, span = abs(seconds - before[1]), now - before[0]
        self._spent += spent
        if waits or moved - before[2] > _READS * span:
            self._active = now
            if self._stage == "opening":
                self._read, self._spent = now, 0.0
        elif runs or spent > _BUSY * span:
            self._active = now

    def _too_large(self, now: float) -> Failure | None:
        limit = self._limits.memory
        self._held = self._memory(now)
        if limit is not None and self._held > limit:
            return Failure(
                f"it holds {_bytes(self._held)}, and {_bytes(limit)} is its limit", "memory"
            )
        return None

    def _memory(self, now: float) -> int:
        """Bytes that nobody else has: what is mapped from files counts as nothing."""
        try:
            own = psutil.Process(self.process.pid).memory_info()
        except psutil.Error:
            return self._held
        if self._limits.memory is not None and now - self._scanned > _SCAN:
            self._scanned = now
            self._of_children = 0
            for each in self._tree():
                if each.pid != self.process.pid:
                    with contextlib.suppress(psutil.Error):
                        # Of a fork only what it has changed: the rest is its parent's.
                        self._of_children += each.memory_full_info().uss
        return int(own.rss - getattr(own, "shared", 0)) + self._of_children

    @property
    def held(self) -> int:
        """Bytes of main memory that were held when it was last looked at."""
        return self._held

    def _tree(self) -> Iterator[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self.process.pid)
            yield root
            yield from root.children(recursive=True)

    def death(self) -> Failure:
        """Why the process is gone though nobody stopped it."""
        code = self.process.exit_code
        if code is None:
            return Failure("its code cut the line to the process that runs it", "crash")
        if code >= 0:
            return Failure(f"its code ended the process (exit code {code})", "crash")
        name = _signal_name(-code)
        if -code == signal.SIGKILL:
            held = f" while it held {_bytes(self._held)}" if self._held else ""
            reason = f"its process was killed{held} ({name}), as the system does for want of memory"
            return Failure(reason, "memory" if _is_great(self._held) else "crash")
        return Failure(f"its process crashed ({name})", "crash")


def greatest(watches: list[Watch]) -> tuple[Watch, Failure] | None:
    """The job that has to go because the machine, or this part of it, is out of memory."""
    spare, total = spare_memory()
    if not watches or spare > _SPARE * total:
        return None
    watch = max(watches, key=lambda each: each.held)
    if watch.held < _GREAT * total:  # it is others who have taken it
        return None
    reason = f"it held {_bytes(watch.held)} when the memory of the machine had run out"
    return watch, Failure(reason, "memory")


def spare_memory() -> tuple[int, int]:
    """Bytes of main memory that can be had, and those that there are."""
    machine = psutil.virtual_memory()
    spare, total = int(machine.available), int(machine.total)
    for folder, limit, used in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most = int(Path(folder, limit).read_text())
            taken = int(Path(folder, used).read_text()) - _reclaimable(Path(folder, "memory.stat"))
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
        if most < total:
            spare, total = min(spare, most - taken), most
    return spare, total


def _reclaimable(table: Path) -> int:
    lines = (line.split() for line in table.read_text().splitlines())
    return sum(int(size) for name, size in lines if name in ("inactive_file", "active_file"))


def _is_great(held: int) -> bool:
    return held > _GREAT * spare_memory()[1]


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


def _bytes(value: int) -> str:
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"

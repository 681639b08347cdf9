"""Ends what processes that worked have left behind, when the process that started them is gone.

Run as a program of its own, by its path and with no package in reach, so that it starts within
some hundredths of a second and holds little memory.

Processes that work carry a mark in their environment, which all that they start inherits:
process groups and sessions of their own do not hide a daemon. Where there is no ``/proc`` to
look for marks in, it is their process groups that are ended.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

MARK = "ZOORANK_WORKER"
_ROUNDS = 20


def end_marked(mark: str) -> None:
    """Kill every process that carries a mark or one that goes on with a dot."""
    wanted = f"\0{MARK}={mark}".encode()
    for _ in range(_ROUNDS):  # what is killed may have started another meanwhile
        found = [pid for pid in _processes() if _carries(pid, wanted)]
        if not found:
            return
        end_all(found)
        time.sleep(0.005)


def end_group(pid: int) -> None:
    """Kill a process and all of its group that are still there."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        return


def descendants(roots: set[int]) -> list[int]:
    """Processes that others have started, and what these have, as far as there is a ``/proc``.

    A process that works is made the parent of all of them whose own parent has ended.
    """
    children: dict[int, list[int]] = {}
    for pid in _processes():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):  # it has gone meanwhile
            continue
        children.setdefault(parent, []).append(pid)
    found, waiting = [], list(roots)
    while waiting:
        started = children.pop(waiting.pop(), [])
        found += started
        waiting += started
    return found


def end_all(pids: list[int]) -> None:
    """Kill some processes that were there a moment ago."""
    for pid in pids:
        _kill(pid)


def _processes() -> list[int]:
    if not os.path.isdir("/proc/self"):  # noqa: PTH112 - this program imports little
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def _carries(pid: int, wanted: bytes) -> bool:
    if pid == os.getpid():
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            environment = b"\0" + file.read() + b"\0"
    except OSError:  # gone, or somebody else's
        return False
    return wanted + b"\0" in environment or wanted + b"." in environment


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


def main() -> None:
    """Wait for the end of the parent or of its line, then kill what carries the mark.

    The line says ``+PID`` of a group that was started and ``-PID`` of one that is gone.
    """
    mark, parent = sys.argv[1], int(sys.argv[2])
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    groups: set[int] = set()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    death = None
    try:
        # The line alone would not do: a child that the parent forked holds it open.
        death = os.pidfd_open(parent)
        poll.register(death, select.POLLIN)
    except (AttributeError, OSError):
        pass
    rest = b""
    while os.getppid() == parent:
        ready = [descriptor for descriptor, _ in poll.poll(10_000)]
        if death in ready:
            break
        if 0 in ready:
            said = os.read(0, 4096)
            if not said:
                break
            *lines, rest = (rest + said).split(b"\n")
            for line in lines:
                pid = int(line[1:])
                (groups.add if line.startswith(b"+") else groups.discard)(pid)
    hiding = descendants(groups)
    for pid in groups:
        end_group(pid)
    end_all(hiding)
    end_marked(mark)


if __name__ == "__main__":
    main()

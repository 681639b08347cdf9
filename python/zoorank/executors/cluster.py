"""A Ray cluster: how to reach it or start one here, and what its machines have."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

import zoorank
from zoorank.errors import UsageError, ZoorankError
from zoorank.executors.base import Failure, FailureKind
from zoorank.messages import one_line

_REACH = 10.0  # seconds in which a cluster has to answer
_LATE, _PATIENCE = 2.0, 30.0  # seconds in which one that has answered does so again, or is lost
# What Ray's errors mean, where that is known.
_WHY = {
    "OutOfMemoryError": "its machine had no memory left, and Ray ended its process",
    "NodeDiedError": "its machine went away",
    "WorkerCrashedError": "Ray's process on its machine ended",
}
# The first words of HTTP/2, which Ray speaks, with no settings; and the kind of the first answer.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS, _FRAME = b"\x04", 9
_PARTS = 10_000  # of a GPU, of which a job takes whole ones


@dataclass(frozen=True)
class Machine:
    """What a machine of the cluster has, whether it is in use or not."""

    processors: float
    gpus: float


def machines(ray: Any) -> list[Machine]:
    """Those that are there now."""
    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Machine(each.get("CPU", 0.0), each.get("GPU", 0.0)) for each in there]


class HeadNode:
    """Tells whether the head of the cluster still answers.

    Where it does not for a minute, Ray ends the process of the caller with words of its own.
    A head that cannot be reached from here to begin with is not looked for again.
    """

    def __init__(self, ray: Any) -> None:
        self._address = str(ray.get_runtime_context().gcs_address)
        self._watched, self._answered = self._answers(), time.monotonic()

    def answers(self) -> bool:
        """Whether it does, or need not.

        Raises
        ------
        ZoorankError
            When it has not for half a minute, in which another one could have taken its place.
        """
        now = time.monotonic()
        if not self._watched or self._answers():
            self._answered = now
            return True
        if now - self._answered > _PATIENCE:
            raise ZoorankError(
                f"the head of the Ray cluster, {self._address}, answers no more; when "
                "`ray status` shows it again, the same command goes on from what was done"
            )
        return False

    def _answers(self) -> bool:
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_LATE).close()
        except (OSError, ValueError):
            return False
        return True


def shares_of(gpus: float, share: float) -> int:
    """How many jobs the GPUs of one machine take, of which each takes so many or a part of one.

    Ray counts in parts of ten thousand, and a job that takes a part has it of one GPU alone.

    Examples
    --------
    >>> shares_of(1.0, 0.2), shares_of(4.0, 0.6), shares_of(5.0, 2.0)
    (5, 4, 2)
    """
    if share >= 1:
        return int(gpus // share)
    return int(gpus) * (_PARTS // round(share * _PARTS))


def no_place(ray: Any, processors: int, gpus: float) -> str:
    """That none of the machines can take a job, what they have, and what to do."""
    there = machines(ray)
    wanted = _counted(processors, "processor") + (f" and {_counted(gpus, 'GPU')}" if gpus else "")
    most = _counted(max((each.processors for each in there), default=0), "processor")
    if gpus:
        most += f" or {_counted(max((each.gpus for each in there), default=0), 'GPU')}"
    fewer = "ask for fewer with --gpus (0 for none), or " if gpus else ""
    return (
        f"no machine of the Ray cluster has the {wanted} that a job takes: of {len(there)} there "
        f"now, none has more than {most}; {fewer}have a larger one join with "
        "`ray start --address HOST:6379`"
    )


def not_begun(error: Any) -> str:
    """That a machine cannot do any job, which all others would meet too, and what to do."""
    found = re.search(r"\bip=([\w.:]+)", str(error))  # where the error itself does not say it
    machine = f"the machine {found[1]}" if found else "a machine"
    return (
        f"on {machine} of the Ray cluster no job can be begun: "
        f"{one_line(error.cause)}; each machine needs zoorank {zoorank.__version__} with the same "
        "extras, and the files of sources and target under the same paths"
    )


def lost(error: BaseException, tries: int) -> Failure:
    """What becomes of a job whose machine, or Ray's process there, was lost in every try."""
    name = type(error).__name__
    why = _WHY.get(name, f"Ray says {name}")
    reason = (
        f"it was lost in each of {_counted(tries, 'try', 'tries')} (at last {why}; Ray's logs on "
        "the machines, /tmp/ray/session_latest/logs, say more)"
    )
    kind: FailureKind = "memory" if name == "OutOfMemoryError" else "crash"
    return Failure(reason, kind, str(error))


def _counted(number: float, one: str, more: str = "") -> str:
    return f"{number:g} {one if number == 1 else more or f'{one}s'}"


def imported() -> Any:
    """Ray; a UsageError where it is not installed or broken."""
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise UsageError(_not_imported(error)) from None
    return ray


def connected(address: str | None) -> tuple[Any, bool]:
    """Ray, connected, and whether that was done here.

    Raises
    ------
    UsageError
        When Ray is not installed, or no cluster answers at the address.
    """
    ray = imported()
    if ray.is_initialized():
        return ray, False
    try:
        _check_reachable(address)
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ImportError, OSError, RuntimeError, ValueError, SystemExit) as error:
        raise UsageError(_not_reached(address, error)) from None
    # What becomes of its machines Ray prints on the standard output, which is for results,
    # and nothing that it documents keeps it from that.
    internals = sys.modules["ray._private.worker"]
    if hasattr(internals, "print_to_stdstream"):
        internals.print_to_stdstream = _nothing  # type: ignore[attr-defined]
    return ray, True


def _not_imported(error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "ray":
        return "--ray needs Ray, which is not installed: pip install 'zoorank[ray]'"
    return f"Ray is installed and cannot be imported: {one_line(error)}; install it anew"


def _not_reached(address: str | None, error: BaseException) -> str:
    """What went wrong with a cluster, and what to do about it."""
    said = one_line(error)
    if isinstance(error, SystemExit):
        said = f"Ray gave up and ended with code {said}"
    if address is None:
        return f"Ray cannot be started on this machine: {said}; `ray start --head` may tell more"
    if address == "auto":
        return (
            f"this machine is part of no Ray cluster ({said}): have it join one with "
            "`ray start --address HOST:6379`, or name one with --ray HOST:6379"
        )
    return (
        f"there is no Ray cluster at {address!r}: {said}; on its head, `ray status` tells whether "
        "it runs, and `ray start --head --port 6379` starts one"
    )


def _check_reachable(address: str | None) -> None:
    """Find out whether a cluster listens there, for which Ray takes minutes and then exits."""
    host, colon, port = (address or "").rpartition(":")
    if not (colon and port.isdigit()) or "/" in host:
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH) as line:
        if os.environ.get("RAY_USE_TLS", "0") != "0":  # whose greeting is another one
            return
        line.sendall(_GREETING)
        try:
            answer = line.recv(_FRAME, socket.MSG_WAITALL)
        except TimeoutError:
            raise OSError(f"something listens there and says nothing for {_REACH:g} s") from None
    if answer[3:4] != _SETTINGS:
        raise OSError("what listens there is no Ray")


def _nothing(*_: object, **__: object) -> None:
    pass

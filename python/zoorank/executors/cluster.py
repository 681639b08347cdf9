"""A Ray cluster: how to reach it or start one here, and what its machines have."""

from __future__ import annotations

import logging
import socket
import sys
from dataclasses import dataclass
from typing import Any

from zoorank.errors import UsageError
from zoorank.messages import one_line

_REACH = 10.0  # seconds in which a cluster has to answer
PARTS_OF_A_GPU = 10_000  # Ray's own, of which a job takes whole ones


@dataclass(frozen=True)
class Machine:
    """What a machine of the cluster has, whether it is in use or not."""

    processors: float
    gpus: float


def machines(ray: Any) -> list[Machine]:
    """Those that are there now."""
    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Machine(each.get("CPU", 0.0), each.get("GPU", 0.0)) for each in there]


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
    return int(gpus) * (PARTS_OF_A_GPU // round(share * PARTS_OF_A_GPU))


def connected(address: str | None) -> tuple[Any, bool]:
    """Ray, connected, and whether that was done here."""
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise UsageError("Ray is not installed: pip install 'zoorank[ray]'") from None
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
    except (OSError, RuntimeError, ValueError, SystemExit) as error:
        place = "on this machine" if address is None else f"at {address!r}"
        raise UsageError(f"there is no Ray cluster {place}: {one_line(error)}") from None
    # What becomes of its machines Ray prints on the standard output, which is for results,
    # and nothing that it documents keeps it from that.
    internals = sys.modules["ray._private.worker"]
    if hasattr(internals, "print_to_stdstream"):
        internals.print_to_stdstream = _nothing  # type: ignore[attr-defined]
    return ray, True


def _check_reachable(address: str | None) -> None:
    """Find out whether anybody listens there, for which Ray takes minutes and then exits."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()


def _nothing(*_: object, **__: object) -> None:
    pass

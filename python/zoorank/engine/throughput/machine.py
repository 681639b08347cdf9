"""Facts about the machine that a measured figure belongs to."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoorank.engine.info import build_info


@dataclass(frozen=True)
class Machine:
    """What decides how fast the engine is.

    Attributes
    ----------
    cpu : str
        The processor's own name for itself.
    instruction_set : str
        In use by the engine.
    processors : int
        That this process may run on.
    system, python, numpy, blas, zoorank, compiler : str
        Names with versions; ``blas`` is what NumPy multiplies matrices with.
    device : str
        The CUDA device that computed; empty for none.
    """

    cpu: str
    instruction_set: str
    processors: int
    system: str
    python: str
    numpy: str
    blas: str
    zoorank: str
    compiler: str
    device: str = ""

    @property
    def slug(self) -> str:
        """The device, or processor and instruction set, as the name of a directory."""
        if self.device:
            return slugify(self.device)
        return slugify(f"{self.cpu} {self.instruction_set}")


def this_machine(device: str = "") -> Machine:
    """Describe this machine.

    Parameters
    ----------
    device : str
        The CUDA device that computes, if one does.

    Returns
    -------
    Machine

    Examples
    --------
    >>> from zoorank.engine.throughput import this_machine
    >>> this_machine().slug == this_machine().slug.lower()
    True
    """
    build = build_info()
    return Machine(
        cpu=_cpu_name(),
        instruction_set=build["instruction_set"],
        processors=_available_processors(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        numpy=np.__version__,
        blas=_blas_name(),
        zoorank=build["version"],
        compiler=build["compiler"],
        device=device,
    )


def slugify(name: str) -> str:
    """Lower-case words joined by hyphens, trade marks left out.

    Examples
    --------
    >>> slugify("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz avx512")
    'intel-xeon-platinum-8481c-2-70ghz-avx512'
    """
    plain = re.sub(r"\((?:r|tm|c)\)|\b(?:cpu|processor)\b", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _cpu_name() -> str:
    if platform.system() == "Darwin":
        ask = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        answer = subprocess.run(ask, capture_output=True, text=True, check=False)  # noqa: S603  a fixed program
        if answer.stdout.strip():
            return answer.stdout.strip()
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        facts = ""
    found = re.search(r"^model name\s*:\s*(.+)$", facts, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _available_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _blas_name() -> str:
    """What NumPy has loaded, asked of the library itself where that is possible."""
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return "unknown"
    for library in threadpool_info():
        if library["user_api"] == "blas":
            parts = (library["internal_api"], library["version"], library.get("architecture"))
            return " ".join(str(part) for part in parts if part)
    return "unknown"

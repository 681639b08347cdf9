"""Facts about the machine that a measured figure belongs to, and files named by it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoorank import build_info

Row = Mapping[str, Any]

MACHINE_COLUMNS = ("device", "cpu", "instruction_set", "processors", "blas", "zoorank")
DIGITS = 5


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


def measurements_csv(rows: Sequence[Row], machine: Machine) -> str:
    """Rows with a head line; the machine's columns come last in each.

    Parameters
    ----------
    rows : sequence of mappings
        Column names to values, the same names in each.
    machine : Machine
        What they were measured on.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a row has other columns than the first.
    """
    if not rows:
        return ""
    facts = {name: value for name, value in asdict(machine).items() if name in MACHINE_COLUMNS}
    if not machine.device:
        del facts["device"]
    for row in rows:
        if row.keys() != rows[0].keys():
            raise ValueError(f"columns differ: {', '.join(row)} and {', '.join(rows[0])}")
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0], *facts], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: shown(value) for name, value in {**row, **facts}.items()} for row in rows
    )
    return text.getvalue()


def measurements_json(machine: Machine, **tables: Sequence[Row] | Row) -> str:
    """The machine and named tables of rows as one JSON object; NaN, which JSON lacks, is null."""
    found = _without_nan({"machine": asdict(machine), **tables})
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def write_measurements(rows: Sequence[Row], machine: Machine, directory: Path, name: str) -> Path:
    """Write ``directory/<machine>/name.csv``, and say where that is."""
    path = directory / machine.slug / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(measurements_csv(rows, machine), encoding="utf-8")
    return path


def shown(value: object) -> str:
    """A value for a cell: numbers to the digits that a measurement has, nothing for None.

    Examples
    --------
    >>> [shown(value) for value in (0.000123456789, 12.0, 20000, None, "avx2")]
    ['0.00012346', '12', '20000', '', 'avx2']
    """
    if value is None:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def _cpu_name() -> str:
    if platform.system() == "Darwin":
        ask = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        answer = subprocess.run(ask, capture_output=True, text=True, check=False)
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


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _without_nan(member) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nan(member) for member in value]
    return value

"""Rows that an earlier call has encoded, from which another one goes on, as in a race."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zoorank.encoding.records import Record
from zoorank.sources.base import Cut
from zoorank.store.encodings import CutFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoorank.encoding.encode import Plan

_BLOCK = 4096


@dataclass(frozen=True)
class Held:
    """Rows of one cut that an earlier call has encoded, ascending."""

    rows: NDArray[np.int64]
    record: Record
    numbers: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encodings of some of the rows."""
        return self.numbers[np.searchsorted(self.rows, rows)]

    def seconds(self, rows: int) -> float:
        """What encoding so many of the rows cost."""
        return self.record.seconds * rows / len(self.rows)


def held_of(plan: Plan, cuts: Sequence[Cut], rows: NDArray[np.int64]) -> dict[str, Held]:
    """Encodings of these rows to start from, by cut; empty unless there is one of every cut."""
    found = {}
    for cut in cuts:
        key = plan.key(cut.name, rows)
        record = Record.of(plan.store.metadata(key))
        if record is None:
            return {}
        found[cut.name] = Held(rows, record, plan.store.load(key))
    return found


def part_of(plan: Plan, cut: str) -> Record | None:
    """Copy the rows of a plan from the encoding of all, where the store has that."""
    every = np.arange(plan.target.n_rows)
    key = plan.key(cut, every)
    record = Record.of(plan.store.metadata(key))
    if record is None:
        return None
    whole = Held(every, record, plan.store.load(key))
    part = replace(record, seconds=whole.seconds(len(plan.rows)), samples=len(plan.samples))
    with plan.store.writer(plan.key(cut), len(plan.rows), record.dim) as writer:
        writer.append(whole.take(plan.rows))
        return replace(part, content=writer.commit(asdict(part))["sha256"])


def copy_held(held: Mapping[str, Held], wanted: NDArray[np.int64], files: CutFiles) -> None:
    """Write what is held of the wanted rows to their places."""
    rows = np.intersect1d(next(iter(held.values())).rows, wanted)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        places = np.searchsorted(wanted, block)
        files.write(places, {name: each.take(block) for name, each in held.items()})

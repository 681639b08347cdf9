"""What is to be encoded, what of it the store has, and what is written there."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from zoorank.encoding.feed import Encoded, same_numbers, to_host
from zoorank.encoding.records import EncodedSource, Encoding, Held, Record
from zoorank.sources.base import Array, Cut, Json, ModelFacts, Precision, Source
from zoorank.store.encodings import EncodingStore, EncodingWriter, key_of
from zoorank.targets.base import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

FORMAT = 2  # raise it when the same inputs give other encodings than before
_BLOCK = 4096


@dataclass(frozen=True)
class Plan:
    """One source, one target, some of its rows and one store."""

    source: Source
    target: Target
    rows: NDArray[np.int64]
    store: EncodingStore
    identity: Mapping[str, Json]

    @classmethod
    def of(
        cls,
        source: Source,
        target: Target,
        store: EncodingStore,
        rows: NDArray[np.int64] | None = None,
        precision: Precision = "float32",
    ) -> Plan:
        """Look at the weights and the code; `rows` None stands for all."""
        identity: dict[str, Json] = {
            "format": FORMAT,
            **source.identity(),
            "data": target.fingerprint,
        }
        if precision != "float32":
            identity["precision"] = precision
        wanted = np.arange(target.n_rows) if rows is None else np.asarray(rows, dtype=np.int64)
        return cls(source, target, wanted, store, identity)

    @property
    def weights_sha256(self) -> str | None:
        """Digest of the weights, where they lie in files."""
        weights = self.identity.get("weights")
        return weights if isinstance(weights, str) else None

    @cached_property
    def is_whole(self) -> bool:
        """Whether every row of the target is wanted."""
        return len(self.rows) == self.target.n_rows

    def key(self, cut: str, rows: NDArray[np.int64] | None = None) -> str:
        """Name of the encoding; that of all rows has none of them in it."""
        rows = self.rows if rows is None else rows
        parts = {**self.identity, "cut": cut}
        if len(rows) < self.target.n_rows:
            parts["rows"] = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
        return key_of(parts)

    def known(self, cuts: Iterable[str]) -> dict[str, Record]:
        """What the store has of these rows, or of all and so of these."""
        records = {cut: self._record(self.key(cut)) or self._part(cut) for cut in cuts}
        return {cut: record for cut, record in records.items() if record is not None}

    def held(self, cuts: Sequence[str], rows: NDArray[np.int64] | None) -> dict[str, Held]:
        """Encodings of fewer rows to start from; empty unless there is one of every cut."""
        if rows is None:
            return {}
        found = {}
        for cut in cuts:
            key = self.key(cut, rows)
            record = self._record(key)
            if record is None:
                return {}
            found[cut] = Held(rows, record, self.store.load(key))
        return found

    def record(self, facts: ModelFacts, cut: Cut, dim: int) -> Record:
        """What there is to record before the pass."""
        size = facts.bytes / facts.parameters if facts.parameters else 0
        return Record(
            model=self.source.name,
            cut=cut.name,
            target=self.target.name,
            dim=dim,
            order=cut.order,
            parameters=facts.parameters,
            parameters_kept=cut.parameters_kept,
            bytes_kept=round(size * cut.parameters_kept),
            flops=None if facts.flops is None else round(facts.flops * cut.flops_share),
            flops_share=cut.flops_share,
            seconds=0.0,
            samples=0,
            framework=facts.framework,
            device="",
            precision="",
            batch_size=0,
            versions={name: _version(name) for name in ("zoorank", "numpy")},
            notes=(),
            identity=self.identity,
        )

    def committed(self, writer: EncodingWriter, record: Record) -> Record:
        """Finish the file of an encoding, and give its record as it is kept."""
        kept = Record.of(writer.commit(record.plain()))
        return record if kept is None else kept

    def result(
        self,
        records: Mapping[str, Record],
        fresh: Container[str] = (),
        *,
        arrays: Mapping[str, Array] | None = None,
        refused: Mapping[str, str] | None = None,
        unsaved: Container[str] = (),
    ) -> EncodedSource:
        """Put together what there is now of the source."""
        arrays = arrays or {}
        ordered = sorted(records.values(), key=lambda record: record.order)
        encodings = tuple(
            Encoding(
                record=record,
                store=self.store,
                key=self.key(record.cut),
                reused=record.cut not in fresh,
                array=self._kept(arrays.get(record.cut), record.cut),
                is_only_copy=record.cut in unsaved,
            )
            for record in ordered
        )
        notes = dict.fromkeys(note for record in ordered for note in record.notes)
        return EncodedSource(
            model=self.source.name,
            encodings=encodings,
            refused=refused or {},
            weights_sha256=self.weights_sha256,
            note="; ".join(notes),
        )

    def _kept(self, array: Array | None, cut: str) -> Array | None:
        """What is to be used, mapped at once where it may have to make room for others."""
        if array is None and self.store.quota is not None:
            return self.store.load(self.key(cut))
        return array

    def _record(self, key: str) -> Record | None:
        return Record.of(self.store.metadata(key))

    def _part(self, cut: str) -> Record | None:
        """Copy these rows from the encoding of all, where the store has that."""
        if self.is_whole:
            return None
        every = np.arange(self.target.n_rows)
        key = self.key(cut, every)
        record = self._record(key)
        if record is None:
            return None
        whole = Held(every, record, self.store.load(key))
        part = replace(record, seconds=whole.seconds(len(self.rows)))
        with self.store.writer(self.key(cut), len(self.rows), record.dim) as writer:
            writer.append(whole.take(self.rows))
            return self.committed(writer, part)


class CutFiles:
    """One file of the store a cut; what is not committed in the end is not kept."""

    def __init__(self, plan: Plan, dims: Mapping[str, int], held: Mapping[str, Held]) -> None:
        self._plan, self._dims, self._held = plan, dims, held
        self._open = ExitStack()
        self._writers: dict[str, EncodingWriter] = {}

    def __enter__(self) -> Self:
        plan = self._plan
        with ExitStack() as opened:
            for name, dim in self._dims.items():
                writer = plan.store.writer(plan.key(name), len(plan.rows), dim)
                self._writers[name] = opened.enter_context(writer)
                if name in self._held:
                    self._copy(self._held[name], writer)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, places: NDArray[np.int64], encoded: Encoded) -> None:
        """Put rows of every cut in their places."""
        for name, writer in self._writers.items():
            writer.write(places, to_host(encoded[name]))

    def commit(self, records: Mapping[str, Record]) -> dict[str, Record]:
        """Finish the files and give the records as they are kept."""
        writers = self._writers
        return {name: self._plan.committed(writers[name], each) for name, each in records.items()}

    def _copy(self, held: Held, writer: EncodingWriter) -> None:
        rows = np.intersect1d(held.rows, self._plan.rows)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            writer.write(np.searchsorted(self._plan.rows, block), held.take(block))


def with_contents(
    plan: Plan, records: Mapping[str, Record], arrays: Mapping[str, Array]
) -> dict[str, Record]:
    """Name what equal encodings have in common, as the digests of files do.

    In host memory it is the digest that a file of them would have. On a device nothing is
    copied to be hashed: encodings are compared there with each other, and named by the key of
    the first that is equal, which a file never is.
    """
    found: dict[str, str] = {}
    for name, array in arrays.items():
        if isinstance(array, np.ndarray) or getattr(array, "is_cpu", False):
            numbers = np.ascontiguousarray(to_host(array), dtype="<f4")
            found[name] = hashlib.sha256(numbers.data).hexdigest()
        else:
            first = next((o for o in found if same_numbers(arrays[o], array)), name)
            found[name] = plan.key(first)
    return {name: replace(record, content=found[name]) for name, record in records.items()}


@cache
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"

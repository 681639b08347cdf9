"""What is to be encoded, what of it the store has, and the records of both."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoorank.encoding.passes import to_host
from zoorank.sources.base import Array, Cut, Json, ModelFacts, Precision, Source
from zoorank.store.encodings import EncodingStore, key_of
from zoorank.store.files import EncodingWriter
from zoorank.targets.base import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

FORMAT = 2  # raise it when the same inputs give other encodings than before


@dataclass(frozen=True)
class Record:
    """What is known of an encoding beside its numbers.

    Attributes
    ----------
    model, cut, target : str
    dim : int
        Numbers a row.
    order : int
        Cuts of one source run in ascending order.
    parameters : int
        Of the whole source.
    parameters_kept : int
        Of what runs up to the cut.
    bytes_kept : int
        Of these in memory.
    flops : int or None
        Operations of what runs up to the cut, for one sample.
    flops_share : float
        The same over those of the whole source, 0 to 1.
    seconds : float
        What encoding at this cut alone would have cost: the time of the pass that all cuts of
        the source shared, times this cut's operations over those of the deepest.
    samples : int
        That went through the source.
    framework, device, precision : str
    batch_size : int
        Samples of a batch, in which ``seconds`` and ``memory`` were measured.
    versions : mapping of str to str
    notes : tuple of str
        What was found out about the source while it was encoded.
    identity : mapping
        What the encoding depends on.
    content : str
        Equal for encodings of equal numbers; empty where that is not known.
    memory : int or None
        Most bytes that opening the source and the pass of all its cuts took, on the device and
        in main memory together; None where nobody tells.
    """

    model: str
    cut: str
    target: str
    dim: int
    order: int
    parameters: int
    parameters_kept: int
    bytes_kept: int
    flops: int | None
    flops_share: float
    seconds: float
    samples: int
    framework: str
    device: str
    precision: str
    batch_size: int
    versions: Mapping[str, str]
    notes: tuple[str, ...]
    identity: Mapping[str, Json]
    content: str = ""
    memory: int | None = None

    @classmethod
    def of(cls, plain: object) -> Self | None:
        """Read what :meth:`plain` gave; anything else is no record."""
        if not isinstance(plain, Mapping):
            return None
        known = {each.name: plain[each.name] for each in fields(cls) if each.name in plain}
        try:
            record = cls(**{**known, "notes": tuple(known.get("notes", ()))})
        except TypeError:
            return None
        whole = (record.dim, record.order, record.parameters_kept, record.samples)
        is_right = all(type(value) is int for value in whole)
        is_right &= type(record.seconds) in (int, float) and type(record.cut) is str
        digest = plain.get("sha256") or record.content
        return replace(record, content=digest) if is_right and type(digest) is str else None

    @property
    def milliseconds(self) -> float | None:
        """For one sample up to the cut; None where none went through."""
        return 1000 * self.seconds / self.samples if self.samples else None

    def plain(self) -> Mapping[str, Json]:
        """The record as JSON holds it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True)
class Encoding:
    """A target as one cut of one source sees it.

    Attributes
    ----------
    record : Record
    store : EncodingStore
    key : str
        Its name in the store.
    reused : bool
        It was in the store already.
    array : array or None
        The encodings where they were computed, if they stayed there.
    is_only_copy : bool
        Whether the encodings are in memory and not in the store.
    """

    record: Record
    store: EncodingStore = field(repr=False, compare=False)
    key: str
    reused: bool
    array: Array | None = field(default=None, repr=False, compare=False)
    is_only_copy: bool = field(default=False, compare=False)

    @property
    def path(self) -> Path:
        """A ``.npy`` file, float32 of shape ``(n_rows, dim)``; of a subset, its rows alone."""
        return self.store.path(self.key)

    @cached_property
    def values(self) -> Array:
        """The encodings where they are: on a device, or the map of a file."""
        return self.load() if self.array is None else self.array

    def load(self) -> NDArray[np.float32]:
        """Map the encodings from their file, read-only, or copy them to the host."""
        if self.is_only_copy and self.array is not None:
            return to_host(self.array)
        return self.store.load(self.key)


@dataclass(frozen=True)
class Filtered:
    """A cut, or a whole source, that costs more than is allowed or has another licence.

    Attributes
    ----------
    reason : str
    record : Record or None
        Of the cut; None for a source that was not even opened.
    """

    reason: str
    record: Record | None = None


@dataclass(frozen=True)
class EncodedSource:
    """What became of one source.

    Attributes
    ----------
    model : str
    encodings : tuple of Encoding
        In the order in which the cuts run.
    refused : mapping of str to str
        Cuts that could not be made, and why.
    weights_sha256 : str or None
        None where there is no file of weights.
    note : str
        What a reader of the table should know; often empty.
    filtered : tuple of Filtered
        Cuts that were not run, for what they cost.
    """

    model: str
    encodings: tuple[Encoding, ...]
    refused: Mapping[str, str]
    weights_sha256: str | None
    note: str
    filtered: tuple[Filtered, ...] = ()

    @property
    def parameters(self) -> int:
        """Of the whole source."""
        return self.encodings[0].record.parameters if self.encodings else 0


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
                array=arrays.get(record.cut),
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


@cache
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"

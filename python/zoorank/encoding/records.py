"""What is known of an encoding beside its numbers, and what became of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoorank.encoding.costs import Stages
from zoorank.encoding.passes import as_ndarray
from zoorank.sources.base import Array, Json
from zoorank.store.encodings import EncodingStore

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self


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
        That its rows are of, or the words of its rows.
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
        """Read a record from JSON; anything else is none."""
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
        The encodings where they were computed, if they stayed there; or the map of their file,
        which may have gone since.
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
        if isinstance(self.array, np.memmap) or (self.is_only_copy and self.array is not None):
            return as_ndarray(self.array)
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
    note : str
        What a reader of the table should know; often empty.
    filtered : tuple of Filtered
        Cuts that were not run, for what they cost.
    stages : Stages
        What the time went into.
    """

    model: str
    encodings: tuple[Encoding, ...]
    refused: Mapping[str, str]
    note: str
    filtered: tuple[Filtered, ...] = ()
    stages: Stages = field(default_factory=Stages)

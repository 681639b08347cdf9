"""What is to be encoded and what of it the store has, each under its key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from zoorank.sources.specs import ModelSpec
from zoorank.sources.torch.cuts import Cut
from zoorank.sources.torch.factory import code_fingerprint
from zoorank.sources.torch.load import pin_weights
from zoorank.sources.weights import PinnedFile
from zoorank.store.encodings import EncodingStore, key_of
from zoorank.targets.base import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = 2  # raise it when the same inputs give other encodings than before

Record = dict[str, Any]


@dataclass(frozen=True)
class Encoding:
    """A target as one cut of one source sees it.

    Attributes
    ----------
    cut : str
    dim : int
        Numbers a sample.
    path : Path
        A ``.npy`` file, float32 of shape ``(n_samples, dim)``; of a subset, its rows alone.
    parameters_kept : int
        Parameters of the source up to the cut.
    flops_share : float
        Operations up to the cut over those of the whole source, 0 to 1.
    seconds : float
        What encoding at this cut alone would have cost: the time of the pass that all
        cuts of the source shared, times this cut's operations over those of the deepest.
    reused : bool
        All of it, or its results, was in the store already.
    tensor : Tensor or None
        The encodings in the memory of the device that computed them, if they stayed there.
    results : mapping
        What an earlier run kept by :meth:`keep_results` of an encoding that it did not
        keep; then there is nothing to load.
    content : str
        The same for encodings of the same numbers, bit for bit; empty where a record of an
        earlier version does not tell.
    """

    cut: str
    dim: int
    path: Path
    parameters_kept: int
    flops_share: float
    seconds: float
    reused: bool
    tensor: Tensor | None = field(default=None, repr=False, compare=False)
    results: Mapping[str, Any] = field(default_factory=dict)
    keeper: Callable[[Mapping[str, Any]], None] | None = field(
        default=None, repr=False, compare=False
    )
    content: str = ""

    @property
    def values(self) -> Any:
        """The encodings where they are: a tensor, or the map of a file."""
        return self.load() if self.tensor is None else self.tensor

    @property
    def is_only_copy(self) -> bool:
        """Whether the encodings are in memory and not in the store."""
        return self.keeper is not None

    def keep_results(self, results: Mapping[str, Any]) -> None:
        """Keep in the store what was found out about an encoding that is not in it."""
        if self.keeper is not None and results:
            self.keeper(results)

    def load(self) -> NDArray[np.float32]:
        """Map the encodings from their file, read-only, or copy them to the host."""
        if self.is_only_copy and self.tensor is not None:
            return self.tensor.cpu().numpy()
        loaded: NDArray[np.float32] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return loaded


@dataclass(frozen=True)
class EncodedSource:
    """What became of one source.

    Attributes
    ----------
    model : str
    encodings : tuple of Encoding
        In the order in which the cuts run.
    weights_sha256 : str or None
        None for random weights.
    parameters : int
        Of the whole network.
    note : str
        What a reader of the table should know; often empty.
    """

    model: str
    encodings: tuple[Encoding, ...]
    weights_sha256: str | None
    parameters: int
    note: str


@dataclass(frozen=True)
class Held:
    """Rows of one cut that an earlier call has encoded, ascending."""

    rows: NDArray[np.int64]
    record: Record
    path: Path

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encodings of some of the rows."""
        whole = np.load(self.path, mmap_mode="r", allow_pickle=False)
        taken: NDArray[np.float32] = whole[np.searchsorted(self.rows, rows)]
        return taken

    def seconds(self, rows: int) -> float:
        """What encoding so many of the rows cost."""
        return float(self.record["seconds"]) * rows / len(self.rows)


@dataclass(frozen=True)
class Scored:
    """An encoding that was not kept: what is known of it, and its results."""

    record: Record
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """One source, one target, some of its rows and one store."""

    spec: ModelSpec
    target: Target
    rows: NDArray[np.int64]
    store: EncodingStore
    weights_file: PinnedFile | None
    weights_sha256: str | None
    identity: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        spec: ModelSpec,
        target: Target,
        store: EncodingStore,
        rows: NDArray[np.int64] | None = None,
    ) -> Plan:
        """Look at the weights and the code; `rows` None stands for all."""
        file = pin_weights(spec)
        digest = None if file is None else file.sha256
        identity = {
            "format": _FORMAT,
            "factory": spec.factory,
            "arguments": {**spec.arguments, "from weights": spec.arguments_from_weights},
            "code": code_fingerprint(spec),
            "torch": torch.__version__,
            "weights": digest or spec.weights.model_dump(mode="json"),
            "state_dict": spec.state_dict.model_dump(mode="json"),
            "preprocessing": spec.preprocessing.model_dump(mode="json"),
            "data": target.fingerprint,
        }
        wanted = np.arange(target.n_samples) if rows is None else np.asarray(rows, dtype=np.int64)
        return cls(spec, target, wanted, store, file, digest, identity)

    @property
    def is_whole(self) -> bool:
        """Whether every row of the target is wanted."""
        return len(self.rows) == self.target.n_samples

    def key(self, cut: str, rows: NDArray[np.int64] | None = None) -> str:
        """Name of the encoding; that of all rows has none of them in it."""
        rows = self.rows if rows is None else rows
        parts = {**self.identity, "cut": cut}
        if len(rows) < self.target.n_samples:
            parts["rows"] = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
        return key_of(parts)

    def known(self, cuts: Iterable[str]) -> dict[str, Record]:
        """What the store has of these rows, or of all and so of these."""
        records = {cut: self.store.metadata(self.key(cut)) or self._part(cut) for cut in cuts}
        return {cut: record for cut, record in records.items() if record is not None}

    def scored(self, cuts: Iterable[str], names: Collection[str]) -> dict[str, Scored]:
        """What earlier runs found out of encodings that they did not keep, if it is enough."""
        found = {cut: self.store.results(self.key(cut)) for cut in cuts}
        return {
            cut: Scored(kept["record"], kept["results"])
            for cut, kept in found.items()
            if kept is not None and names and set(names) <= set(kept["results"])
        }

    def held(self, cuts: Sequence[str], rows: NDArray[np.int64] | None) -> dict[str, Held]:
        """Encodings of fewer rows to start from; empty unless there is one of every cut."""
        if rows is None:
            return {}
        found = {}
        for cut in cuts:
            key = self.key(cut, rows)
            record = self.store.metadata(key)
            if record is None:
                return {}
            found[cut] = Held(rows, record, self.store.path(key))
        return found

    def facts(self, model: nn.Module, cut: Cut) -> Record:
        """What to record of an encoding, beside how it was made."""
        return {
            "identity": self.identity,
            "model": self.spec.name,
            "cut": cut.name,
            "target": self.target.name,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "parameters_kept": cut.parameters_kept,
            "flops_share": cut.flops_share,
            "tick": cut.tick,
            "versions": {
                "zoorank": _version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
        }

    def result(
        self,
        records: Mapping[str, Record],
        fresh: Container[str] = (),
        note: str = "",
        *,
        tensors: Mapping[str, Tensor] | None = None,
        scored: Mapping[str, Scored] | None = None,
        unsaved: Container[str] = (),
    ) -> EncodedSource:
        """Put together what the store now has, and what it has not."""
        tensors, scored = tensors or {}, scored or {}
        records = {**{cut: each.record for cut, each in scored.items()}, **records}
        ordered = sorted(records.items(), key=lambda item: item[1]["tick"])
        encodings = (
            Encoding(
                cut=cut,
                dim=record["dim"],
                path=self.store.path(self.key(cut)),
                parameters_kept=record["parameters_kept"],
                flops_share=record["flops_share"],
                seconds=record["seconds"],
                reused=cut not in fresh,
                tensor=tensors.get(cut),
                results={} if cut not in scored else scored[cut].results,
                keeper=self._keeper(cut, record) if cut in unsaved else None,
                content=record.get("sha256") or record.get("content", ""),
            )
            for cut, record in ordered
        )
        return EncodedSource(
            model=self.spec.name,
            encodings=tuple(encodings),
            weights_sha256=self.weights_sha256,
            parameters=ordered[0][1]["parameters"],
            note=note,
        )

    def _keeper(self, cut: str, record: Record) -> Callable[[Mapping[str, Any]], None]:
        key = self.key(cut)
        return lambda results: self.store.save_results(
            key, {"record": record, "results": dict(results)}
        )

    def _part(self, cut: str) -> Record | None:
        """Copy these rows from the encoding of all, where the store has that."""
        every = np.arange(self.target.n_samples)
        key = self.key(cut, every)
        record = None if self.is_whole else self.store.metadata(key)
        if record is None:
            return None
        whole = Held(every, record, self.store.path(key))
        with self.store.writer(self.key(cut), len(self.rows), record["dim"]) as writer:
            writer.write(whole.take(self.rows))
            return writer.commit({**record, "seconds": whole.seconds(len(self.rows))})


def _version() -> str:
    try:
        return metadata.version("zoorank")
    except metadata.PackageNotFoundError:
        return "unknown"

"""Encode a target with one source at several cuts, in one pass, into the store."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from zoorank.errors import SourceError, UsageError
from zoorank.hints import hint
from zoorank.zoo.batches import Batches, Progress
from zoorank.zoo.calibrate import calibrate
from zoorank.zoo.cuts import ALL, Cut, resolve_cuts
from zoorank.zoo.factory import code_fingerprint
from zoorank.zoo.load import check_digest, load_checked
from zoorank.zoo.preprocess import prepare
from zoorank.zoo.specs import ModelSpec
from zoorank.zoo.store import EncodingStore, key_of
from zoorank.zoo.target import Target
from zoorank.zoo.truncate import Pool, pooler, run_to_cuts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = 1  # raise it when the same inputs give other encodings than before
_BATCH_SIZE = 32
_CALIBRATION_ROWS = 64

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
        A ``.npy`` file, float32 of shape ``(n_samples, dim)``.
    parameters_kept : int
        Parameters of the source up to the cut.
    flops_share : float
        Operations up to the cut over those of the whole source, 0 to 1.
    seconds : float
        What encoding at this cut alone would have cost: the time of the pass that all
        cuts of the source shared, times this cut's operations over those of the deepest.
    reused : bool
        It was in the store already.
    """

    cut: str
    dim: int
    path: Path
    parameters_kept: int
    flops_share: float
    seconds: float
    reused: bool

    def load(self) -> NDArray[np.float32]:
        """Map the encodings from their file, read-only."""
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


def encode_source(
    spec: ModelSpec,
    target: Target,
    *,
    cuts: Sequence[str] | None = None,
    store: EncodingStore,
    batch_size: int | None = None,
    device: str = "auto",
    on_batch: Progress | None = None,
) -> EncodedSource:
    """Encode ``target`` with the source ``spec``; what the store has is not done again.

    Parameters
    ----------
    spec : ModelSpec
    target : Target
    cuts : sequence of str or None
        "penultimate", "all", or modules; None for the spec's own, else the penultimate.
    store : EncodingStore
    batch_size : int or None
        Samples a batch, 32 by default; halved for as long as memory runs out.
    device : {"auto", "cpu", "cuda"}
        "auto" takes a GPU where there is one; "cuda:1" and the like are allowed too.
    on_batch : callable or None
        Told ``(done, total)`` samples after every batch.

    Returns
    -------
    EncodedSource

    Raises
    ------
    SourceError
        When this source cannot be loaded, fed or cut, or gives NaN: other sources go on.
    UsageError
        For a cut or device that does not exist.
    StoreError
        When the store cannot be written to.
    DataError
        When an image file vanishes or breaks meanwhile.
    """
    wanted = tuple(cuts or spec.cuts or ("penultimate",))
    where = torch_device(device)
    plan = _Plan.of(spec, target, store)
    if ALL not in wanted:
        known = plan.known(wanted)
        if len(known) == len(set(wanted)):
            return plan.result(known)

    model = load_checked(spec, plan.weights_file).to(where)
    if spec.weights.calibrates:
        rows = min(_CALIBRATION_ROWS, target.n_samples)
        calibrate(model, prepare(spec.preprocessing, target, 0, rows).to(where))
    pool = pooler(spec.preprocessing.pooling, spec.preprocessing.input)
    resolved, dims = _first_batch(model, plan, wanted, pool)
    known = plan.known([cut.name for cut in resolved])
    missing = [cut for cut in resolved if cut.name not in known]
    if not missing:
        return plan.result(known)
    batches = Batches(model, spec.preprocessing, target, missing, pool)
    fresh: dict[str, Record] = {}
    with contextlib.ExitStack() as stack:
        writers = {
            cut.name: stack.enter_context(
                store.writer(plan.key(cut.name), target.n_samples, dims[cut.name])
            )
            for cut in missing
        }
        for encoded in batches.run(batch_size or _BATCH_SIZE, on_batch):
            for name, writer in writers.items():
                writer.write(encoded[name])
        deepest = missing[-1].flops_share or 1.0
        for cut in missing:
            run = {
                "seconds": batches.seconds * (cut.flops_share / deepest),
                "device": str(where),
                "batch_size": batches.batch_size,
            }
            fresh[cut.name] = writers[cut.name].commit({**plan.facts(model, cut), **run})
    store.save_labels(target.fingerprint, target.labels)
    return plan.result({**known, **fresh}, fresh, batches.note)


@dataclass(frozen=True)
class _Plan:
    """One source, one target and one store: what is there, and under which keys."""

    spec: ModelSpec
    target: Target
    store: EncodingStore
    weights_file: Path | None
    weights_sha256: str | None
    identity: Mapping[str, Any]

    @classmethod
    def of(cls, spec: ModelSpec, target: Target, store: EncodingStore) -> _Plan:
        file = spec.weights.locate()
        digest = check_digest(spec, file)
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
        return cls(spec, target, store, file, digest, identity)

    def key(self, cut: str) -> str:
        return key_of({**self.identity, "cut": cut})

    def known(self, cuts: Iterable[str]) -> dict[str, Record]:
        records = {cut: self.store.metadata(self.key(cut)) for cut in cuts}
        return {cut: record for cut, record in records.items() if record is not None}

    def facts(self, model: nn.Module, cut: Cut) -> Record:
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
        self, records: Mapping[str, Record], fresh: Container[str] = (), note: str = ""
    ) -> EncodedSource:
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


def torch_device(name: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda:N" into a device that is there, or raise UsageError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(
            f"unknown device {name!r}; {hint(name, ['auto', 'cpu', 'cuda', 'cuda:N'])}"
        )
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {name!r}: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def _first_batch(
    model: nn.Module, plan: _Plan, wanted: Sequence[str], pool: Pool
) -> tuple[tuple[Cut, ...], dict[str, int]]:
    """Try two samples, for the first question of the method is whether this source fits."""
    device = next(model.parameters(), torch.empty(0)).device
    example = prepare(plan.spec.preprocessing, plan.target, 0, 2).to(device)
    cuts = resolve_cuts(model, example, wanted)
    dims = {}
    for name, encoded in run_to_cuts(model, example, cuts, pool).items():
        if len(encoded) != len(example):
            raise SourceError(f"cut {name!r} gives {len(encoded)} rows for {len(example)} samples")
        dims[name] = encoded.shape[1]
    return cuts, dims


def _version() -> str:
    try:
        return metadata.version("zoorank")
    except metadata.PackageNotFoundError:
        return "unknown"

"""Encode a target with one source at several cuts, in one pass, into the store."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zoorank.errors import SourceError, UsageError
from zoorank.zoo.batches import Batches, Progress
from zoorank.zoo.cuts import ALL, Cut, resolve_cuts
from zoorank.zoo.factory import code_fingerprint
from zoorank.zoo.hints import hint
from zoorank.zoo.load import check_digest, load_model
from zoorank.zoo.preprocess import prepare
from zoorank.zoo.specs import ModelSpec
from zoorank.zoo.store import EncodingStore, key_of
from zoorank.zoo.target import Target
from zoorank.zoo.truncate import Pool, pooler, run_to_cuts

_FORMAT = 1  # raise it when the same inputs give other encodings than before
_BATCH_SIZE = 64


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
        Samples a batch, 64 by default; halved for as long as memory runs out.
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
    where = _device(device)
    digest = check_digest(spec, spec.weights.locate())
    identity = _identity(spec, target, digest)
    if ALL not in wanted:
        known = _recall(store, identity, wanted)
        if all(record is not None for record in known.values()):
            return _encoded(spec, store, identity, known, {}, "")

    model = load_model(spec).to(where)
    pool = pooler(spec.preprocessing.pooling, spec.preprocessing.input)
    resolved, dims = _first_batch(model, spec, target, wanted, pool)
    known = _recall(store, identity, [cut.name for cut in resolved])
    missing = [cut for cut in resolved if known[cut.name] is None]
    if not missing:
        return _encoded(spec, store, identity, known, {}, "")
    batches = Batches(model, spec.preprocessing, target, missing, pool)
    fresh: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        writers = {
            cut.name: stack.enter_context(
                store.writer(_key(identity, cut.name), target.n_samples, dims[cut.name])
            )
            for cut in missing
        }
        for encoded in batches.run(batch_size or _BATCH_SIZE, on_batch):
            for name, writer in writers.items():
                writer.write(encoded[name])
        for cut in missing:
            share = cut.flops_share / missing[-1].flops_share if missing[-1].flops_share else 1.0
            facts = {
                **_facts(spec, target, model, cut, identity),
                "seconds": batches.seconds * share,
                "device": str(where),
                "batch_size": batches.batch_size,
            }
            fresh[cut.name] = writers[cut.name].commit(facts)
    store.save_labels(target.fingerprint, target.labels)
    return _encoded(spec, store, identity, {**known, **fresh}, fresh, batches.note)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(f"unknown device {name!r}; {hint(name, ['auto', 'cpu', 'cuda', 'cuda:N'])}")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {name!r}: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def _identity(spec: ModelSpec, target: Target, digest: str | None) -> dict[str, Any]:
    """Everything that the encodings depend on, apart from the cut."""
    return {
        "format": _FORMAT,
        "factory": spec.factory,
        "arguments": spec.arguments,
        "code": code_fingerprint(spec),
        "weights": digest or f"random {spec.weights.init_seed}",
        "state_dict": spec.state_dict.model_dump(mode="json"),
        "preprocessing": spec.preprocessing.model_dump(mode="json"),
        "data": target.fingerprint,
    }


def _key(identity: Mapping[str, Any], cut: str) -> str:
    return key_of({**identity, "cut": cut})


def _recall(
    store: EncodingStore, identity: Mapping[str, Any], cuts: Iterable[str]
) -> dict[str, dict[str, Any] | None]:
    return {cut: store.metadata(_key(identity, cut)) for cut in cuts}


def _first_batch(
    model: nn.Module, spec: ModelSpec, target: Target, wanted: Sequence[str], pool: Pool
) -> tuple[tuple[Cut, ...], dict[str, int]]:
    """Ask the method's first question, on two samples: can this source be fed this target?"""
    device = next(model.parameters(), torch.empty(0)).device
    example = prepare(spec.preprocessing, target, 0, 2).to(device)
    cuts = resolve_cuts(model, example, wanted)
    dims = {}
    for name, encoded in run_to_cuts(model, example, cuts, pool).items():
        if len(encoded) != len(example):
            raise SourceError(f"cut {name!r} gives {len(encoded)} rows for {len(example)} samples")
        dims[name] = encoded.shape[1]
    return cuts, dims


def _facts(
    spec: ModelSpec, target: Target, model: nn.Module, cut: Cut, identity: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "identity": identity,
        "model": spec.name,
        "cut": cut.name,
        "target": target.name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "parameters_kept": cut.parameters_kept,
        "flops_share": cut.flops_share,
        "versions": {"zoorank": _version(), "torch": torch.__version__, "numpy": np.__version__},
    }


def _version() -> str:
    try:
        return metadata.version("zoorank")
    except metadata.PackageNotFoundError:
        return "unknown"


def _encoded(
    spec: ModelSpec,
    store: EncodingStore,
    identity: Mapping[str, Any],
    records: Mapping[str, dict[str, Any] | None],
    fresh: Mapping[str, Any],
    note: str,
) -> EncodedSource:
    whole = {cut: record for cut, record in records.items() if record is not None}
    ordered = sorted(whole, key=lambda cut: (whole[cut]["flops_share"], whole[cut]["parameters_kept"]))
    weights = identity["weights"]
    return EncodedSource(
        model=spec.name,
        encodings=tuple(
            Encoding(
                cut=cut,
                dim=whole[cut]["dim"],
                path=store.path(_key(identity, cut)),
                parameters_kept=whole[cut]["parameters_kept"],
                flops_share=whole[cut]["flops_share"],
                seconds=whole[cut]["seconds"],
                reused=cut not in fresh,
            )
            for cut in ordered
        ),
        weights_sha256=None if weights.startswith("random") else weights,
        parameters=next(iter(whole.values()))["parameters"],
        note=note,
    )

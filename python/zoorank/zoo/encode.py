"""Encode a target with one source at several cuts, in one pass, into the store."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from zoorank.errors import SourceError, UsageError
from zoorank.hints import hint
from zoorank.zoo.batches import Batches, Progress
from zoorank.zoo.calibrate import calibrate
from zoorank.zoo.cuts import ALL, Cut, resolve_cuts
from zoorank.zoo.load import load_checked
from zoorank.zoo.merge import Merger, is_held
from zoorank.zoo.plan import EncodedSource, Plan, Record
from zoorank.zoo.preprocess import prepare
from zoorank.zoo.specs import ModelSpec
from zoorank.zoo.store import EncodingStore
from zoorank.zoo.target import Target
from zoorank.zoo.truncate import Pool, pooler, run_to_cuts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_SIZE = 32
_CALIBRATION_ROWS = 64


def encode_source(
    spec: ModelSpec,
    target: Target,
    *,
    cuts: Sequence[str] | None = None,
    store: EncodingStore,
    batch_size: int | None = None,
    device: str = "auto",
    on_batch: Progress | None = None,
    rows: NDArray[np.int64] | None = None,
    earlier: NDArray[np.int64] | None = None,
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
        Told ``(done, total)`` samples after every batch, of those that are run.
    rows : ndarray of int64 or None
        Which rows to encode, ascending; None for all. A subset has a key of its own, and
        scaling and calibration are those of the whole target.
    earlier : ndarray of int64 or None
        Some of the rows, ascending, that an earlier call has encoded: of these the store's
        are taken and the others alone are run.

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
    plan = Plan.of(spec, target, store, rows)
    if ALL not in wanted:
        known = plan.known(wanted)
        if len(known) == len(set(wanted)):
            return plan.result(known)

    model = load_checked(spec, plan.weights_file).to(where)
    if spec.weights.calibrates:
        first = range(min(_CALIBRATION_ROWS, target.n_samples))
        calibrate(model, prepare(spec.preprocessing, target, first).to(where))
    pool = pooler(spec.preprocessing.pooling, spec.preprocessing.input)
    resolved, dims = _first_batch(model, plan, wanted, pool)
    known = plan.known([cut.name for cut in resolved])
    missing = [cut for cut in resolved if cut.name not in known]
    if not missing:
        return plan.result(known)
    held = plan.held([cut.name for cut in missing], earlier)
    new = plan.rows[~is_held(plan.rows, held.get(missing[0].name))]
    batches = Batches(model, spec.preprocessing, target, new, missing, pool)
    fresh: dict[str, Record] = {}
    with contextlib.ExitStack() as stack:
        writers = {
            cut.name: stack.enter_context(
                store.writer(plan.key(cut.name), len(plan.rows), dims[cut.name])
            )
            for cut in missing
        }
        mergers = {
            name: Merger(writer, plan.rows, held.get(name)) for name, writer in writers.items()
        }
        for encoded in batches.run(batch_size or _BATCH_SIZE, on_batch):
            for name, merger in mergers.items():
                merger.write(encoded[name])
        deepest = missing[-1].flops_share or 1.0
        for cut in missing:
            mergers[cut.name].finish()
            seconds = batches.seconds * (cut.flops_share / deepest)
            if cut.name in held:
                seconds += held[cut.name].seconds(len(plan.rows) - len(new))
            run = {"seconds": seconds, "device": str(where), "batch_size": batches.batch_size}
            fresh[cut.name] = writers[cut.name].commit({**plan.facts(model, cut), **run})
    if plan.is_whole:
        store.save_labels(target.fingerprint, target.labels)
    return plan.result({**known, **fresh}, fresh, batches.note)


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
    model: nn.Module, plan: Plan, wanted: Sequence[str], pool: Pool
) -> tuple[tuple[Cut, ...], dict[str, int]]:
    """Try two samples, for the first question of the method is whether this source fits."""
    device = next(model.parameters(), torch.empty(0)).device
    example = prepare(plan.spec.preprocessing, plan.target, range(2)).to(device)
    cuts = resolve_cuts(model, example, wanted)
    dims = {}
    for name, encoded in run_to_cuts(model, example, cuts, pool).items():
        if len(encoded) != len(example):
            raise SourceError(f"cut {name!r} gives {len(encoded)} rows for {len(example)} samples")
        dims[name] = encoded.shape[1]
    return cuts, dims

"""Encode a target with one source at several cuts, in one pass, into the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from zoorank.encoding.batches import Batches, Progress
from zoorank.encoding.memory import Keep, Rows, contents, give_back
from zoorank.encoding.merge import is_held, stored_rows
from zoorank.encoding.plan import EncodedSource, Held, Plan, Record
from zoorank.errors import SourceError
from zoorank.sources.specs import ModelSpec
from zoorank.sources.torch.calibrate import calibrate_to
from zoorank.sources.torch.cuts import ALL, Cut, resolve_cuts
from zoorank.sources.torch.load import load_checked, torch_device
from zoorank.sources.torch.truncate import Pool, pooler, run_to_cuts
from zoorank.store.encodings import EncodingStore
from zoorank.targets.base import Target
from zoorank.transforms.preprocess import prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_SIZE = 32


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
    keep: Keep = "store",
    results: Collection[str] = (),
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
    keep : {"store", "memory", "both"}
        Where encodings are kept. "memory" is that of the device the network runs on: nothing
        of them is copied or written. What does not fit there goes to the store, and the note
        says so.
    results : collection of str
        With "memory": names of results of which an encoding that the store has all of is not
        made again; see :meth:`Encoding.keep_results`.

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
        known, scored = plan.known(wanted), plan.scored(wanted, results)
        if set(known) | set(scored) == set(wanted):
            return plan.result(known, scored=scored)

    try:
        return _encoded(plan, wanted, where, batch_size, on_batch, earlier, keep, results)
    finally:
        give_back(where)


def _encoded(
    plan: Plan,
    wanted: Sequence[str],
    where: torch.device,
    batch_size: int | None,
    on_batch: Progress | None,
    earlier: NDArray[np.int64] | None,
    keep: Keep,
    results: Collection[str],
) -> EncodedSource:
    spec = plan.spec
    model = load_checked(spec, plan.weights_file).to(where)
    calibrate_to(model, spec, plan.target)
    pool = pooler(spec.preprocessing.pooling, spec.preprocessing.input)
    resolved, dims = _first_batch(model, plan, wanted, pool)
    names = [cut.name for cut in resolved]
    known, scored = plan.known(names), plan.scored(names, results)
    missing = [cut for cut in resolved if cut.name not in known and cut.name not in scored]
    if not missing:
        return plan.result(known, scored=scored)
    held = plan.held([cut.name for cut in missing], earlier)
    dims = {cut.name: dims[cut.name] for cut in missing}
    memory, note = None, ""
    if keep != "store" and not held:  # what is held lies in files, and so will the rest
        memory, note = _memory(plan, dims, where)
    saved = keep != "memory" or memory is None
    new = plan.rows[~is_held(plan.rows, held.get(missing[0].name))]
    batches = Batches(model, spec.preprocessing, plan.target, new, missing, pool)
    with stored_rows(plan, dims if saved else {}, held) as stored:
        for encoded in batches.run(batch_size or _BATCH_SIZE, on_batch):
            stored.write(encoded)
            if memory is not None:
                memory.write(encoded)
        seconds = _seconds(plan, batches.seconds, missing, held, len(new))
        run = {"device": str(where), "batch_size": batches.batch_size}
        fresh: dict[str, Record] = {
            cut.name: plan.facts(model, cut)
            | {**run, "seconds": seconds[cut.name], "dim": dims[cut.name]}
            for cut in missing
        }
        if saved:
            fresh = {name: stored.commit(name, record) for name, record in fresh.items()}
        elif memory is not None:
            content = contents(memory.tensors, {name: plan.key(name) for name in fresh})
            fresh = {name: {**fresh[name], "content": content[name]} for name in fresh}
    if plan.is_whole and saved:
        plan.store.save_labels(plan.target.fingerprint, plan.target.labels)
    return plan.result(
        {**known, **fresh},
        fresh,
        "; ".join(filter(None, (batches.note, note))),
        tensors=memory.tensors if memory else {},
        scored=scored,
        unsaved=() if saved else fresh,
    )


def _seconds(
    plan: Plan, spent: float, cuts: Sequence[Cut], held: Mapping[str, Held], run: int
) -> dict[str, float]:
    """What each cut alone would have cost, by its share of the operations of the pass."""
    deepest = cuts[-1].flops_share or 1.0
    seconds = {cut.name: spent * (cut.flops_share / deepest) for cut in cuts}
    for name, earlier in held.items():
        seconds[name] += earlier.seconds(len(plan.rows) - run)
    return seconds


def _memory(plan: Plan, dims: dict[str, int], where: torch.device) -> tuple[Rows | None, str]:
    """Room for the encodings on the device, or None and what a reader should know."""
    try:
        return Rows(len(plan.rows), dims, where), ""
    except (MemoryError, RuntimeError):  # torch's own error for this is a RuntimeError
        give_back(where)
        size = 4 * len(plan.rows) * sum(dims.values())
        return None, f"{size:,} bytes of encodings do not fit on {where}: they are in the store"


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

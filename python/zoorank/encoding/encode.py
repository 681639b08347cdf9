"""Encode a target with one source at several cuts, in one pass, into the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from zoorank.encoding.costs import Clock, Filters, PeakMemory
from zoorank.encoding.feed import SHARED, Feed, blamed, opened
from zoorank.encoding.passes import BatchSize, OnBatch, Pass, batch_sizes, memory_kept
from zoorank.encoding.plan import CutFiles, Plan, with_contents
from zoorank.encoding.recheck import rechecked
from zoorank.encoding.records import EncodedSource, Filtered, Held, Record
from zoorank.encoding.trial import MIXED, RANDOM, Trial, calibrate, costly, tried
from zoorank.errors import DataError, SourceError
from zoorank.sources.base import (
    ALL,
    PENULTIMATE,
    Array,
    Events,
    Metered,
    Noting,
    OpenOptions,
    Precision,
    Source,
)
from zoorank.store.encodings import EncodingStore
from zoorank.targets.base import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where encodings are kept: in files of the store, in memory and nowhere else, or both.
Keep = Literal["store", "memory", "both"]


def encode_source(
    source: Source,
    target: Target,
    *,
    cuts: Sequence[str] | None = None,
    store: EncodingStore,
    batch_size: int | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    on_batch: OnBatch | None = None,
    on_trial: Callable[[float], None] = lambda _: None,
    events: Events = lambda _: None,
    rows: NDArray[np.int64] | None = None,
    earlier: NDArray[np.int64] | None = None,
    keep: Keep | Callable[[str], Keep] = "store",
    filters: Filters | None = None,
    exempt: Sequence[str] = (),
    clock: Clock | None = None,
) -> EncodedSource:
    """Encode ``target`` with ``source``; what the store has is not done again.

    Parameters
    ----------
    source : Source
    target : Target
    cuts : sequence of str or None
        "penultimate", "all", or names of cuts; None for the source's own, else the penultimate.
    store : EncodingStore
    batch_size : int or None
        Samples a batch; None for as many as a CPU has caches for, else 32. Halved for as long as
        memory runs out.
    device : {"auto", "cpu", "cuda"}
        "auto" takes a GPU where there is one; "cuda:1" and the like are allowed too.
    precision : {"float32", "bf16"}
        What the source computes in.
    threads : int or None
        Of the source's framework; None leaves its pool as it is.
    on_batch : callable or None
        Told ``(done, total)`` samples after every batch, of those that are run.
    on_trial : callable
        Told once, before the first batch, how many seconds it may take, judged by the trial
        of two samples.
    events : callable
        Told in a line of every step before the first batch, such as a download.
    rows : ndarray of int64 or None
        Which rows to encode, ascending; None for all. A subset has a key of its own, and
        scaling and calibration are those of the whole target.
    earlier : ndarray of int64 or None
        Some of the rows, ascending, that an earlier call has encoded: of these the store's
        are taken and the others alone are run.
    keep : {"store", "memory", "both"} or callable
        Where encodings are kept, or what tells so of the device that the source runs on.
        "memory" is that of this device: nothing of them is copied or written. What does not
        fit there goes to the store, and the note says so.
    filters : Filters or None
        Cuts that cost more are not run, as far as that is known before.
    exempt : sequence of str
        Cuts that no filter is for.
    clock : Clock or None
        Told how long each stage takes.

    Returns
    -------
    EncodedSource

    Raises
    ------
    SourceError
        When this source cannot be loaded, fed or cut, does not compute in this precision, or
        gives NaN: other sources go on.
    UsageError
        For a cut or device that does not exist.
    StoreError
        When the store cannot be written to.
    DataError
        When a file of the target vanishes, breaks or changes meanwhile.
    """
    wanted = tuple(cuts or source.cuts or (PENULTIMATE,))
    with blamed():
        source = source.resolve(events)
        plan = Plan.of(source, target, store, rows, precision)
    if ALL not in wanted:
        known = plan.known(wanted)
        if set(known) == set(wanted):
            return plan.result(known)
    options = OpenOptions(target.modality, device, precision, threads)
    clock = clock or Clock()
    with PeakMemory() as peak, memory_kept(), ExitStack() as stack:
        with clock.timing("opening"):
            encoder = stack.enter_context(opened(source, options))
            if encoder.facts.precision != precision:
                raise SourceError(
                    f"computes in {encoder.facts.precision} alone, not in {precision}"
                )
            events("the source is loaded")
            transform = encoder.transform.fitted(target)
            feed = Feed(
                encoder, transform, target, on_pass=lambda: events("two samples are encoded")
            )
            try:
                calibrate(feed)
                trial = tried(feed, wanted)
            except MemoryError as error:
                raise SourceError(f"out of memory on {encoder.device} with two samples") from error
            size = batch_sizes(trial.feed) if batch_size is None else BatchSize(batch_size)
            most = min(size.samples, target.n_samples)
            on_trial(trial.seconds * max(1.0, most / 2))
            trial, filtered = _filtered(plan, trial, filters, exempt, size.samples)
        place = keep(encoder.device) if callable(keep) else keep
        run = _Run(plan, trial, place, peak, clock)
        found = run.encoded(earlier, size, on_batch, precision)
        return replace(found, filtered=filtered)


def _filtered(
    plan: Plan, trial: Trial, filters: Filters | None, exempt: Sequence[str], batch_size: int
) -> tuple[Trial, tuple[Filtered, ...]]:
    """Take those cuts out of a trial that are surely not allowed; what the store has is free."""
    if filters is None:
        return trial, ()
    known = plan.known(cut.name for cut in trial.cuts)
    asked = [cut for cut in trial.cuts if cut.name not in known and cut.name not in exempt]
    reasons = costly(trial.feed, asked, filters, batch_size)
    facts = trial.feed.encoder.facts
    filtered = tuple(
        Filtered(reasons[cut.name], plan.record(facts, cut, trial.dims[cut.name]))
        for cut in asked
        if cut.name in reasons
    )
    left = tuple(cut for cut in trial.cuts if cut.name not in reasons)
    if filtered and all(cut.name in exempt for cut in left):
        left = ()  # what is run for their sake alone
    return replace(trial, cuts=left), filtered


class _Run:
    """A source that was opened and tried, about to be run over what the store lacks."""

    def __init__(
        self, plan: Plan, trial: Trial, keep: Keep, peak: PeakMemory, clock: Clock
    ) -> None:
        self._plan, self._trial, self._keep, self._peak = plan, trial, keep, peak
        self._clock = clock
        self._known = plan.known(cut.name for cut in trial.cuts)
        self._missing = tuple(cut for cut in trial.cuts if cut.name not in self._known)

    def encoded(
        self,
        earlier: NDArray[np.int64] | None,
        batch_size: BatchSize,
        on_batch: OnBatch | None,
        precision: Precision,
    ) -> EncodedSource:
        """Run what is missing, keep it, and give all."""
        plan, trial = self._plan, self._trial
        if not self._missing:
            return plan.result(self._known, refused=trial.refused)
        dims = {cut.name: trial.dims[cut.name] for cut in self._missing}
        held = plan.held(list(dims), earlier)
        notes = list(trial.notes)
        arrays = None if self._keep == "store" or held else self._room(dims, notes)
        saved = self._keep != "memory" or arrays is None
        new = _new_rows(plan.rows, next(iter(held.values()), None))
        feed = replace(trial.feed, on_pass=lambda: None, clock=self._clock)
        whole = Pass(feed, _samples_of(plan.target, new), self._missing)
        with CutFiles(plan, dims if saved else {}, held) as files:
            for samples, encoded in whole.run(batch_size, on_batch):
                with self._clock.timing("writing"):
                    places = np.searchsorted(plan.rows, plan.target.rows_of(samples))
                    files.write(places, encoded)
                    for name, array in (arrays or {}).items():
                        array[places] = encoded[name]
            if RANDOM not in notes and MIXED not in notes:
                with self._clock.timing("network"):
                    company = rechecked(feed, self._missing, whole.spots.found())
                notes += [company] if company else []
            notes += [whole.note] if whole.note else []
            if whole.truncated:
                cut_off = f"{whole.truncated:,} of {len(new):,} samples"
                notes.append(f"{cut_off} are longer than the source takes and were cut off")
            encoder = trial.feed.encoder
            notes += [encoder.note] if isinstance(encoder, Noting) and encoder.note else []
            fresh = self._records(whole, held, new, tuple(notes), precision)
            self._check_target()
            if saved:
                with self._clock.timing("writing"):
                    fresh = files.commit(fresh)
            elif arrays is not None:
                fresh = with_contents(plan, fresh, arrays)
        if plan.is_whole and saved:
            plan.store.save_labels(plan.target.fingerprint, plan.target.labels)
        return plan.result(
            {**self._known, **fresh},
            fresh,
            arrays=arrays,
            refused=trial.refused,
            unsaved=() if saved else fresh,
        )

    def _check_target(self) -> None:
        """Keep nothing of a target that has changed, prepared samples included."""
        try:
            self._plan.target.check_unchanged()
        except DataError:
            SHARED.forget(self._plan.target)
            raise

    def _room(self, dims: Mapping[str, int], notes: list[str]) -> dict[str, Array] | None:
        """Room for the encodings where the source runs; None, and a note, where there is none."""
        encoder, rows = self._trial.feed.encoder, len(self._plan.rows)
        try:
            return {name: encoder.empty(rows, dim) for name, dim in dims.items()}
        except MemoryError:
            size = 4 * rows * sum(dims.values())
            notes.append(
                f"{size:,} bytes of encodings do not fit on {encoder.device}: they are in the store"
            )
            return None

    def _records(
        self,
        whole: Pass,
        held: Mapping[str, Held],
        new: NDArray[np.int64],
        notes: tuple[str, ...],
        precision: Precision,
    ) -> dict[str, Record]:
        """What to keep with each encoding; seconds are split by the operations of the cuts."""
        plan, encoder = self._plan, self._trial.feed.encoder
        deepest = self._missing[-1].flops_share or 1.0
        memory = self._peak.bytes
        if isinstance(encoder, Metered) and memory is not None:
            memory += encoder.peak_memory
        records = {}
        for cut in self._missing:
            seconds = whole.seconds * (cut.flops_share / deepest)
            if cut.name in held:
                seconds += held[cut.name].seconds(len(plan.rows) - len(new))
            records[cut.name] = replace(
                plan.record(encoder.facts, cut, self._trial.dims[cut.name]),
                seconds=seconds,
                samples=len(plan.rows),
                device=encoder.device,
                precision=precision,
                batch_size=whole.batch_size,
                notes=notes,
                memory=memory,
            )
        return records


def _new_rows(rows: NDArray[np.int64], held: Held | None) -> NDArray[np.int64]:
    return rows if held is None else np.setdiff1d(rows, held.rows)


def _samples_of(target: Target, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The samples that give some rows: these themselves, or the sentences of words."""
    starts = target.samples.starts
    return rows if starts is None else np.unique(np.searchsorted(starts, rows, "right") - 1)

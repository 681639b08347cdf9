"""Encode a target with one source at several cuts, into the store or the memory of its device."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

import zoorank
from zoorank.encoding.costly import within_limits
from zoorank.encoding.costs import Clock, Filters, PeakMemory, Stages, memory_watched
from zoorank.encoding.held import Held, copy_held, held_of, part_of
from zoorank.encoding.in_memory import contents_of, room_for
from zoorank.encoding.passes import SHARED, BatchSize, Feed, OnBatch, Pass, as_ndarray, blamed
from zoorank.encoding.records import EncodedSource, Encoding, Filtered, Record
from zoorank.encoding.trial import MIXED, RANDOM, Recheck, Trial, tried
from zoorank.errors import DataError, SourceError
from zoorank.sources.base import (
    ALL,
    PENULTIMATE,
    Array,
    Cut,
    Events,
    Json,
    ModelFacts,
    Noting,
    OpenOptions,
    Precision,
    Source,
)
from zoorank.store.encodings import CutFiles, EncodingStore, key_of
from zoorank.targets.base import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 2  # raise it when the same inputs give other encodings than before

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
    identity: Mapping[str, Json] | None = None,
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
    identity : mapping or None
        What a source that is resolved already depends on; None resolves it.

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
        if identity is None:
            source = source.resolve(events)
            identity = source.identity()
        plan = Plan.of(source, identity, target, store, rows, precision)
    if ALL not in wanted and set(known := plan.known(wanted)) == set(wanted):
        return plan.result(known)
    options = OpenOptions(target.modality, device, precision, threads)
    began = time.perf_counter()
    with memory_watched() as peak, ExitStack() as stack:
        with blamed():
            encoder = stack.enter_context(source.open(options))
        if encoder.facts.precision != precision:
            raise SourceError(f"computes in {encoder.facts.precision} alone, not in {precision}")
        events("the source is loaded")
        transform = encoder.transform.fitted(target)
        feed = Feed(encoder, transform, target, on_pass=lambda: events("two samples are encoded"))
        try:
            trial = tried(feed, wanted)
        except MemoryError as error:
            raise SourceError(f"out of memory on {encoder.device} with two samples") from error
        size = trial.size if batch_size is None else BatchSize(batch_size)
        on_trial(trial.seconds * max(1.0, min(size.samples, target.n_samples) / 2))
        filtered: tuple[Filtered, ...] = ()
        if filters is not None:
            trial, filtered = within_limits(plan, trial, filters, exempt, size.samples)
        clock = Clock(Stages(opening=time.perf_counter() - began))
        place = keep(encoder.device) if callable(keep) else keep
        run = _Run(plan, trial, earlier, place, peak, clock)
        return replace(run.encoded(size, on_batch), filtered=filtered, stages=clock.stages)


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
        identity: Mapping[str, Json],
        target: Target,
        store: EncodingStore,
        rows: NDArray[np.int64] | None,
        precision: Precision,
    ) -> Plan:
        """Name all that the encodings depend on; `rows` None stands for all."""
        identity = {"format": FORMAT, **identity, "data": target.fingerprint}
        if precision != "float32":
            identity = {**identity, "precision": precision}
        wanted = np.arange(target.n_rows) if rows is None else np.asarray(rows, dtype=np.int64)
        return cls(source, target, wanted, store, identity)

    @cached_property
    def samples(self) -> NDArray[np.int64]:
        """Samples that the rows are of."""
        return self.target.samples_of(self.rows)

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
        found = {}
        for cut in cuts:
            there = self.store.metadata(self.key(cut))
            record = None if there is None else Record.of(there)
            if record is None and not self.is_whole:
                record = part_of(self, cut)
            if record is not None:
                found[cut] = record
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
            versions={"zoorank": zoorank.__version__, "numpy": np.__version__},
            notes=(),
            identity=self.identity,
        )

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
        arrays = dict(arrays or {})
        if self.store.quota is not None:  # mapped at once: they may have to make room for others
            arrays |= {cut: self.store.load(self.key(cut)) for cut in records if cut not in arrays}
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
            note="; ".join(notes),
        )


@dataclass(frozen=True)
class _Run:
    """A source that was opened and tried, about to be run over what the store lacks."""

    plan: Plan
    trial: Trial
    earlier: NDArray[np.int64] | None
    keep: Keep
    peak: PeakMemory
    clock: Clock

    @cached_property
    def known(self) -> Mapping[str, Record]:
        """What the store has."""
        return self.plan.known(cut.name for cut in self.trial.cuts)

    @cached_property
    def missing(self) -> tuple[Cut, ...]:
        """Cuts of which it has nothing."""
        return tuple(cut for cut in self.trial.cuts if cut.name not in self.known)

    @cached_property
    def held(self) -> Mapping[str, Held]:
        """Rows of these that need not be run, by cut."""
        return {} if self.earlier is None else held_of(self.plan, self.missing, self.earlier)

    def encoded(self, size: BatchSize, on_batch: OnBatch | None) -> EncodedSource:
        """Run what is missing, keep it, and give all."""
        plan, trial = self.plan, self.trial
        if not self.missing:
            return plan.result(self.known, refused=trial.refused)
        dims = {cut.name: trial.dims[cut.name] for cut in self.missing}
        notes = list(trial.notes)
        stays = self.keep != "store" and not self.held
        arrays = room_for(trial.feed.encoder, len(plan.rows), dims, notes) if stays else None
        saved = self.keep != "memory" or arrays is None
        keys = {name: plan.key(name) for name in dims} if saved else {}
        with plan.store.writing(keys, len(plan.rows), dims) as files:
            if self.held:
                copy_held(self.held, plan.rows, files)
            fresh = self._fresh(files, arrays, notes, size, on_batch)
        return plan.result(
            {**self.known, **fresh},
            fresh,
            arrays=arrays,
            refused=trial.refused,
            unsaved=() if saved else fresh,
        )

    def _fresh(
        self,
        files: CutFiles,
        arrays: Mapping[str, Array] | None,
        notes: list[str],
        size: BatchSize,
        on_batch: OnBatch | None,
    ) -> dict[str, Record]:
        """Run the samples that are left, and give the records of all as they are kept."""
        plan, clock = self.plan, self.clock
        rows, samples = plan.rows, plan.samples
        if self.held and self.earlier is not None:
            rows = np.setdiff1d(rows, self.earlier)
            samples = plan.target.samples_of(rows)
        feed = replace(self.trial.feed, on_pass=lambda: None)
        recheck = Recheck(feed, self.missing)
        whole = Pass(feed, samples, self.missing, clock, recheck.see)
        for batch, encoded in whole.run(size, on_batch):
            with clock.timing("writing"):
                places = np.searchsorted(plan.rows, plan.target.rows_of(batch))
                files.write(places, {name: as_ndarray(encoded[name]) for name in files.writers})
                for name, array in (arrays or {}).items():
                    array[places] = encoded[name]
        if RANDOM not in notes and MIXED not in notes:
            with clock.timing("network"):
                company = recheck.verdict()
            notes += [company] if company else []
        notes += self._notes(whole, len(samples))
        records = self._records(whole, len(rows), tuple(notes))
        try:
            plan.target.check_unchanged()
        except DataError:  # of which nothing is kept, no prepared sample either
            SHARED.forget(plan.target)
            raise
        if files.writers:
            facts = {name: asdict(each) for name, each in records.items()}
            labels = {plan.target.fingerprint: plan.target.labels} if plan.is_whole else {}
            with clock.timing("writing"):
                contents = files.commit(facts, labels)
        else:
            contents = contents_of(arrays or {}, {name: plan.key(name) for name in records})
        return {name: replace(each, content=contents[name]) for name, each in records.items()}

    def _notes(self, whole: Pass, samples: int) -> list[str]:
        """What the pass has found out about the source."""
        encoder = self.trial.feed.encoder
        notes = [whole.note] if whole.note else []
        if whole.truncated:
            cut_off = f"{whole.truncated:,} of {samples:,} samples"
            notes.append(f"{cut_off} are longer than the source takes and were cut off")
        return notes + ([encoder.note] if isinstance(encoder, Noting) and encoder.note else [])

    def _records(self, whole: Pass, rows: int, notes: tuple[str, ...]) -> dict[str, Record]:
        """What to keep with each encoding; seconds are split by the operations of the cuts."""
        plan, encoder = self.plan, self.trial.feed.encoder
        deepest = self.missing[-1].flops_share or 1.0
        memory = self.peak.with_device(encoder)
        records = {}
        for cut in self.missing:
            seconds = whole.seconds * (cut.flops_share / deepest)
            if cut.name in self.held:
                seconds += self.held[cut.name].seconds(len(plan.rows) - rows)
            records[cut.name] = replace(
                plan.record(encoder.facts, cut, self.trial.dims[cut.name]),
                seconds=seconds,
                samples=len(plan.samples),
                device=encoder.device,
                precision=encoder.facts.precision,
                batch_size=whole.batch_size,
                notes=notes,
                memory=memory,
            )
        return records

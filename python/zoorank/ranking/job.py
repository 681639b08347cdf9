"""One job: encode the target with one source and score it at each cut.

A job runs in whatever process an executor chooses. It is given plain records and gives one;
arrays travel through the store.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from zoorank.encoding.encode import Keep, encode_source
from zoorank.encoding.plan import EncodedSource, Encoding, Record
from zoorank.engine import cuda
from zoorank.errors import DataError, SourceError, UsageError
from zoorank.executors.base import Emit, Event, Failure
from zoorank.ranking.prototypes import Prototypes
from zoorank.ranking.scoring import (
    Facts,
    View,
    check_finite,
    computed,
    is_flat,
    result_names,
    results_of,
    unscored_reason,
)
from zoorank.scores import Score, ScoreValue
from zoorank.scores.base import Array, Need, SampleScore
from zoorank.sources.base import LOGITS, Known, Precision, Source
from zoorank.store.encodings import EncodingStore
from zoorank.targets.base import Target
from zoorank.targets.paths import same_place

FLAT_ENCODING = "its encoding is the same for all samples, which is no encoding"


@dataclass(frozen=True)
class Run:
    """What all jobs of one ranking share.

    Attributes
    ----------
    target : Target
    scores : tuple of Score
    store : Path
        Directory of the encodings.
    batch_size : int
    device : str
    save_encodings : bool or None
        Whether encodings are written to the store; None where a score needs them on the host.
    precision : {"float32", "bf16"}
    threads : int or None
        Of each source's framework.
    """

    target: Target
    scores: tuple[Score, ...]
    store: Path
    batch_size: int
    device: str
    save_encodings: bool | None = None
    precision: Precision = "float32"
    threads: int | None = None

    @property
    def needs_head(self) -> bool:
        """Whether a score looks at what the source's own classifier says."""
        return any(score.needs_head for score in self.scores)

    def keep(self, device: str) -> Keep:
        """Where encodings of a source that runs on a device are kept.

        On a device that the engine computes on they stay; they are written too as soon as a
        score cannot follow them there, for it needs them in host memory anyway.
        """
        if self.save_encodings is False:
            return "memory"
        if not device.startswith("cuda") or cuda.unavailable_reason():
            return "store"
        if self.save_encodings is None and all(score.on_device for score in self.scores):
            return "memory"
        return "both"


@dataclass(frozen=True)
class Job:
    """One source to be encoded and scored.

    Attributes
    ----------
    source : Source
    cuts : tuple of str
    rows : ndarray of int64 or None
        A sample of the target's rows, by which the scores of all are estimated; None for all.
    earlier : ndarray of int64 or None
        Rows that the store holds.
    """

    source: Source
    cuts: tuple[str, ...]
    rows: Array | None = None
    earlier: Array | None = None

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.source.name


@dataclass(frozen=True)
class Candidate:
    """A source cut at one layer, scored.

    Attributes
    ----------
    record : Record
    key : str
        Of its encoding in the store.
    reused : bool
        Whether the encoding was in the store already.
    values : mapping of str to ScoreValue
        By key of the score; on a sample these are estimates.
    samples : mapping of str to SampleScore
        On a sample, what each estimate rests on.
    score_seconds : float
    same_as : str or None
        The first cut of this source whose encoding is the same, bit for bit.
    copied : tuple of str
        Labels of the scores for which it was copied from a device to the host.
    reason : str
        Why it has no score.
    """

    record: Record
    key: str
    reused: bool
    values: Mapping[str, ScoreValue] = field(default_factory=dict)
    samples: Mapping[str, SampleScore] = field(default_factory=dict)
    score_seconds: float = 0.0
    same_as: str | None = None
    copied: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one source.

    Attributes
    ----------
    model : str
    candidates : tuple of Candidate
        In the order in which the cuts run.
    refused : mapping of str to str
        Cuts that could not be made, and why.
    note : str
        What a reader of its rows should know.
    weights_sha256 : str or None
    known : Known
    saw_target : bool
        Whether it was trained on the target itself.
    failure : Failure or None
        Why there are no candidates.
    mistake : UsageError or None
        What was wrong with the request for this source, such as a cut it does not have; other
        sources may well have it.
    """

    model: str
    candidates: tuple[Candidate, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    weights_sha256: str | None = None
    known: Known = field(default_factory=Known)
    saw_target: bool = False
    failure: Failure | None = None
    mistake: UsageError | None = None


def encode_and_score(run: Run, job: Job, emit: Emit) -> Outcome:
    """Run one job; a source that cannot be used gives an outcome that says so.

    Raises
    ------
    StoreError
        When the store cannot be written to, which every other job would meet too.
    """
    emit(Event(job.name, "opening"))
    try:
        return _Work(run, job, emit).outcome()
    except (SourceError, UsageError, DataError) as error:
        mistake = error if isinstance(error, UsageError) else None
        return Outcome(job.name, failure=Failure.of(error), mistake=mistake)


class _Work:
    """One job at work."""

    def __init__(self, run: Run, job: Job, emit: Emit) -> None:
        self._run, self._job, self._emit = run, job, emit
        self._store = EncodingStore(run.store)
        self._known: dict[str, ScoreValue] = {}  # values that no cut changes

    def outcome(self) -> Outcome:
        run, job = self._run, self._job
        compared, lacking = self._compared()
        encoded = self._encoded()
        by_cut = {encoding.cut: encoding for encoding in encoded.encodings}
        head = by_cut.get(LOGITS) if run.needs_head else None
        facts = {**self._facts(None if head is None else head.load()), **compared}
        asked = [each for each in encoded.encodings if each is not head or LOGITS in job.cuts]
        firsts = firsts_of(asked)
        return Outcome(
            model=job.name,
            candidates=tuple(self._candidate(each, facts, firsts.get(each.cut)) for each in asked),
            refused=encoded.refused,
            note="; ".join(filter(None, (encoded.note, lacking))),
            weights_sha256=encoded.weights_sha256,
            known=job.source.known(),
            saw_target=self._saw_target(),
        )

    def _encoded(self) -> EncodedSource:
        run, job = self._run, self._job
        # Before a source is opened nobody knows where "auto" runs: a device if there is one.
        expected = run.keep("cpu" if run.device == "cpu" else "cuda")
        in_memory = job.rows is None and expected == "memory"

        def on_batch(done: int, total: int) -> None:
            self._emit(Event(job.name, "encoding", done, total))

        return encode_source(
            job.source,
            run.target,
            cuts=(*job.cuts, LOGITS) if run.needs_head else job.cuts,
            store=self._store,
            batch_size=run.batch_size,
            device=run.device,
            precision=run.precision,
            threads=run.threads,
            on_batch=on_batch,
            rows=job.rows,
            earlier=job.earlier,
            # Samples of a race are what its next draw goes on from.
            keep=run.keep if job.rows is None else "store",
            results=result_names(run.scores) if in_memory else (),
        )

    def _candidate(self, encoding: Encoding, facts: Facts, same_as: str | None) -> Candidate:
        self._emit(Event(self._job.name, "scoring", cut=encoding.cut))
        start = time.perf_counter()
        values: dict[str, ScoreValue] = {}
        samples: dict[str, SampleScore] = {}
        copied: tuple[str, ...] = ()
        reason = ""
        try:
            if encoding.results:
                values = self._kept(encoding)
            elif self._job.rows is not None:
                samples = self._estimated(encoding, self._job.rows)
                values = {
                    key: ScoreValue(each.value, per_class=each.per_class)
                    for key, each in samples.items()
                }
            else:
                view = View(encoding)
                values = self._values(view, facts)
                copied = tuple(view.copied)
                self._keep(encoding, values)
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
            values, samples, reason = {}, {}, unscored_reason(error)
        return Candidate(
            record=encoding.record,
            key=encoding.key,
            reused=encoding.reused,
            values=values,
            samples=samples,
            score_seconds=time.perf_counter() - start,
            same_as=same_as,
            copied=copied,
            reason=reason,
        )

    def _values(self, view: View, facts: Facts) -> dict[str, ScoreValue]:
        if is_flat(view.values):
            raise ValueError(FLAT_ENCODING)
        return computed(self._run.scores, facts, view.of, self._known)

    def _estimated(self, encoding: Encoding, rows: Array) -> dict[str, SampleScore]:
        X, labels = encoding.load(), self._run.target.labels
        if is_flat(X):
            raise ValueError(FLAT_ENCODING)
        sizes = np.unique(labels, return_counts=True)[1]
        found = {}
        for score in self._run.scores:
            if score.of_sample is not None:
                found[score.key] = score.of_sample(X, labels[rows], sizes)
                check_finite(score, found[score.key].value)
        return found

    def _kept(self, encoding: Encoding) -> dict[str, ScoreValue]:
        names = result_names(self._run.scores)
        return {
            score.key: ScoreValue.of(encoding.results[name])
            for score, name in zip(self._run.scores, names, strict=True)
        }

    def _keep(self, encoding: Encoding, values: Mapping[str, ScoreValue]) -> None:
        """Keep the results of an encoding that itself is not kept.

        Logits that are there for the sake of a score must be encoded again to be of use.
        """
        if encoding.is_only_copy and not (self._run.needs_head and encoding.cut == LOGITS):
            results = results_of(self._run.scores, values)
            if results:
                plain = {"record": encoding.record.plain(), "results": results}
                self._store.save_results(encoding.key, plain)

    def _facts(self, logits: Array | None) -> Facts:
        """What scores may look at whatever the cut."""
        facts: dict[Need, Array] = {"labels": self._run.target.labels}
        if logits is not None:
            shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
            facts["source_probabilities"] = shifted / shifted.sum(axis=1, keepdims=True)
            facts["source_labels"] = logits.argmax(axis=1)
        return facts

    @cached_property
    def _prototypes(self) -> Prototypes:
        return Prototypes(self._run.target, self._store)

    def _compared(self) -> tuple[Facts, str]:
        """What scores may look at of the source's own data, or why there is nothing."""
        asking = [score.label for score in self._run.scores if score.needs_source_data]
        if not asking:
            return {}, ""
        try:
            target = self._prototypes.of_target()  # first: without them no source's are any use
            source = self._prototypes.of_source(self._job.source)
        except (DataError, UsageError) as error:
            return {}, f"no {', '.join(asking)}: {error}"
        return {"prototypes": target, "source_prototypes": source}, ""

    def _saw_target(self) -> bool:
        """Whether the manifest says that the source was trained on the place of the target.

        What lies in two places is compared only if a score has read it anyway: to find out,
        nothing is loaded.
        """
        place = self._job.source.trained_on
        if place is None:
            return False
        return same_place(place, self._run.target.place) or self._prototypes.is_target(place)


def firsts_of(encodings: Sequence[Encoding]) -> dict[str, str]:
    """Of each cut that repeats an earlier one of the same source, which cut that is.

    The last block of many networks, pooled, is the penultimate cut. Each cut keeps its row,
    for whoever counts on it, but there is one encoding, and it counts once.
    """
    first: dict[str, str] = {}
    repeats = {}
    for encoding in encodings:
        earlier = first.setdefault(encoding.content or encoding.cut, encoding.cut)
        if earlier != encoding.cut:
            repeats[encoding.cut] = earlier
    return repeats

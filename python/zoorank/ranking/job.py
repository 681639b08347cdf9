"""One job: encode the target with one source and score it at each cut.

A job runs in whatever process an executor chooses. It is given plain records and gives one;
arrays travel through the store.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar

import numpy as np

from zoorank.encoding.encode import Keep, encode_source
from zoorank.encoding.passes import as_ndarray
from zoorank.encoding.records import EncodedSource, Encoding, Filtered
from zoorank.engine import environment
from zoorank.errors import DataError, SourceError, UsageError
from zoorank.executors.base import Emit, Event, Failure, Stage
from zoorank.messages import one_line
from zoorank.ranking.defaults import defaults_kept
from zoorank.ranking.outcomes import Candidate, Job, Outcome, Run, known_of
from zoorank.ranking.page import Page
from zoorank.ranking.prototypes import Prototypes
from zoorank.scores import Facts, ScoreValue, compute
from zoorank.scores.base import Array, SampleScore
from zoorank.sources.base import LOGITS
from zoorank.targets import same_place

E = TypeVar("E", Encoding, Candidate)

# What differs by less than this part of the number itself, or of the largest one, is rounding.
_OWN, _LARGEST = 1e-5, 1e-6
_SHARE = 0.95  # of samples that may not all be the same
_PICKED = 9
_BLOCK = 4096


def encode_and_score(run: Run, job: Job, emit: Emit) -> Outcome:
    """Run one job; a source that cannot be used gives an outcome that says so.

    What the ledger knows of the source on this target is neither encoded nor scored again.

    Raises
    ------
    StoreError
        When the store cannot be written to, which every other job would meet too.
    """
    try:
        if run.filters is not None:
            known = job.source.known()
            # What is not known yet may be once the source is fetched.
            if known.licence and (reason := run.filters.licence_reason(known)):
                return Outcome(job.source.name, known=known, filtered=(Filtered(reason),))
        with defaults_kept():
            return _Work(run, job, emit).outcome()
    except (SourceError, UsageError, DataError) as error:
        mistake = error if isinstance(error, UsageError) else None
        known = known_of(job.source)
        return Outcome(job.source.name, known=known, failure=Failure.of(error), mistake=mistake)


class _Work:
    """One job at work."""

    def __init__(self, run: Run, job: Job, emit: Emit) -> None:
        self._began = self._opened = time.perf_counter()  # opened: when the trial was done
        self._run, self._job, self._emit = run, job, emit
        self._tell("opening")
        self._source = job.source.resolve(self._opening)
        self._identity = self._source.identity()
        self._published = self._source.known()
        self._page = Page.of(run, self._identity, job)
        self._known: dict[str, ScoreValue] = {}  # values that no cut changes
        # Whether a score looks at what the source's own classifier says.
        self._needs_head = any(score.needs_head for score in run.scores)

    def outcome(self) -> Outcome:
        """What comes of the job, and how long it took."""
        outcome, job = self._untimed(), self._job
        rows = self._run.target.n_rows if job.rows is None else len(job.rows)
        rows -= 0 if job.earlier is None else len(job.earlier)
        a_row = (time.perf_counter() - self._opened) / max(rows, 1)
        return replace(outcome, opening=self._opened - self._began, a_row=a_row)

    def _untimed(self) -> Outcome:
        run, job = self._run, self._job
        # Who ends this process is known by this digest to the one that survives it.
        self._tell("opening", source=self._page.source)
        known = self._published
        if run.filters is not None and (reason := run.filters.licence_reason(known)):
            return Outcome(job.source.name, known=known, filtered=(Filtered(reason),))
        if not run.retry and (failure := self._page.fatal) is not None:
            return Outcome(job.source.name, known=known, failure=failure)
        compared, lacking = self._compared()
        if not job.estimates and not compared and self._page.candidates is not None:
            kept, filtered = self._allowed(self._page.candidates)
            return self._whole(kept, self._page.refused, "", lacking, filtered)
        encoded = self._encoded()
        by_cut = {each.record.cut: each for each in encoded.encodings}
        head = by_cut.get(LOGITS) if self._needs_head else None
        facts = self._facts(None if head is None else head.load(), compared)
        asked = [each for each in encoded.encodings if each is not head or LOGITS in job.cuts]
        left, over = self._allowed(asked)
        filtered = (*encoded.filtered, *over)
        firsts = firsts_of(left)
        began = time.perf_counter()
        candidates = [self._candidate(each, facts, firsts.get(each.record.cut)) for each in left]
        stages = replace(encoded.stages, scoring=time.perf_counter() - began)
        outcome = self._whole(candidates, encoded.refused, encoded.note, lacking, filtered)
        outcome = replace(outcome, stages=stages)
        if not job.estimates:
            self._page.keep(run, job, outcome)
        return outcome

    def _allowed(self, found: Iterable[E]) -> tuple[list[E], tuple[Filtered, ...]]:
        """Tell cuts that cost more than is allowed from the others."""
        filters, left, filtered = self._run.filters, [], []
        for each in found:
            record, reason = each.record, ""
            if filters is not None:
                reason = filters.cost_reason(record.parameters_kept, record.milliseconds)
            if reason:
                filtered.append(Filtered(reason, record))
            else:
                left.append(each)
        return left, tuple(filtered)

    def _tell(
        self,
        stage: Stage,
        done: int = 0,
        total: int = 0,
        *,
        cut: str = "",
        source: str = "",
        expected: float = 0.0,
    ) -> None:
        """Tell how far the job is, here or to another process."""
        self._emit(Event(self._job.source.name, stage, done, total, cut, source, expected))

    def _opening(self, _step: str) -> None:
        # Who watches this process sees by every step that it does something.
        self._opened = time.perf_counter()
        self._tell("opening")

    def _whole(
        self,
        candidates: Sequence[Candidate],
        refused: Mapping[str, str],
        note: str,
        lacking: str,
        filtered: tuple[Filtered, ...] = (),
    ) -> Outcome:
        weights = self._identity.get("weights")
        notes = [note] if note else dict.fromkeys(n for c in candidates for n in c.record.notes)
        return Outcome(
            model=self._job.source.name,
            candidates=tuple(candidates),
            refused=refused,
            note="; ".join(filter(None, [*notes, lacking])),
            weights_sha256=weights if isinstance(weights, str) else None,
            known=self._published,
            saw_target=self._saw_target(),
            filtered=filtered,
        )

    def _encoded(self) -> EncodedSource:
        run, job = self._run, self._job

        def on_trial(seconds: float) -> None:
            total = run.target.n_samples if job.rows is None else len(job.rows)
            self._tell("encoding", 0, total, expected=seconds)

        return encode_source(
            self._source,
            run.target,
            cuts=(*job.cuts, LOGITS) if self._needs_head else job.cuts,
            store=run.store,
            batch_size=run.batch_size,
            device=run.device,
            precision=run.precision,
            on_batch=lambda done, total: self._tell("encoding", done, total),
            on_trial=on_trial,
            events=self._opening,
            rows=job.rows,
            earlier=job.earlier,
            # Samples of a race are what its next draw goes on from.
            keep=partial(keep_on, run=run) if job.rows is None else "store",
            filters=run.filters,
            exempt=() if LOGITS in job.cuts else (LOGITS,),
            identity=self._identity,
        )

    def _candidate(self, encoding: Encoding, facts: Facts, same_as: str | None) -> Candidate:
        self._tell("scoring", cut=encoding.record.cut)
        start = time.perf_counter()
        values: dict[str, ScoreValue] = {}
        samples: dict[str, SampleScore] = {}
        copied: tuple[str, ...] = ()
        reason = ""
        try:
            if self._job.estimates and self._job.rows is not None:
                samples = self._estimated(encoding, self._job.rows)
                values = {
                    key: ScoreValue(each.value, per_class=each.per_class)
                    for key, each in samples.items()
                }
            else:
                values, copied = self._values(encoding, facts)
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
            values, samples, reason = {}, {}, one_line(error)
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

    def _values(
        self, encoding: Encoding, facts: Facts
    ) -> tuple[dict[str, ScoreValue], tuple[str, ...]]:
        """Values of all scores, and the labels of those that got a copy on the host."""
        if reason := sameness(encoding.values):
            raise ValueError(reason)
        there = {**self._page.values.get(encoding.record.cut, {}), **self._known}
        lacking = [score for score in self._run.scores if score.key not in there]
        given = replace(facts, encoding=encoding.values)
        computed = compute(lacking, given, raises=True)
        values = computed.values
        for score in lacking:
            if score.key in values and not score.varies_with_cut:
                self._known[score.key] = values[score.key]
        labels = {score.key: score.label for score in lacking}
        copied = computed.copied if encoding.is_only_copy else ()
        return {**there, **values}, tuple(labels[key] for key in copied)

    def _estimated(self, encoding: Encoding, rows: Array) -> dict[str, SampleScore]:
        X, labels = encoding.load(), self._run.target.labels
        if reason := sameness(X):
            raise ValueError(reason)
        sizes = np.unique(labels, return_counts=True)[1]
        found = {}
        for score in self._run.scores:
            if score.of_sample is not None:
                found[score.key] = score.of_sample(X, labels[rows], sizes)
                if not math.isfinite(found[score.key].value):
                    raise ValueError(f"{score.label} is {found[score.key].value}")
        return found

    def _facts(self, logits: Array | None, compared: Mapping[str, Array]) -> Facts:
        """What scores may look at whatever the cut."""
        target, rows = self._run.target, self._job.rows
        labels, groups = target.labels, target.groups
        if rows is not None:
            labels, groups = labels[rows], None if groups is None else groups[rows]
        facts = Facts(labels, task=target.task, groups=groups, **compared)
        if logits is None:
            return facts
        shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        likely = shifted / shifted.sum(axis=1, keepdims=True)
        return replace(facts, source_probabilities=likely, source_labels=logits.argmax(axis=1))

    @cached_property
    def _prototypes(self) -> Prototypes:
        return Prototypes(self._run.target, self._run.store)

    def _compared(self) -> tuple[dict[str, Array], str]:
        """What scores may look at of the source's own data, or why there is nothing."""
        asking = [score.label for score in self._run.scores if score.needs_source_data]
        if not asking:
            return {}, ""
        try:
            target = self._prototypes.of_target()  # first: without them no source's are any use
            source = self._prototypes.of_source(self._source)
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


def keep_on(device: str, run: Run) -> Keep:
    """Where encodings of a source that runs on a device are kept.

    On a device that the engine computes on they stay; they are written too as soon as a
    score cannot follow them there, for it needs them in host memory anyway.
    """
    if run.save_encodings is False:
        return "memory"
    if not device.startswith("cuda") or environment.unavailable_reason():
        return "store"
    if run.save_encodings is None and all(score.on_device for score in run.scores):
        return "memory"
    return "both"


def firsts_of(encodings: Sequence[Encoding]) -> dict[str, str]:
    """Of each cut that repeats an earlier one of the same source, which cut that is.

    The last block of many networks, pooled, is the penultimate cut. Each cut keeps its row,
    for whoever counts on it, but there is one encoding, and it counts once.
    """
    first: dict[str, str] = {}
    repeats = {}
    for encoding in encodings:
        cut = encoding.record.cut
        earlier = first.setdefault(encoding.record.content or cut, cut)
        if earlier != cut:
            repeats[cut] = earlier
    return repeats


def sameness(X: Array) -> str:
    """Say of an encoding that is the same for nearly all samples that it is none.

    A network whose units are dead gives one row for all samples, but for a few of one class
    perhaps: by most scores that row would be far from the few, and first of all encodings.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
        Wherever it is; it is read block by block.

    Returns
    -------
    str
        Empty for an encoding.

    Examples
    --------
    >>> import numpy as np
    >>> sameness(np.full((3, 2), 0.1))
    'its encoding is the same for all samples, which is no encoding'
    >>> sameness(np.eye(3))
    ''
    """
    common = _common_row(X)
    if common is None:
        return ""
    row, n_rows = X[common], len(X)
    largest, others = abs(row).max(), 0
    for start in range(0, n_rows, _BLOCK):
        block = X[start : start + _BLOCK]
        near = abs(block - row) <= _OWN * abs(row) + _LARGEST * largest
        others += len(block) - int(near.all(1).sum())
        if others > (1 - _SHARE) * n_rows:
            return ""
    which = f"{n_rows - others:,} of {n_rows:,}" if others else "all"
    return f"its encoding is the same for {which} samples, which is no encoding"


def _common_row(X: Array) -> int | None:
    """A row that others repeat, if any is repeated by most."""
    places = sorted({len(X) * k // _PICKED for k in range(_PICKED)})
    rows = as_ndarray(X[places]).astype("f8")
    largest = abs(rows).max()
    counts = [
        (abs(rows - row) <= _OWN * abs(row) + _LARGEST * largest).all(axis=1).sum() for row in rows
    ]
    best = max(range(len(places)), key=lambda place: int(counts[place]))
    return places[best] if 2 * counts[best] > len(places) else None

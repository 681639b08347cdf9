"""One source at a time: encode it, score each cut, turn failures into rows."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.engine import cuda
from zoorank.errors import DataError, SourceError, UsageError
from zoorank.ranking.progress import Progress
from zoorank.ranking.prototypes import Prototypes
from zoorank.ranking.ranking import RankRow, Status
from zoorank.ranking.repeats import firsts_of, told
from zoorank.ranking.views import Views, result_names, results_of
from zoorank.scores import Score, ScoreValue
from zoorank.scores.base import Array, Need

if TYPE_CHECKING:
    from zoorank.encoding.memory import Keep
    from zoorank.encoding.plan import EncodedSource, Encoding
    from zoorank.sources.specs import ModelSpec
    from zoorank.store.encodings import EncodingStore
    from zoorank.targets.base import Target

BASELINE = "raw input"
LOGITS = "logits"

Facts = Mapping[Need, Array]


@dataclass(frozen=True)
class SourceResult:
    """The rows of one source.

    Attributes
    ----------
    model : str
    rows : tuple of RankRow
        One for each cut, or a single one with the reason why there are none.
    weights_sha256 : str or None
    mistake : UsageError or None
        What was wrong with the request for this source, such as a cut it does
        not have; other sources may well have it.
    """

    model: str
    rows: tuple[RankRow, ...]
    weights_sha256: str | None = None
    mistake: UsageError | None = None


@dataclass(frozen=True)
class Run:
    """What all sources of one ranking share."""

    target: Target
    scores: tuple[Score, ...]
    store: EncodingStore
    batch_size: int
    device: str
    save_encodings: bool | None = None

    @cached_property
    def keep(self) -> Keep:
        """Where encodings are kept.

        On a device that the engine computes on they stay; they are written too as soon as a
        score cannot follow them there, for it needs them in host memory anyway.
        """
        from zoorank.sources.torch.load import torch_device

        if self.save_encodings is False:
            return "memory"
        if torch_device(self.device).type != "cuda" or cuda.unavailable_reason():
            return "store"
        if self.save_encodings is None and all(score.on_device for score in self.scores):
            return "memory"
        return "both"

    @cached_property
    def prototypes(self) -> Prototypes:
        """Of the target and of the sources' data."""
        return Prototypes(self.target, self.store)

    @property
    def needs_head(self) -> bool:
        """Whether a score looks at what the source's own classifier says."""
        return any(score.needs_head for score in self.scores)

    def every(
        self, specs: Sequence[ModelSpec], cuts_of: Mapping[str, Sequence[str]], watcher: Progress
    ) -> list[SourceResult]:
        """Encode the target with every source and score it at its cuts."""
        sources = []
        for spec in specs:
            sources.append(self.source(spec, cuts_of[spec.name], watcher))
            watcher.finished(spec.name, sources[-1].rows)
        return sources

    def source(
        self,
        spec: ModelSpec,
        cuts: Sequence[str],
        watcher: Progress,
        earlier: Array | None = None,
    ) -> SourceResult:
        """Encode the target with one source and score it at each cut.

        Rows in ``earlier`` that the store holds are not encoded again.
        """
        compared, lacking = self._compared(spec)
        encoded = self.encoded(spec, cuts, watcher, earlier=earlier)
        if isinstance(encoded, SourceResult):
            return encoded
        by_cut = {encoding.cut: encoding for encoding in encoded.encodings}
        facts = self._facts(by_cut[LOGITS].load() if self.needs_head else None)
        known: dict[str, ScoreValue] = {}
        rows = []
        note = "; ".join(filter(None, (encoded.note, lacking)))
        asked = asked_for(encoded, cuts)
        firsts = firsts_of(asked)
        for encoding in asked:
            watcher.scoring(spec.name, encoding.cut)
            row = told(row_of(spec.name, encoding, note), firsts.get(encoding.cut))
            rows.append(self._scored_encoding(row, encoding, {**facts, **compared}, known))
        return SourceResult(spec.name, tuple(rows), encoded.weights_sha256)

    def encoded(
        self,
        spec: ModelSpec,
        cuts: Sequence[str],
        watcher: Progress,
        *,
        rows: Array | None = None,
        earlier: Array | None = None,
    ) -> EncodedSource | SourceResult:
        """Encode all rows or some; a source that cannot be used gives the row that says so."""
        from zoorank.encoding.encode import encode_source

        try:
            return encode_source(
                spec,
                self.target,
                cuts=(*cuts, LOGITS) if self.needs_head else cuts,
                store=self.store,
                batch_size=self.batch_size,
                device=self.device,
                on_batch=lambda done, total: watcher.encoding(spec.name, done, total),
                rows=rows,
                earlier=earlier,
                # Samples of a race are what its next draw goes on from.
                keep=self.keep if rows is None else "store",
                results=result_names(self.scores) if rows is None and self.keep == "memory" else (),
            )
        except (SourceError, UsageError) as error:
            failed = RankRow(None, spec.name, None, status="failed", note=str(error))
            mistake = error if isinstance(error, UsageError) else None
            return SourceResult(spec.name, (failed,), spec.sha256, mistake)

    def baseline(self) -> RankRow:
        """Score the raw input like an encoding, without any network."""
        raw: Any = self.target.baseline()
        row = RankRow(None, BASELINE, None, dim=raw.shape[1], parameters_kept=0, status="baseline")
        return self._scored(row, self._facts(), {}, Views(raw))

    def _facts(self, logits: Array | None = None) -> Facts:
        """What scores may look at whatever the cut."""
        facts: dict[Need, Array] = {"labels": self.target.labels}
        if logits is not None:
            shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
            facts["source_probabilities"] = shifted / shifted.sum(axis=1, keepdims=True)
            facts["source_labels"] = logits.argmax(axis=1)
        return facts

    def _compared(self, spec: ModelSpec) -> tuple[Facts, str]:
        """What scores may look at of the source's own data, or why there is nothing."""
        asking = [score.label for score in self.scores if score.needs_source_data]
        if not asking:
            return {}, ""
        try:
            target = self.prototypes.of_target()  # first: without them no source's are any use
            return {"prototypes": target, "source_prototypes": self.prototypes.of_source(spec)}, ""
        except (DataError, UsageError) as error:
            return {}, f"no {', '.join(asking)}: {error}"

    def _scored_encoding(
        self, row: RankRow, encoding: Encoding, facts: Facts, known: dict[str, ScoreValue]
    ) -> RankRow:
        if encoding.results:
            kept = zip(self.scores, result_names(self.scores), strict=True)
            return self._filled(
                row, {score.key: ScoreValue.of(encoding.results[name]) for score, name in kept}, 0.0
            )
        views = Views(encoding)
        scored = self._scored(row, facts, known, views)
        if views.copied:
            note = f"copied to the host for {', '.join(views.copied)}"
            scored = replace(scored, note="; ".join(filter(None, (scored.note, note))))
        # What the head says is what other cuts are scored by: its results would not do.
        if scored.status != "failed" and not (self.needs_head and encoding.cut == LOGITS):
            encoding.keep_results(views.results)
        return scored

    def _scored(
        self, row: RankRow, facts: Facts, known: dict[str, ScoreValue], views: Views
    ) -> RankRow:
        start = time.perf_counter()
        try:
            values = self._values(facts, known, views)
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
            return unscored(row, error)
        views.results = results_of(self.scores, values)
        return self._filled(row, values, time.perf_counter() - start)

    def _filled(self, row: RankRow, values: dict[str, ScoreValue], seconds: float) -> RankRow:
        deciding = values.get(self.scores[0].key)
        return replace(
            row,
            status=row.status if deciding or row.status == "baseline" else "failed",
            score=deciding.value if deciding else None,
            half_width=deciding.half_width if deciding else 0.0,
            scores={key: value.value for key, value in values.items()},
            per_class=deciding.per_class if deciding else (),
            score_seconds=seconds,
        )

    def _values(
        self, facts: Facts, known: dict[str, ScoreValue], views: Views
    ) -> dict[str, ScoreValue]:
        """All scores that the facts allow; what no cut changes is kept in ``known``."""
        values = {}
        for score in self.scores:
            if not set(score.needs) <= {*facts, "encoding"}:
                continue
            value = known.get(score.key)
            if value is None:
                given = (
                    views.of(score) if need == "encoding" else facts[need] for need in score.needs
                )
                value = self._value(score, *given)
                if not score.varies_with_cut:
                    known[score.key] = value
            values[score.key] = value
        return values

    def _value(self, score: Score, *arrays: Array) -> ScoreValue:
        value = score.compute(*arrays)
        check_finite(score, value.value)
        return value


def asked_for(encoded: EncodedSource, cuts: Sequence[str]) -> list[Encoding]:
    """The encodings to rank, without the logits that are there for the sake of a score."""
    return [each for each in encoded.encodings if each.cut != LOGITS or LOGITS in cuts]


def row_of(model: str, encoding: Encoding, note: str) -> RankRow:
    """What is known of an encoding before it is scored."""
    return RankRow(
        None,
        model,
        encoding.cut,
        dim=encoding.dim,
        parameters_kept=encoding.parameters_kept,
        encode_seconds=encoding.seconds,
        reused=encoding.reused,
        note=note,
    )


def unscored(row: RankRow, error: Exception) -> RankRow:
    """The row with the reason why it has no score."""
    reason = " ".join(str(error).split()) or type(error).__name__
    note = "; ".join(filter(None, (row.note, reason)))
    status: Status = "baseline" if row.status == "baseline" else "failed"
    return replace(row, status=status, note=note)


def check_finite(score: Score, value: float) -> None:
    """Refuse a value that no order can be made of."""
    if not math.isfinite(value):
        raise ValueError(f"{score.label} is {value}")

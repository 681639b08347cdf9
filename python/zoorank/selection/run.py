"""One source at a time: encode it, score each cut, turn failures into rows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from zoorank.engine import cuda
from zoorank.errors import SourceError, UsageError
from zoorank.scores import Score, ScoreValue
from zoorank.selection.progress import Progress
from zoorank.selection.ranking import RankRow, Status
from zoorank.selection.views import Views, result_names, results_of

if TYPE_CHECKING:
    from zoorank.scores.base import Array
    from zoorank.zoo import Encoding, EncodingStore, Keep, ModelSpec, Target

BASELINE = "raw input"
LOGITS = "logits"


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
        from zoorank.zoo import torch_device

        if self.save_encodings is False:
            return "memory"
        if torch_device(self.device).type != "cuda" or cuda.unavailable_reason():
            return "store"
        if self.save_encodings is None and all(score.on_device for score in self.scores):
            return "memory"
        return "both"

    def source(self, spec: ModelSpec, cuts: Sequence[str], watcher: Progress) -> SourceResult:
        """Encode the target with one source and score it at each cut."""
        from zoorank.zoo import encode_source

        needs_head = any(score.needs_head for score in self.scores)
        try:
            encoded = encode_source(
                spec,
                self.target,
                cuts=(*cuts, LOGITS) if needs_head else cuts,
                store=self.store,
                batch_size=self.batch_size,
                device=self.device,
                on_batch=lambda done, total: watcher.encoding(spec.name, done, total),
                keep=self.keep,
                results=result_names(self.scores) if self.keep == "memory" else (),
            )
        except (SourceError, UsageError) as error:
            failed = RankRow(None, spec.name, None, status="failed", note=str(error))
            mistake = error if isinstance(error, UsageError) else None
            return SourceResult(spec.name, (failed,), spec.sha256, mistake)
        by_cut = {encoding.cut: encoding for encoding in encoded.encodings}
        logits = by_cut[LOGITS].load() if needs_head else None
        if LOGITS not in cuts:
            by_cut.pop(LOGITS, None)
        rows = []
        for encoding in by_cut.values():
            watcher.scoring(spec.name, encoding.cut)
            rows.append(self._scored_cut(spec.name, encoding, logits, encoded.note))
        return SourceResult(spec.name, tuple(rows), encoded.weights_sha256)

    def baseline(self) -> RankRow:
        """Score the raw input like an encoding, without any network."""
        raw = self.target.raw()
        row = RankRow(None, BASELINE, None, dim=raw.shape[1], parameters_kept=0, status="baseline")
        return self._scored(row, Views(raw))

    def _scored_cut(
        self, model: str, encoding: Encoding, logits: Array | None, note: str
    ) -> RankRow:
        row = RankRow(
            None,
            model,
            encoding.cut,
            dim=encoding.dim,
            parameters_kept=encoding.parameters_kept,
            encode_seconds=encoding.seconds,
            reused=encoding.reused,
            note=note,
        )
        if encoding.results:
            kept = result_names(self.scores)
            known = {
                score.key: ScoreValue.of(encoding.results[name])
                for score, name in zip(self.scores, kept, strict=True)
            }
            return self._filled(row, known, 0.0)
        views = Views(encoding, logits)
        scored = self._scored(row, views)
        if views.copied:
            note = f"copied to the host for {', '.join(views.copied)}"
            scored = replace(scored, note="; ".join(filter(None, (scored.note, note))))
        if scored.status != "failed":
            encoding.keep_results(views.results)
        return scored

    def _scored(self, row: RankRow, views: Views) -> RankRow:
        start = time.perf_counter()
        try:
            values = {
                score.key: self._value(score, views.of(score))
                for score in self.scores
                if views.has_head or not score.needs_head
            }
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            note = "; ".join(filter(None, (row.note, reason)))
            status: Status = "baseline" if row.status == "baseline" else "failed"
            return replace(row, status=status, note=note)
        views.results = results_of(self.scores, values)
        return self._filled(row, values, time.perf_counter() - start)

    def _filled(self, row: RankRow, values: dict[str, ScoreValue], seconds: float) -> RankRow:
        deciding = values.get(self.scores[0].key)
        return replace(
            row,
            score=deciding.value if deciding else None,
            half_width=deciding.half_width if deciding else 0.0,
            scores={key: value.value for key, value in values.items()},
            per_class=deciding.per_class if deciding else (),
            score_seconds=seconds,
        )

    def _value(self, score: Score, X: Array) -> ScoreValue:
        value = score.compute(X, self.target.labels)
        if not math.isfinite(value.value):
            raise ValueError(f"{score.label} is {value.value}")
        return value

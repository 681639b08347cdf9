"""One source at a time: encode it, score each cut, turn failures into rows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zoorank.errors import SourceError, UsageError
from zoorank.scores import Score, ScoreValue
from zoorank.scores.base import Array
from zoorank.selection.progress import Progress
from zoorank.selection.ranking import RankRow, Status

if TYPE_CHECKING:
    from zoorank.zoo import Encoding, EncodingStore, ModelSpec, Target

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
        return self._scored(row, raw)

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
        return self._scored(row, encoding.load(), logits)

    def _scored(self, row: RankRow, X: Array, logits: Array | None = None) -> RankRow:
        start = time.perf_counter()
        try:
            values = {
                score.key: self._value(score, _first(score, X, logits))
                for score in self.scores
                if logits is not None or not score.needs_head
            }
        except (ValueError, ArithmeticError, MemoryError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            note = "; ".join(filter(None, (row.note, reason)))
            status: Status = "baseline" if row.status == "baseline" else "failed"
            return replace(row, status=status, note=note)
        deciding = values.get(self.scores[0].key)
        return replace(
            row,
            score=deciding.value if deciding else None,
            half_width=deciding.half_width if deciding else 0.0,
            scores={key: value.value for key, value in values.items()},
            per_class=deciding.per_class if deciding else (),
            score_seconds=time.perf_counter() - start,
        )

    def _value(self, score: Score, X: Array) -> ScoreValue:
        value = score.compute(X, self.target.labels)
        if not math.isfinite(value.value):
            raise ValueError(f"{score.label} is {value.value}")
        return value


def _first(score: Score, X: Array, logits: Array | None) -> Array:
    """What a score looks at beside the labels."""
    if logits is None or not score.needs_head:
        return X
    if score.needs[0] == "source_labels":
        return np.asarray(logits.argmax(axis=1))
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

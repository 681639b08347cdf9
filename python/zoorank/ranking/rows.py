"""From what became of the sources to the rows of a table, each of them made here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from zoorank.encoding.plan import Filtered, Record
from zoorank.ranking.outcomes import Candidate, Outcome, Run
from zoorank.ranking.records import CutFacts, RankRow
from zoorank.ranking.scoring import needed_values, unscored_reason
from zoorank.scores import Facts, Score, ScoreValue, compute
from zoorank.scores.base import Array
from zoorank.sources.base import Known

BASELINE = "raw input"
SAW_TARGET = "trained on this target, so its score says nothing about transfer"


def rows_of(outcome: Outcome, scores: Sequence[Score]) -> list[RankRow]:
    """Rows of one source: one for each cut, or a single one with the reason why there are none.

    Parameters
    ----------
    outcome : Outcome
    scores : sequence of Score
        The first has parts by class, and decides unless a consensus does.
    """
    if outcome.failure is not None:
        failure = outcome.failure
        return [_failed(outcome.model, None, failure.reason, failure.traceback)]
    refused = [_failed(outcome.model, name, reason) for name, reason in outcome.refused.items()]
    filtered = [_filtered(outcome, each) for each in outcome.filtered]
    return [*(_row(outcome, each, scores) for each in outcome.candidates), *filtered, *refused]


def baseline_rows(run: Run) -> list[RankRow]:
    """The raw input scored like an encoding, without any network; none where there is none."""
    raw: Array | None = run.target.baseline()
    if raw is None:
        return []
    start = time.perf_counter()
    values: dict[str, ScoreValue] = {}
    note = ""
    try:
        target = run.target
        facts = Facts(target.labels, raw, task=target.task, groups=target.groups)
        values = needed_values(run.scores, compute(run.scores, facts, n_threads=run.threads))
    except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
        note = unscored_reason(error)
    row = replace(
        _scored(values, run.scores),
        model=BASELINE,
        dim=raw.shape[1],
        parameters_kept=0,
        score_seconds=None if note else time.perf_counter() - start,
        status="baseline",
        note="; ".join(filter(None, [*run.target.notes, note])),
    )
    return [row]


def distinct(rows: Sequence[RankRow]) -> list[RankRow]:
    """Leave out what repeats another of these rows."""
    there = {(row.model, row.cut) for row in rows}
    return [row for row in rows if row.same_as is None or (row.model, row.same_as) not in there]


def have_one_encoding(row: RankRow, other: RankRow) -> bool:
    """Whether two rows are of one encoding."""
    return row.model == other.model and (row.same_as or row.cut) == (other.same_as or other.cut)


def _row(outcome: Outcome, candidate: Candidate, scores: Sequence[Score]) -> RankRow:
    record = candidate.record
    row = _scored(candidate.values, scores)
    is_sample = bool(candidate.samples)
    return replace(
        row,
        model=outcome.model,
        cut=record.cut,
        dim=record.dim,
        parameters_kept=record.parameters_kept,
        encode_seconds=record.seconds,
        score_seconds=None if candidate.reason else candidate.score_seconds,
        reused=candidate.reused,
        status="ok" if row.score is not None else "failed",
        note="; ".join(_notes(outcome, candidate)),
        rows=record.samples if is_sample else None,
        same_as=candidate.same_as,
        facts=_facts(record, outcome.known),
        encoding=candidate.key,
    )


def _scored(values: Mapping[str, ScoreValue], scores: Sequence[Score]) -> RankRow:
    deciding = values.get(scores[0].key)
    return RankRow(
        rank=None,
        model="",
        cut=None,
        score=deciding.value if deciding else None,
        half_width=deciding.half_width if deciding else 0.0,
        scores={key: value.value for key, value in values.items()},
        per_class=deciding.per_class if deciding else (),
    )


def _notes(outcome: Outcome, candidate: Candidate) -> Iterator[str]:
    if outcome.note:
        yield outcome.note
    if candidate.same_as is not None:
        yield f"the same encoding as at {candidate.same_as}, to the last bit"
    if candidate.copied:
        yield f"copied to the host for {', '.join(candidate.copied)}"
    if candidate.reason:
        yield candidate.reason
    elif outcome.saw_target:
        yield SAW_TARGET


def _facts(record: Record, known: Known) -> CutFacts:
    return CutFacts(
        parameters=record.parameters_kept,
        bytes=record.bytes_kept,
        flops=record.flops,
        milliseconds=record.milliseconds,
        memory=record.memory,
        batch_size=record.batch_size or None,
        licence=known.licence,
        accuracy=known.accuracy,
        benchmark=known.benchmark,
        training_data=known.training_data,
        framework=record.framework,
    )


def _filtered(outcome: Outcome, filtered: Filtered) -> RankRow:
    record = filtered.record
    row = RankRow(None, outcome.model, None, status="filtered", note=filtered.reason)
    if record is None:
        known = outcome.known
        facts = CutFacts(
            licence=known.licence,
            accuracy=known.accuracy,
            benchmark=known.benchmark,
            training_data=known.training_data,
        )
        return replace(row, facts=facts)
    return replace(
        row,
        cut=record.cut,
        dim=record.dim,
        parameters_kept=record.parameters_kept,
        facts=_facts(record, outcome.known),
    )


def _failed(model: str, cut: str | None, reason: str, traceback: str = "") -> RankRow:
    return RankRow(None, model, cut, status="failed", note=reason, traceback=traceback)

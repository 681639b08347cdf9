"""The rows of a ranking: what each holds, and how it is made of what became of a source."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from zoorank.encoding.records import Filtered, Record
from zoorank.messages import one_line
from zoorank.ranking.outcomes import Candidate, Outcome, Run
from zoorank.scores import Facts, Score, ScoreValue, compute
from zoorank.scores.base import Array
from zoorank.sources.base import Known

Status = Literal["ok", "failed", "baseline", "filtered", "sampled", "untried"]

BASELINE = "raw input"
QUANTILE = 1.96  # of a normal variable: 95 % lie within
SAW_TARGET = "trained on this target, so its score says nothing about transfer"


@dataclass(frozen=True)
class CutFacts:
    """What a source costs as it is cut, and what is published about it.

    Attributes
    ----------
    parameters, bytes : int or None
        Of what is kept.
    flops : int or None
        Operations for one sample, up to the cut; None where nobody counts them.
    milliseconds : float or None
        For one sample up to the cut, as measured in the run that encoded the target.
    memory : int or None
        Most bytes that loading the source and running it took in that run, of all its cuts
        together; None where nobody tells.
    batch_size : int or None
        Samples of the batches in that run.
    licence : str
    accuracy : float or None
        Published, of the whole source on ``benchmark``, 0 to 1.
    benchmark, training_data, framework : str
    """

    parameters: int | None = None
    bytes: int | None = None
    flops: int | None = None
    milliseconds: float | None = None
    memory: int | None = None
    batch_size: int | None = None
    licence: str = ""
    accuracy: float | None = None
    benchmark: str = ""
    training_data: str = ""
    framework: str = ""


@dataclass(frozen=True)
class Merit:
    """What is expected of a candidate, in accuracy (0 to 1) above the mean of those ranked.

    Attributes
    ----------
    consensus, published, record : float
        What its scores, its published accuracy and the record of earlier targets add.
    sd : float
        Standard deviation of what is not known.
    targets : int
        Earlier targets on which the record has its source.
    on_this : bool
        Whether the record has its source on this target itself.
    """

    consensus: float = 0.0
    published: float = 0.0
    record: float = 0.0
    sd: float = 0.0
    targets: int = 0
    on_this: bool = False

    @property
    def expected(self) -> float:
        """All parts together."""
        return self.consensus + self.published + self.record

    @property
    def half_width(self) -> float:
        """Half of the interval that holds 95 % of what training may show."""
        return QUANTILE * self.sd

    @property
    def reasons(self) -> str:
        """What is known beside the scores, and what it adds, in points.

        Examples
        --------
        >>> Merit(consensus=0.02, published=-0.013, record=0.004, targets=3).reasons
        'published accuracy -1.3 points; record of 3 targets +0.4 points'
        """
        seen = [f"{self.targets} target{'s' * (self.targets != 1)}"] if self.targets else []
        if self.on_this:
            seen.append("this one" if seen else "this target")
        # A source that nobody tried has a share in what is recorded of cuts of its cut's name.
        record = f"record of {' and '.join(seen)}" if seen else "record of other sources"
        parts = (("published accuracy", self.published), (record, self.record))
        return "; ".join(
            f"{name} {100 * part:+.1f} points" for name, part in parts if abs(part) >= 5e-4
        )


@dataclass(frozen=True)
class RankRow:
    """One source cut at one layer, the baseline, or a source that failed or was not tried.

    Attributes
    ----------
    rank : int or None
        1 is best and equal scores share a rank; None for the baseline and for
        what was not scored on all rows.
    model : str
        Name of the source in the zoo; ``"raw input"`` for the baseline.
    cut : str or None
        Layer whose output is the encoding; None where there is none.
    score : float or None
        The score that decides the rank.
    half_width : float
        Half the confidence interval of ``score``; 0.0 when it is exact.
    scores : mapping of str to float
        Every score of the row by key, such as ``{"cosine": .2, "euclidean": .1}``.
    per_class : tuple of float
        Score of each class, in the order of ``Ranking.target.classes``; of the score
        ``Ranking.class_key``.
    dim : int or None
        Width of the encoding.
    parameters_kept : int or None
        Parameters of the source up to and including the cut.
    encode_seconds : float or None
        Seconds this encoding took when it was made, even if it was reused now.
    score_seconds : float or None
        Seconds the ``scores`` took that were computed for this row; what no cut of a
        source changes was computed for its first.
    reused : bool
        Whether the encoding came from the store instead of a forward pass.
    status : {"ok", "failed", "baseline", "filtered", "sampled", "untried"}
        "filtered" costs more than was allowed, or has another licence. Where a budget ended
        first, a source was scored on a sample alone, by which ``scores`` compares it with
        others of that sample, or not tried at all.
    note : str
        Why it failed, was filtered or not tried, or what else is worth knowing.
    rows : int or None
        On how many rows it was last scored when it left a race or a budget ended; None where
        it was scored on all.
    left_in_round : int or None
        The round of a race that it left in, from 1; None where it did not.
    tied : bool
        Whether its interval and that of the first row overlap, for both of the two.
    same_as : str or None
        The first cut of this source whose encoding is the same, bit for bit; None for that
        one itself and where there is none.
    facts : CutFacts
    merit : Merit or None
        What is expected of it where more than the encodings is known; None where not.
    traceback : str
        Of what could not be scored, where there is one.
    encoding : str
        Key of its encoding in the store; empty where there is none.
    """

    rank: int | None
    model: str
    cut: str | None
    score: float | None = None
    half_width: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    per_class: tuple[float, ...] = ()
    dim: int | None = None
    parameters_kept: int | None = None
    encode_seconds: float | None = None
    score_seconds: float | None = None
    reused: bool = False
    status: Status = "ok"
    note: str = ""
    rows: int | None = None
    left_in_round: int | None = None
    tied: bool = False
    same_as: str | None = None
    facts: CutFacts = CutFacts()
    merit: Merit | None = None
    traceback: str = ""
    encoding: str = ""

    @property
    def class_min(self) -> float | None:
        """Score of the worst separated class."""
        return min(self.per_class, default=None)

    @property
    def class_max(self) -> float | None:
        """Score of the best separated class."""
        return max(self.per_class, default=None)


@dataclass(frozen=True)
class SourceRows:
    """What became of one source, and its rows, which carry no rank yet."""

    outcome: Outcome
    rows: tuple[RankRow, ...]


def untried(name: str, reason: str) -> SourceRows:
    """Stand for a source that was not run, and why."""
    row = RankRow(None, name, None, status="untried", note=reason)
    return SourceRows(Outcome(name), (row,))


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
        return [_failed(outcome, None, failure.reason, failure.traceback)]
    refused = [_failed(outcome, name, reason) for name, reason in outcome.refused.items()]
    filtered = [_filtered(outcome, each) for each in outcome.filtered]
    return [*(_row(outcome, each, scores) for each in outcome.candidates), *filtered, *refused]


def baseline_rows(run: Run) -> list[RankRow]:
    """The raw input scored like an encoding, without any network; none where there is none."""
    raw: Array | None = run.target.baseline()
    if raw is None:
        return []
    start = time.perf_counter()
    values: Mapping[str, ScoreValue] = {}
    note = ""
    try:
        target = run.target
        facts = Facts(target.labels, raw, task=target.task, groups=target.groups)
        values = compute(run.scores, facts, raises=True).values
    except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
        note = one_line(error)
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


def on_sample_alone(row: RankRow, rows: int, reason: str = "") -> RankRow:
    """A row as a sample of so many rows gives it: with its scores, without a place by them.

    Examples
    --------
    >>> row = on_sample_alone(RankRow(None, "a", "fc", 0.1, scores={"cosine": 0.1}), 160, "stopped")
    >>> row.status, row.score, row.scores, row.note
    ('sampled', None, {'cosine': 0.1}, 'stopped')
    """
    if row.score is None:
        return row
    note = "; ".join(filter(None, [row.note, reason]))
    row = replace(row, status="sampled", score=None, half_width=0.0, per_class=())
    return replace(row, rows=rows, note=note)


def _row(outcome: Outcome, candidate: Candidate, scores: Sequence[Score]) -> RankRow:
    record = candidate.record
    row = _scored(candidate.values, scores)
    drawn = next(iter(candidate.samples.values()), None)
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
        rows=None if drawn is None else len(drawn.influence),
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
    if candidate.record.precision == "bf16":
        yield "computed in bf16"
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


def _published(known: Known) -> CutFacts:
    """What is known of a source that was not cut."""
    return CutFacts(
        licence=known.licence,
        accuracy=known.accuracy,
        benchmark=known.benchmark,
        training_data=known.training_data,
    )


def _filtered(outcome: Outcome, filtered: Filtered) -> RankRow:
    record = filtered.record
    row = RankRow(None, outcome.model, None, status="filtered", note=filtered.reason)
    if record is None:
        facts = _published(outcome.known)
        return replace(row, facts=facts)
    return replace(
        row,
        cut=record.cut,
        dim=record.dim,
        parameters_kept=record.parameters_kept,
        facts=_facts(record, outcome.known),
    )


def _failed(outcome: Outcome, cut: str | None, reason: str, traceback: str = "") -> RankRow:
    row = RankRow(None, outcome.model, cut, status="failed", note=reason, traceback=traceback)
    return replace(row, facts=_published(outcome.known))

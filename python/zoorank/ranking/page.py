"""What the ledger has of one source on one target, and of what a source of that name took."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import zoorank
from zoorank.encoding.encode import FORMAT
from zoorank.encoding.records import Record
from zoorank.executors.base import Failure
from zoorank.ranking.outcomes import Candidate, Job, Outcome, Run
from zoorank.scores import TABLE, Score, ScoreValue
from zoorank.scores.base import Array
from zoorank.sources.base import Json
from zoorank.store.encodings import key_of
from zoorank.store.ledger import Key, Ledger, LedgerEntry
from zoorank.targets.base import Target

if TYPE_CHECKING:
    from typing_extensions import Self

_FATAL = ("crash", "timeout", "memory")


@dataclass(frozen=True)
class Page:
    """Outcomes of one source on one target, as earlier runs left them.

    Attributes
    ----------
    source : str
        Digest of the source.
    target : str
        By what the ledger knows the target, or the sample of it that the outcomes are of.
    fatal : Failure or None
        How the source ended its process in an earlier run, if it did, on whatever rows.
    values : mapping of str to mapping of str to ScoreValue
        The values of the run's scores that are known, by cut and by key of the score.
    candidates : tuple of Candidate or None
        All candidates at the cuts that are asked for, where nothing of them is left to be done.
    refused : mapping of str to str
        Of those cuts the ones that could not be made, and why.
    """

    source: str
    target: str
    fatal: Failure | None
    values: Mapping[str, Mapping[str, ScoreValue]]
    candidates: tuple[Candidate, ...] | None
    refused: Mapping[str, str]

    @classmethod
    def of(cls, run: Run, identity: Mapping[str, Json], job: Job) -> Self:
        """Look up what the ledger has of a job's source, which depends on this identity."""
        source = key_of({"format": FORMAT, "precision": run.precision, **identity})
        target = taken(run.target, None if job.estimates else job.rows)
        found = run.ledger.outcomes(source, target)
        fingerprint = run.target.fingerprint
        whole = found if target == fingerprint else run.ledger.outcomes(source, fingerprint)
        values = _values(found, run.scores)
        kept = found.get(Key(source, target, "", _request_name(job.cuts)))
        refused = {} if kept is None else kept.facts.get("refused")
        return cls(
            source=source,
            target=target,
            fatal=_fatal(whole.get(Key(source, fingerprint))),
            values=values,
            candidates=None if kept is None else _candidates(run, kept, found, values),
            refused={cut: str(reason) for cut, reason in refused.items()}
            if isinstance(refused, Mapping)
            else {},
        )

    def keep(self, run: Run, job: Job, outcome: Outcome) -> None:
        """Record what came of the source, and, where it is whole, that nothing else will."""
        entries: dict[Key, LedgerEntry] = {}
        for each in outcome.candidates:
            if not each.reason:
                entries |= self._entries(run, each)
        is_whole = not outcome.filtered
        if is_whole and all(not each.reason and not each.copied for each in outcome.candidates):
            names = [each.record.cut for each in outcome.candidates]
            kept = LedgerEntry(facts={"cuts": names, "refused": dict(outcome.refused)})
            entries[self._key("", _request_name(job.cuts))] = kept
        entries[Key(self.source, run.target.fingerprint)] = LedgerEntry()
        run.ledger.record(entries)

    def _entries(self, run: Run, candidate: Candidate) -> dict[Key, LedgerEntry]:
        cut = candidate.record.cut
        kept = LedgerEntry(
            seconds=candidate.score_seconds,
            facts={
                "record": asdict(candidate.record),
                "key": candidate.key,
                "same_as": candidate.same_as,
            },
        )
        found = {self._key(cut): kept}
        there = self.values.get(cut, {})  # not recorded again, as they were not computed again
        for score in run.scores:
            value, name = candidate.values.get(score.key), score_name(score)
            if value is not None and name and score.key not in there:
                kept = LedgerEntry(value.value, value.half_width, value.per_class)
                found[self._key(cut, name)] = kept
        return found

    def _key(self, cut: str, score: str = "") -> Key:
        return Key(self.source, self.target, cut, score)


def _values(
    found: Mapping[Key, LedgerEntry], scores: Sequence[Score]
) -> dict[str, dict[str, ScoreValue]]:
    """Values of scores, by cut."""
    names = {name: score.key for score in scores if (name := score_name(score))}
    values: dict[str, dict[str, ScoreValue]] = {}
    for key, kept in found.items():
        if key.score in names and kept.value is not None:
            value = ScoreValue(kept.value, kept.half_width, kept.per_class)
            values.setdefault(key.cut, {})[names[key.score]] = value
    return values


def _candidates(
    run: Run,
    request: LedgerEntry,
    found: Mapping[Key, LedgerEntry],
    values: Mapping[str, Mapping[str, ScoreValue]],
) -> tuple[Candidate, ...] | None:
    """Every candidate of a request that was done, if all of its values are known."""
    names = request.facts.get("cuts")
    if not isinstance(names, list):
        return None
    wanted = [score.key for score in run.scores if not score.needs_source_data]
    by_cut = {key.cut: kept for key, kept in found.items() if not key.score}
    candidates = []
    for name in map(str, names):
        kept, there = by_cut.get(name), values.get(name, {})
        record = None if kept is None else Record.of(kept.facts.get("record"))
        if kept is None or record is None or set(there) != set(wanted):
            return None
        key, same_as = str(kept.facts.get("key", "")), kept.facts.get("same_as")
        # What a quota has taken away is not made again for its own sake.
        saves = run.save_encodings is not False and run.store.quota is None
        if saves and not run.store.path(key).is_file():
            return None
        candidates.append(
            Candidate(
                record=record,
                key=key,
                reused=True,
                values={each: there[each] for each in wanted},
                score_seconds=kept.seconds,
                same_as=same_as if isinstance(same_as, str) and same_as in names else None,
            )
        )
    return tuple(candidates)


def _fatal(kept: LedgerEntry | None) -> Failure | None:
    if kept is None or kept.kind not in _FATAL:
        return None
    reason = f"{kept.reason} in an earlier run; --retry tries it again"
    return Failure(reason, kept.kind, kept.traceback)  # type: ignore[arg-type]


def taken(target: Target, rows: Array | None) -> str:
    """By what the ledger knows a target, or some rows of it."""
    if rows is None:
        return target.fingerprint
    return f"{target.fingerprint} {hashlib.sha256(rows.astype('<i8').tobytes()).hexdigest()}"


@dataclass(frozen=True)
class Memory:
    """What a source of some name took when it last ran, which tells what it will take.

    A name may stand for another source today, so that nothing is left out by it.

    Attributes
    ----------
    opening, a_row : float
        Seconds, as those of an :class:`~zoorank.ranking.outcomes.Outcome`.
    failed : bool
    """

    opening: float
    a_row: float
    failed: bool


def remember(run: Run, job: Job, outcome: Outcome) -> None:
    """Keep what a job took under the name of its source, for a budget of a later run."""
    fresh = any(not each.reused for each in outcome.candidates)
    failed = outcome.failure is not None and outcome.failure.kind != "stopped"
    if fresh or failed:
        facts = {"opening": outcome.opening, "a_row": outcome.a_row}
        kept = LedgerEntry(kind="error" if failed else "", facts=facts)
        run.ledger.record({_named(outcome.model, job.cuts, taken(run.target, job.rows)): kept})


def remembered(ledger: Ledger, target: str, name: str, cuts: Sequence[str]) -> Memory | None:
    """What :func:`remember` has kept."""
    kept = ledger.outcome(_named(name, cuts, target))
    if kept is None:
        return None
    opening, a_row = kept.facts.get("opening"), kept.facts.get("a_row")
    if not isinstance(opening, float | int) or not isinstance(a_row, float | int):
        return None
    return Memory(float(opening), float(a_row), bool(kept.kind))


def _named(name: str, cuts: Sequence[str], target: str) -> Key:
    return Key(f"named {name}", target, "", _request_name(cuts))


def record_fatal(run: Run, source: str, failure: Failure) -> None:
    """Remember that a source ended its process, so that no later run meets it blindly."""
    if failure.kind != "stopped" and failure.kind in _FATAL:
        kept = LedgerEntry(kind=failure.kind, reason=failure.reason, traceback=failure.traceback)
        run.ledger.record({Key(source, run.target.fingerprint): kept})


def score_name(score: Score) -> str:
    """Under what the values of a score are kept; empty for one whose values are not.

    A value belongs to the version of zoorank that computed it. Other packages' scores have
    versions that are not known here, and an encoding's key knows nothing of the data of sources.
    Keys tell scores apart, for one that came to another process equals no entry of the table.
    """
    is_own = any(each.key == score.key for each in TABLE)
    if not is_own or score.needs_source_data:
        return ""
    return f"{score.key}, zoorank {zoorank.__version__}"


def _request_name(cuts: Sequence[str]) -> str:
    return f"cuts {key_of({'cuts': list(cuts)})}"

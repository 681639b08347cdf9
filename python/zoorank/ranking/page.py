"""What the ledger has of one source on one target."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import zoorank
from zoorank.encoding.plan import FORMAT
from zoorank.encoding.records import Record
from zoorank.executors.base import Failure
from zoorank.ranking.outcomes import Candidate, Job, Run
from zoorank.scores import TABLE, Score, ScoreValue
from zoorank.scores.base import Array
from zoorank.sources.base import Json
from zoorank.store.encodings import key_of
from zoorank.store.ledger import Key, Ledger, LedgerEntry
from zoorank.targets.base import Target

_FATAL = ("crash", "timeout", "memory")


class Page:
    """Outcomes of one source on one target, as earlier runs left them.

    Parameters
    ----------
    run : Run
    identity : mapping
        What the source's encodings depend on.
    rows : ndarray of int64 or None
        A sample of the target's rows that outcomes are of; None for all.

    Attributes
    ----------
    source : str
        Digest of the source.
    """

    def __init__(self, run: Run, identity: Mapping[str, Json], rows: Array | None = None) -> None:
        self._run = run
        parts = {"format": FORMAT, "precision": run.precision, **identity}
        self.source = key_of(parts)
        self._target = taken(run.target, rows)
        self._found = run.ledger.outcomes(self.source, self._target)

    def fatal(self) -> Failure | None:
        """How the source ended its process in an earlier run, if it did, on whatever rows."""
        found = self._run.ledger.outcome(Key(self.source, self._run.target.fingerprint))
        if found is None or found.kind not in _FATAL:
            return None
        reason = f"{found.reason} in an earlier run; --retry tries it again"
        return Failure(reason, found.kind, found.traceback)  # type: ignore[arg-type]

    def values(self, cut: str) -> dict[str, ScoreValue]:
        """Values of the run's scores that are known."""
        found = {}
        for score in self._run.scores:
            name = score_name(score)
            kept = self._found.get(self._key(cut, name)) if name else None
            if kept is not None and kept.value is not None:
                found[score.key] = ScoreValue(kept.value, kept.half_width, kept.per_class)
        return found

    def candidates(self, cuts: Sequence[str]) -> list[Candidate] | None:
        """All candidates, where nothing of them is left to be done."""
        names = self._cuts(cuts)
        if names is None:
            return None
        found = []
        for name in names:
            kept = self._found.get(self._key(name))
            record = None if kept is None else Record.of(kept.facts.get("record"))
            values = self.values(name)
            if kept is None or record is None or set(values) != self._wanted():
                return None
            key = str(kept.facts.get("key", ""))
            # What a quota has taken away is not made again for its own sake.
            saves = self._run.keep("cpu") != "memory" and self._run.store.quota is None
            if saves and not self._run.store.path(key).is_file():
                return None
            same_as = kept.facts.get("same_as")
            found.append(
                Candidate(
                    record=record,
                    key=key,
                    reused=True,
                    values={score.key: values[score.key] for score in self._scores(values)},
                    score_seconds=kept.seconds,
                    same_as=same_as if isinstance(same_as, str) and same_as in names else None,
                )
            )
        return found

    def refused(self, cuts: Sequence[str]) -> dict[str, str]:
        """Cuts that could not be made, and why."""
        facts = self._request(cuts)
        refused = facts.get("refused") if facts else None
        return dict(refused) if isinstance(refused, Mapping) else {}

    def keep(
        self,
        cuts: Sequence[str],
        candidates: Sequence[Candidate],
        refused: Mapping[str, str],
        *,
        is_whole: bool,
    ) -> None:
        """Record what came of the source, and, where it is whole, that nothing else will."""
        outcomes: dict[Key, LedgerEntry] = {}
        for each in candidates:
            if not each.reason:
                outcomes |= self._outcomes_of(each)
        if is_whole and all(not each.reason and not each.copied for each in candidates):
            names = [each.record.cut for each in candidates]
            kept = LedgerEntry(facts={"cuts": names, "refused": dict(refused)})
            outcomes[self._key("", _request_name(cuts))] = kept
        outcomes[Key(self.source, self._run.target.fingerprint)] = LedgerEntry()
        self._run.ledger.record(outcomes)

    def _outcomes_of(self, candidate: Candidate) -> dict[Key, LedgerEntry]:
        cut = candidate.record.cut
        kept = LedgerEntry(
            seconds=candidate.score_seconds,
            facts={
                "record": candidate.record.plain(),
                "key": candidate.key,
                "same_as": candidate.same_as,
            },
        )
        found = {self._key(cut): kept}
        there = self.values(cut)  # not recorded again, as they were not computed again
        for score in self._scores(candidate.values):
            value, name = candidate.values[score.key], score_name(score)
            if name and score.key not in there:
                kept = LedgerEntry(value.value, value.half_width, value.per_class)
                found[self._key(cut, name)] = kept
        return found

    def _cuts(self, cuts: Sequence[str]) -> list[str] | None:
        facts = self._request(cuts)
        names = facts.get("cuts") if facts else None
        return [str(name) for name in names] if isinstance(names, list) else None

    def _request(self, cuts: Sequence[str]) -> Mapping[str, Any] | None:
        kept = self._found.get(self._key("", _request_name(cuts)))
        return None if kept is None else kept.facts

    def _wanted(self) -> set[str]:
        return {score.key for score in self._run.scores if not score.needs_source_data}

    def _scores(self, values: Mapping[str, ScoreValue]) -> list[Score]:
        return [score for score in self._run.scores if score.key in values]

    def _key(self, cut: str, score: str = "") -> Key:
        return Key(self.source, self._target, cut, score)


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


def remember(ledger: Ledger, target: str, job: Job, memory: Memory) -> None:
    """Keep what became of a job under the name of its source."""
    kept = LedgerEntry(
        kind="error" if memory.failed else "",
        facts={"opening": memory.opening, "a_row": memory.a_row},
    )
    ledger.record({_named(job.name, job.cuts, target): kept})


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


def record_fatal(ledger: Ledger, source: str, target: str, failure: Failure) -> None:
    """Remember that a source ended its process, so that no later run meets it blindly."""
    if failure.kind != "stopped" and failure.kind in _FATAL:
        kept = LedgerEntry(kind=failure.kind, reason=failure.reason, traceback=failure.traceback)
        ledger.record({Key(source, target): kept})


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

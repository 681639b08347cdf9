"""What passes between a ranking and its jobs: plain records that cross processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from zoorank.encoding.costs import Filters, Stages
from zoorank.encoding.records import Filtered, Record
from zoorank.errors import UsageError
from zoorank.executors.base import Failure
from zoorank.scores import Score, ScoreValue
from zoorank.scores.base import Array, SampleScore
from zoorank.sources.base import Known, Precision, Source
from zoorank.store.encodings import EncodingStore
from zoorank.store.ledger import Ledger
from zoorank.targets.base import Target


@dataclass(frozen=True)
class Run:
    """What all jobs of one ranking share.

    Attributes
    ----------
    target : Target
    scores : tuple of Score
    store : EncodingStore
    ledger : Ledger
        Each process opens it when it first asks, and keeps it open from job to job.
    batch_size : int or None
    device : str
    save_encodings : bool or None
        Whether encodings are written to the store; None leaves out those that lie on a device
        where all scores follow them.
    precision : {"float32", "bf16"}
    retry : bool
        Whether sources that ended their process in an earlier run are tried again.
    filters : Filters or None
        What sources may cost, and under which licences they may be.
    """

    target: Target
    scores: tuple[Score, ...]
    store: EncodingStore
    ledger: Ledger
    batch_size: int | None
    device: str
    save_encodings: bool | None = None
    precision: Precision = "float32"
    retry: bool = False
    filters: Filters | None = None


@dataclass(frozen=True)
class Job:
    """One source to be encoded and scored.

    Attributes
    ----------
    source : Source
    cuts : tuple of str
    rows : ndarray of int64 or None
        A sample of the target's rows; None for all.
    earlier : ndarray of int64 or None
        Rows that the store holds.
    estimates : bool
        Whether the scores of all rows are estimated from the sample, as a race asks; else they
        are those of the sample.
    """

    source: Source
    cuts: tuple[str, ...]
    rows: Array | None = None
    earlier: Array | None = None
    estimates: bool = False

    @cached_property
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
        By key of the score; estimates where the job asks for those.
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
    filtered : tuple of Filtered
        Cuts that cost more than is allowed, or the source as a whole.
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
    opening, a_row : float
        Seconds that it took to the end of its trial, and then for each row with its scores.
    stages : Stages
        What its time went into.
    """

    model: str
    candidates: tuple[Candidate, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    weights_sha256: str | None = None
    known: Known = field(default_factory=Known)
    saw_target: bool = False
    filtered: tuple[Filtered, ...] = ()
    failure: Failure | None = None
    mistake: UsageError | None = None
    opening: float = 0.0
    a_row: float = 0.0
    stages: Stages = field(default_factory=Stages)


def known_of(source: Source) -> Known:
    """What is published of a source; nothing where that cannot be read."""
    try:
        return source.known()
    except Exception:  # noqa: BLE001 - a stranger's source, whose job will say what is wrong
        return Known()

"""The records that a ranking is made of: plain, frozen, and what JSON holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "failed", "baseline", "sampled", "untried"]


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
    licence : str
    accuracy : float or None
        Published, of the whole source on ``benchmark``, 0 to 1.
    benchmark, training_data, framework : str
    """

    parameters: int | None = None
    bytes: int | None = None
    flops: int | None = None
    milliseconds: float | None = None
    licence: str = ""
    accuracy: float | None = None
    benchmark: str = ""
    training_data: str = ""
    framework: str = ""


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
    status : {"ok", "failed", "baseline", "sampled", "untried"}
        Where a budget ended first, a source was scored on a sample alone, by which ``scores``
        compares it with others of that sample, or not tried at all.
    note : str
        Why it failed or was not tried, or what else is worth knowing.
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
class TargetFacts:
    """What the target is, without its data.

    Attributes
    ----------
    name, source, modality : str
        Its name, where it came from, and "image", "series" or "table".
    n_samples : int
    shape : str
        Shape of one sample, such as ``"(8, 8)"``.
    classes : tuple of str
        Class labels, sorted.
    fingerprint : str
        sha256 of its content.
    task : {"classes", "numbers"}
        What its labels are.
    n_rows : int
        Labels, and so rows of an encoding: words of sentences, else samples.
    notes : tuple of str
        What was left out of it.
    """

    name: str
    source: str
    modality: str
    n_samples: int
    shape: str
    classes: tuple[str, ...]
    fingerprint: str
    task: str = "classes"
    n_rows: int = 0
    notes: tuple[str, ...] = ()


_MORE = "The same command with a larger budget goes on from here."


@dataclass(frozen=True)
class BudgetFacts:
    """How far a budget went.

    Attributes
    ----------
    seconds : float
        The budget.
    spent : float
        Seconds from the start to the end of the last source.
    rows, sample_rows : int
        Of the target, and of the sample; 0 where there was none.
    whole, sampled, failed, untried : int
        Sources that were scored on all rows, on the sample alone, that could not be used, and
        that were not tried.
    """

    seconds: float
    spent: float
    rows: int
    sample_rows: int
    whole: int
    sampled: int
    failed: int
    untried: int

    @property
    def is_complete(self) -> bool:
        """Whether every source was scored on all rows, or found to be of no use."""
        return not self.sampled and not self.untried

    @property
    def summary(self) -> str:
        """How far it went, in a sentence or two.

        Examples
        --------
        >>> print(BudgetFacts(1800.0, 1795.0, 5000, 312, 70, 400, 2, 528).summary)
        Budget of 30 min: of 1000 sources 70 were scored on all 5000 rows, 400 on 312 of them \
alone, 2 failed and 528 were not tried. The same command with a larger budget goes on from here.
        """
        total = self.whole + self.sampled + self.failed + self.untried
        parts = [
            f"{self.whole} {_were(self.whole)} scored on all {self.rows} rows",
            f"{self.sampled} on {self.sample_rows} of them alone" if self.sampled else "",
            f"{self.failed} failed" if self.failed else "",
            f"{self.untried} {_were(self.untried)} not tried" if self.untried else "",
        ]
        *others, last = filter(None, parts)
        told = f"{', '.join(others)} and {last}" if others else last
        rest = (
            "" if self.is_complete else " The same command with a larger budget goes on from here."
        )
        return f"Budget of {in_words(self.seconds)}: of {total} sources {told}.{rest}"


def in_words(seconds: float) -> str:
    """A time as people say it.

    Examples
    --------
    >>> in_words(42.0), in_words(1800.0), in_words(5400.0)
    ('42 s', '30 min', '1.5 h')
    """
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


@dataclass(frozen=True)
class Provenance:
    """How to repeat a ranking: what ran, on what, with which inputs.

    Attributes
    ----------
    command : str
        The command line, or the call from Python.
    directory : str
        Where it ran, which relative paths start from.
    started : str
        Time of the start, ISO 8601, UTC.
    manifest, manifest_sha256 : str or None
        The zoo's file and the sha256 of its content; None for a zoo made in
        Python.
    weights : mapping of str to (str or None)
        sha256 of the weights of each source; None where they are random or
        could not be read.
    settings : mapping
        Arguments of the run, defaults included.
    versions : mapping of str to (str or None)
        zoorank, python, numpy, torch and the platform.
    engine : mapping
        ``zoorank.build_info()``: instruction set, threads, CUDA.
    """

    command: str
    directory: str
    started: str
    manifest: str | None
    manifest_sha256: str | None
    weights: Mapping[str, str | None]
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]
    engine: Mapping[str, Any]

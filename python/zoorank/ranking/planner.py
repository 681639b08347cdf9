"""Which source to run next, on how many rows, when time may not suffice for all of them.

Every step is the one that promises most for its time: the chance that the source is among the
best tenth of the zoo, over the seconds until that is known. What is known of a source are
normal scores: its place by what is published or recorded, and its place on a sample of the
rows, each with the correlation that such knowledge has with quality. A sample of the rows comes
first where it pays: it takes little, and only what promises something then is run on the rest.

No source is run here, so that a benchmark can replay a schedule with the times and the scores of a
study. docs/budget.md has the reasons and the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from zoorank.scores.base import Array

# How quality goes with what is published or recorded of a source, and with its place on a sample.
KNOWN_AGREES = 0.7
SAMPLE_AGREES = 0.8

# Looked for is a source among the best tenth.
_WANTED = ndtri(0.9)
# A size that is known before a source has run tells no more than so many times the middle one.
_SPREAD = 30.0
# Sources that were timed before a prediction keeps another from being begun: the first ones of
# a process also load its framework.
_TIMED = 3
# A sample has to promise that a source is settled in no more than this part of the time.
_SAVES = 0.6
# What failed in an earlier run is tried again when nothing else is left.
_BROKEN = 1e-6

_LEAST_ROWS, _MOST_ROWS, _ROWS_A_CLASS, _PART = 128, 1024, 8, 16
_NEW, _ASKED, _JUDGED, _OVER = range(4)


@dataclass(frozen=True)
class Prospect:
    """What is known of a source before it is run.

    Attributes
    ----------
    name : str
    family : str
        Sources of one family do alike; empty for one of its own.
    expected : float or None
        Share of the zoo that it should beat, 0 to 1; None where nobody knows.
    size : float or None
        What its time goes with, such as bytes of weights.
    remembered : {"", "sample", "whole"}
        What an earlier run has scored it on, so that it takes no time.
    broken : bool
        Whether it failed in an earlier run.
    """

    name: str
    family: str = ""
    expected: float | None = None
    size: float | None = None
    remembered: Literal["", "sample", "whole"] = ""
    broken: bool = False


@dataclass(frozen=True)
class Step:
    """A source to be run, on a sample or on all rows."""

    name: str
    whole: bool


@dataclass(frozen=True)
class Spent:
    """Seconds that a source took: before its first row, and for each row with its scores."""

    opening: float
    a_row: float


class Schedule:
    """The steps of one run, in turn.

    Parameters
    ----------
    prospects : sequence of Prospect
        Of different names.
    rows : int
        Of the target.
    sample : int
        Rows of a sample; 0 where the target is too small for one.
    places : int
        Sources that run at once.

    Examples
    --------
    >>> schedule = Schedule([Prospect("a"), Prospect("b", expected=0.9)], rows=100)
    >>> schedule.next(60.0)
    Step(name='b', whole=True)
    """

    def __init__(
        self, prospects: Sequence[Prospect], rows: int, sample: int = 0, places: int = 1
    ) -> None:
        self.rows, self.sample, self._places = rows, sample, places
        self._names = [each.name for each in prospects]
        self._place = {name: place for place, name in enumerate(self._names)}
        families = [each.family or f"\0{each.name}" for each in prospects]
        self._family = np.unique(families, return_inverse=True)[1]
        self._taken = np.zeros(len(prospects))  # of each family
        self._state = np.full(len(prospects), _NEW)
        self._looked = np.zeros(len(prospects), dtype=bool)  # at their sample
        self._size = _numbers(each.size for each in prospects)
        least = 0.5 / max(len(prospects), 1)
        beaten = _numbers(each.expected for each in prospects)
        self._known = ndtri(np.clip(beaten, least, 1 - least))
        self._sampled = np.full(len(prospects), np.nan)
        self._opening = np.full(len(prospects), np.nan)
        self._a_row = np.full(len(prospects), np.nan)
        self._weight = np.array([_BROKEN if each.broken else 1.0 for each in prospects])
        self._remembered = [
            *(Step(each.name, whole=True) for each in prospects if each.remembered == "whole"),
            *(
                Step(each.name, whole=False)
                for each in prospects
                if each.remembered == "sample" and sample
            ),
        ][::-1]

    def next(self, left: float) -> Step | None:
        """The next step, with so many seconds left.

        Returns
        -------
        Step or None
            None where nothing that can be begun now would end in time. A source on its sample is
            no step before its place there is known.
        """
        if self._remembered:
            return self._begun(self._remembered.pop())
        opening, a_row = self._rates()
        is_new = self._state == _NEW
        rest = opening + (self.rows - self.sample) * a_row
        whole = np.where(is_new, opening + self.rows * a_row, rest)
        first = opening + self.sample * a_row
        ready = is_new | (self._state == _JUDGED)
        chance = self._chance()
        # Until it is known whether a source is among the best, by way of the sample.
        path = first + chance * rest
        samples = is_new & self._may_sample(whole[ready].sum(), left)
        samples &= (path < _SAVES * whole) | (self._timed == 0)
        alike = np.where(is_new, 1 + self._taken[self._family], 1)
        promise = self._weight * np.maximum(chance, 1e-12) / alike
        promise /= np.where(samples, path, whole)
        ends = np.where(samples, first + rest, whole) <= left
        promise[~(ready & (ends | (self._timed < _TIMED)))] = -1.0
        if left <= 0 or not len(promise) or promise.max() < 0:
            return None
        best = int(promise.argmax())
        return self._begun(Step(self._names[best], whole=not bool(samples[best])))

    def _may_sample(self, whole: float, left: float) -> bool:
        """Whether not all can be run on all rows, and no more than half of the time went so far."""
        if not self.sample:
            return False
        if not self._timed:
            return True
        opening, a_row = self._rates()
        spent = (opening + self.sample * a_row)[self._looked].sum()
        return bool(whole > left * self._places >= spent)

    def ended(self, name: str, spent: Spent) -> None:
        """Learn what a source took; the first time counts."""
        place = self._place[name]
        if np.isnan(self._opening[place]):
            self._opening[place], self._a_row[place] = spent.opening, spent.a_row

    def judged(self, values: Mapping[str, float]) -> None:
        """Learn the values of all sources that were run on the sample; the higher, the better."""
        self._sampled[:] = np.nan
        for name, value in values.items():
            place = self._place[name]
            self._sampled[place] = value
            if self._state[place] == _ASKED:
                self._state[place] = _JUDGED
        self._sampled = _normal_scores(self._sampled)

    def gone(self, name: str) -> None:
        """Leave a source out that could not be run."""
        self._state[self._place[name]] = _OVER

    def seconds(self, name: str) -> float:
        """How long a source should take on all rows."""
        opening, a_row = self._rates()
        place = self._place[name]
        return float(opening[place] + self.rows * a_row[place])

    @property
    def _timed(self) -> int:
        return int(np.count_nonzero(~np.isnan(self._opening)))

    def _begun(self, step: Step) -> Step:
        place = self._place[step.name]
        if self._state[place] == _NEW:
            self._taken[self._family[place]] += 1
        self._state[place] = _OVER if step.whole else _ASKED
        self._looked[place] |= not step.whole
        return step

    def _chance(self) -> Array:
        """How likely each source is among the best tenth, by all that is known of it."""
        precision, total = np.ones(len(self._known)), np.zeros(len(self._known))
        for scores, agrees in ((self._known, KNOWN_AGREES), (self._sampled, SAMPLE_AGREES)):
            unknown = 1 - agrees**2
            there = ~np.isnan(scores)
            precision[there] += agrees**2 / unknown
            total[there] += agrees * scores[there] / unknown
        chance: Array = ndtr((total / precision - _WANTED) * np.sqrt(precision))
        return chance

    def _rates(self) -> tuple[Array, Array]:
        """Seconds of opening and for a row: a source's own, else the middle one's by its size."""
        if not self._timed:
            size = np.nan_to_num(self._size / _middle(self._size), nan=1.0)
            return np.zeros(len(size)), np.clip(size, 1 / _SPREAD, _SPREAD)
        timed = ~np.isnan(self._opening)
        factor = self._size / _middle(self._size[timed])
        factor = np.clip(np.nan_to_num(factor, nan=1.0), 1 / _SPREAD, _SPREAD)
        opening, a_row = (
            np.where(timed, own, factor * np.median(own[timed]))
            for own in (self._opening, self._a_row)
        )
        return opening, np.maximum(a_row, 1e-12)


def sample_size(rows: int, classes: int) -> int:
    """Rows of a sample that is worth its name; 0 where that is more than a quarter of all.

    Examples
    --------
    >>> sample_size(250, 10), sample_size(5000, 10), sample_size(100_000, 10)
    (0, 312, 1024)
    """
    least = max(_LEAST_ROWS, _ROWS_A_CLASS * classes)
    wanted = min(max(least, rows // _PART), max(least, _MOST_ROWS))
    return wanted if 4 * wanted <= rows else 0


def shares(figures: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Turn figures of several benchmarks into the share of the others that each should beat.

    Parameters
    ----------
    figures : iterable of tuple
        Name of the source, of the benchmark, and its figure there; the higher, the better.

    Examples
    --------
    >>> shares([("a", "ImageNet", 0.8), ("b", "ImageNet", 0.7), ("c", "MTEB", 0.5)])
    {'a': 0.75, 'b': 0.25, 'c': 0.5}
    """
    by_benchmark: dict[str, dict[str, float]] = {}
    for name, benchmark, figure in figures:
        by_benchmark.setdefault(benchmark, {})[name] = figure
    return {
        name: float((place - 0.5) / len(found))
        for found in by_benchmark.values()
        for name, place in zip(found, rankdata([*found.values()]), strict=True)
    }


def recorded(figures: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Turn a record of earlier targets into the share of the others that each should beat.

    Parameters
    ----------
    figures : iterable of tuple
        Name of the target, of the source, and its accuracy there at one of its cuts; the best
        cut counts.

    Examples
    --------
    >>> recorded([("birds", "a", 0.9), ("birds", "b", 0.8), ("cars", "b", 0.4), ("cars", "a", 0.6)])
    {'a': 0.75, 'b': 0.25}
    """
    best: dict[tuple[str, str], float] = {}
    for target, source, accuracy in figures:
        best[target, source] = max(accuracy, best.get((target, source), accuracy))
    by_target: dict[str, dict[str, float]] = {}
    for (target, source), accuracy in best.items():
        by_target.setdefault(target, {})[source] = accuracy
    beaten: dict[str, list[float]] = {}
    for found in by_target.values():
        for source, share in shares((name, "", each) for name, each in found.items()).items():
            beaten.setdefault(source, []).append(share)
    return shares((source, "", float(np.mean(each))) for source, each in beaten.items())


def _numbers(values: Iterable[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _middle(sizes: Array) -> float:
    there = sizes[~np.isnan(sizes)]
    return float(np.median(there)) if len(there) else np.nan


def _normal_scores(values: Array) -> Array:
    """Each value's place among all, as that of a normal distribution; NaN stays."""
    found = np.full(len(values), np.nan)
    there = ~np.isnan(values)
    if there.any():
        found[there] = ndtri((rankdata(values[there]) - 0.5) / there.sum())
    return found

"""Does picking by a score pick well? Scores against true accuracies, over many targets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from zoorank.errors import UsageError
from zoorank.evaluation.agreement import MEASURES, agreement
from zoorank.evaluation.recorded import check_modality, recorded
from zoorank.evaluation.tables import SIZE_COLUMNS, Candidates, read_tables
from zoorank.messages import hint
from zoorank.ranking.files import csv_text
from zoorank.ranking.record import append_record
from zoorank.scores.base import Array

if TYPE_CHECKING:
    import pandas as pd

TRUTH = "truth"
RANDOM = "random"
STATIC = "best static source"
SIZE = "parameter count"
BASELINES = (RANDOM, STATIC, SIZE)
COMPARED = ("regret@1", "weighted_tau")
RESAMPLES = 2000
SIGN_FLIPS = 9999
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over targets with its bootstrap interval.

    Attributes
    ----------
    mean, low, high : float
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Estimate):
    """A mean difference over targets, and how likely chance alone makes one as large.

    Attributes
    ----------
    p : float
        Of the paired test that the mean is 0; 1.0 where all differences are.
    """

    p: float


@dataclass(frozen=True)
class ScoreEvaluation:
    """One score, or one baseline, over all targets.

    Attributes
    ----------
    name : str
    is_baseline : bool
    measures : mapping of str to Estimate
        By the names in :func:`agreement`.
    regrets : tuple of float
        ``regret@1`` of each target.
    p_static, p_random : float
        Of the paired test that its mean ``regret@1`` equals that of the best static
        source and of a random pick; 1.0 for a comparison with itself.
    less : mapping of str to Difference
        ``regret@1`` and ``weighted_tau`` less those of ``Evaluation.against``, target by target.
    """

    name: str
    is_baseline: bool
    measures: Mapping[str, Estimate]
    regrets: tuple[float, ...]
    p_static: float
    p_random: float
    less: Mapping[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found, scores by mean regret and then the baselines.

    Attributes
    ----------
    scores : tuple of ScoreEvaluation
    targets : tuple of str
    n_candidates : tuple of int
        For each target.
    oracle : float
        Mean accuracy of the best candidate of each target.
    note : str
        Which targets, sources and pairs of the tables are not compared, if any.
    against : str
        The score or baseline that the others are compared with, target by target.
    """

    scores: tuple[ScoreEvaluation, ...]
    targets: tuple[str, ...]
    n_candidates: tuple[int, ...]
    oracle: float
    note: str = ""
    against: str = STATIC

    def __getitem__(self, name: str) -> ScoreEvaluation:
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(name)

    def records(self) -> list[dict[str, str | bool | float]]:
        """One flat dict for each score: means, bounds of their intervals, tests."""
        return [
            {
                "score": score.name,
                "baseline": score.is_baseline,
                **{
                    f"{name}{suffix}": getattr(estimate, part)
                    for name, estimate in score.measures.items()
                    for part, suffix in (("mean", ""), ("low", "_low"), ("high", "_high"))
                },
                "p_static": score.p_static,
                "p_random": score.p_random,
                **{
                    f"{name}_less{suffix}": getattr(difference, part)
                    for name, difference in score.less.items()
                    for part, suffix in (
                        ("mean", ""),
                        ("low", "_low"),
                        ("high", "_high"),
                        ("p", "_p"),
                    )
                },
                "against": self.against,
            }
            for score in self.scores
        ]

    def to_frame(self) -> pd.DataFrame:
        """The records as a pandas data frame; needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def to_csv(self) -> str:
        """The records as CSV text with a header line."""
        return csv_text(self.records())

    def to_json(self) -> str:
        """Everything as JSON text."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"


def evaluate(
    scores: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    lower_is_better: Sequence[str] = (),
    truth_column: str | None = None,
    random_state: int = 0,
    record: str | os.PathLike[str] | None = None,
    modality: str | None = None,
    against: str = STATIC,
) -> Evaluation:
    """Compare the order by each score with the true accuracies.

    Parameters
    ----------
    scores, truth : path
        CSV tables, in a form that :func:`zoorank.evaluation.tables.read_tables` reads.
    columns, lower_is_better, truth_column
        As there.
    random_state : int
        Seed of the bootstrap over targets and of the paired test.
    record : path, optional
        A file to append the true accuracies to, which ``rank`` takes into account.
    modality : {"image", "series", "table", "text", "audio"}, optional
        Of all targets, for the record: ``rank`` then passes over its lines where the target is
        of another. Lines without one count for targets of all.
    against : str
        The score or baseline that all are compared with, target by target.

    Returns
    -------
    Evaluation
        With a random pick, the best static source chosen leaving each target out, and
        the parameter count where the table has a column ``parameters``.

    Raises
    ------
    DataError, UsageError
        As there.
    """
    check_modality(modality, is_recorded=record is not None)
    tables = read_tables(
        scores,
        truth,
        columns=columns,
        lower_is_better=lower_is_better,
        truth_column=truth_column,
    )
    found = replace(
        evaluate_targets(tables.targets, random_state=random_state, against=against),
        note=tables.note,
    )
    if record is not None:
        append_record(record, recorded(tables.targets, truth_column or TRUTH, modality))
    return found


def evaluate_targets(
    targets: Sequence[Candidates], *, random_state: int = 0, against: str = STATIC
) -> Evaluation:
    """As :func:`evaluate`, for tables that are read already.

    Raises
    ------
    UsageError
        If a score has the name of a baseline, two columns are parameter counts, or there is
        nothing to compare with by the name given.
    """
    taken = [name for name in targets[0].scores if name in BASELINES]
    if taken:
        raise UsageError(f"{taken[0]!r} is the name of a baseline; name that score differently")
    sizes = [name for name in targets[0].scores if name in SIZE_COLUMNS]
    if len(sizes) > 1:
        raise UsageError(f"{' and '.join(sizes)} are both a {SIZE}; take one of the columns")
    columns = {
        (SIZE if name in SIZE_COLUMNS else name): [target.scores[name] for target in targets]
        for name in targets[0].scores
    }
    columns[STATIC] = static_scores(targets)
    columns[RANDOM] = [np.zeros(len(target.truth)) for target in targets]
    if against not in columns:
        raise UsageError(f"nothing to compare with is called {against!r}; {hint(against, columns)}")
    found = {
        name: [agreement(score, target.truth) for score, target in zip(each, targets, strict=True)]
        for name, each in columns.items()
    }
    table = {
        name: np.array([[row[measure] for measure in MEASURES] for row in rows])
        for name, rows in found.items()
    }
    draws, signs = _resamples(len(targets), random_state)
    at = MEASURES.index("regret@1")
    static, random = table[STATIC][:, at], table[RANDOM][:, at]
    evaluated = [
        ScoreEvaluation(
            name=name,
            is_baseline=name in BASELINES,
            measures=_estimates(values, draws),
            regrets=tuple(values[:, at].tolist()),
            p_static=_paired(values[:, at] - static, signs),
            p_random=_paired(values[:, at] - random, signs),
            less=_differences(values - table[against], draws, signs, random_state),
        )
        for name, values in table.items()
    ]
    return Evaluation(
        scores=tuple(
            sorted(evaluated, key=lambda each: (each.is_baseline, each.measures["regret@1"].mean))
        ),
        targets=tuple(target.target for target in targets),
        n_candidates=tuple(len(target.truth) for target in targets),
        oracle=float(np.mean([target.truth.max() for target in targets])),
        against=against,
    )


def static_scores(targets: Sequence[Candidates]) -> list[Array]:
    """How good each candidate was on all other targets, in the order of the targets.

    The mean, over the other targets that know the candidate, of what its accuracy is
    above that target's mean; a candidate of no other target is worth 0.
    """
    above = [
        dict(zip(target.names, (target.truth - target.truth.mean()).tolist(), strict=True))
        for target in targets
    ]
    names = {name for target in targets for name in target.names}
    total = {name: sum(each.get(name, 0.0) for each in above) for name in names}
    count = {name: sum(name in each for each in above) for name in names}
    return [
        np.array(
            [(total[name] - own[name]) / max(count[name] - 1, 1) for name in target.names]
        ).round(12)
        for target, own in zip(targets, above, strict=True)
    ]


def paired(
    values: Sequence[float] | Array, others: Sequence[float] | Array, *, random_state: int = 0
) -> Difference:
    """Compare two selectors on the same targets.

    Parameters
    ----------
    values, others : array_like of shape (n_targets,)
        A figure of each for every target, such as ``regrets`` of a
        :class:`ScoreEvaluation`.
    random_state : int
        Seed of the bootstrap and of the test.

    Returns
    -------
    Difference
        Mean of ``values - others`` with its 95 % bootstrap interval over targets, and the
        p-value of flipping the signs of the differences.

    Examples
    --------
    >>> found = paired([0.1, 0.2, 0.1, 0.2, 0.1, 0.3], [0.2, 0.4, 0.2, 0.4, 0.3, 0.5])
    >>> f"{found.mean:.2f}", found.low < found.mean < found.high < 0, found.p < 0.05
    ('-0.17', True, True)
    """
    differences = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    return _difference(differences, *_resamples(len(differences), random_state))


def _differences(
    values: Array, draws: Array, signs: Array, random_state: int
) -> dict[str, Difference]:
    """Of the measures that are compared, over the targets that have them."""
    found = {}
    for name in COMPARED:
        column = values[:, MEASURES.index(name)]
        known = column[~np.isnan(column)]
        if len(known) == len(column):
            found[name] = _difference(column, draws, signs)
        elif len(known):
            found[name] = _difference(known, *_resamples(len(known), random_state))
    return found


def _difference(differences: Array, draws: Array, signs: Array) -> Difference:
    low, high = _interval(differences[draws].mean(axis=1))
    return Difference(float(differences.mean()), low, high, _paired(differences, signs))


def _resamples(n_targets: int, random_state: int) -> tuple[Array, Array]:
    """Targets of each bootstrap sample, and signs for the test."""
    rng = np.random.default_rng(random_state)
    draws = rng.integers(0, n_targets, (RESAMPLES, n_targets))
    return draws, rng.choice([-1.0, 1.0], (SIGN_FLIPS, n_targets))


def _estimates(values: Array, draws: Array) -> dict[str, Estimate]:
    """Mean of each measure over the targets that have it, and its bootstrap interval."""
    estimates = {}
    for position, name in enumerate(MEASURES):
        column = values[:, position]
        known = ~np.isnan(column)
        if not known.any():
            continue
        weight = known[draws].sum(axis=1)
        sums = np.where(known, column, 0)[draws].sum(axis=1)
        low, high = _interval(sums[weight > 0] / weight[weight > 0])
        estimates[name] = Estimate(float(column[known].mean()), low, high)
    return estimates


def _interval(means: Array) -> tuple[float, float]:
    """Of the means of the bootstrap samples."""
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def _paired(differences: Array, signs: Array) -> float:
    """Two-sided p-value of a mean of 0, by flipping the signs of the differences."""
    observed = abs(float(differences.sum()))
    if observed == 0:
        return 1.0
    flipped = np.abs(signs @ differences)
    return float((1 + np.sum(flipped >= observed - 1e-12)) / (1 + len(signs)))

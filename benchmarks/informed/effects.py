"""How accuracies vary, measured in a study: what `informed` judges records by.

Moments of pairs say it. An accuracy is taken beside its target's mean, and two are multiplied: of
one candidate on two targets, of two cuts of a source, of one cut of two sources, or of two
candidates that share nothing. The means of these products differ by the variances sought. Over
pairs of different targets that is what lasts, on one target all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoorank.evaluation.tables import Candidates
from zoorank.ranking.belief import Effects

LEAST = 1e-6


def measured(targets: Sequence[Candidates], consensus: str = "consensus") -> Effects:
    """Effects by the accuracies and the consensus of some targets.

    Parameters
    ----------
    targets : sequence of Candidates
    consensus : str
        Its name among their scores.
    """
    names = sorted({name for target in targets for name in target.names})
    above = np.full((len(targets), len(names)), np.nan)
    votes = above.copy()
    at = {name: place for place, name in enumerate(names)}
    for row, target in enumerate(targets):
        places = [at[name] for name in target.names]
        above[row, places] = target.truth - target.truth.mean()
        votes[row, places] = votes_of(target.scores[consensus])
    spread = float(np.sqrt(np.nanmean(above**2)))
    units = above / spread
    here = ~np.isnan(units)
    lasting, all_of_it = _components(names, np.where(here, units, 0.0), here.astype(float))
    passing = np.maximum(all_of_it - lasting, LEAST)
    return Effects(
        *lasting.tolist(),
        *passing.tolist(),
        vote=float(np.nansum(units * votes) / np.nansum(votes**2)),
        spread=spread,
    )


def votes_of(shares: np.ndarray) -> np.ndarray:
    """The share of the others that each candidate beats, less one half, from the consensus."""
    n = len(shares)
    votes: np.ndarray = (shares - 0.5) * n / (n - 1)
    return votes


def _components(
    names: Sequence[tuple[str, str]], values: np.ndarray, here: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variance of source, cut and candidate: over pairs of targets, and on one target."""
    sources, cuts = (np.array([name[i] for name in names]) for i in (0, 1))
    one_source, one_cut = sources[:, None] == sources, cuts[:, None] == cuts
    same = np.eye(len(names), dtype=bool)
    masks = (same, one_source & ~same, one_cut & ~one_source, ~one_source & ~one_cut)
    on_one, pairs_on_one = values.T @ values, here.T @ here
    totals, counts = values.sum(axis=0), here.sum(axis=0)
    on_two = np.outer(totals, totals) - on_one
    pairs_on_two = np.outer(counts, counts) - pairs_on_one

    def parts(products: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        same, of_source, of_cut, of_none = (
            products[mask].sum() / max(pairs[mask].sum(), 1) for mask in masks
        )
        source, cut = max(of_source - of_none, 0.0), max(of_cut - of_none, 0.0)
        return np.array([source, cut, max(same - of_none - source - cut, 0.0)])

    return parts(on_two, pairs_on_two), parts(on_one, pairs_on_one)

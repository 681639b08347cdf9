"""A closer look at the first picks: silhouettes, classes that lie near each other, samples in 2-D.

A ranking holds scores alone; what is shown of single samples is computed here, from encodings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.engine import METRICS, pairwise_distances, silhouette_samples
from zoorank.errors import DataError
from zoorank.ranking import Ranking, RankRow
from zoorank.ranking.provenance import load_again
from zoorank.report.previews import Preview, previews

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICKS = 3
MOST_ROWS = 800
MOST_CLASSES = 40
EXACT_WORK = 5e10  # n²d of silhouettes that are not estimated: a second or two of one core


@dataclass(frozen=True)
class Closeup:
    """One encoding, close up.

    Attributes
    ----------
    model, cut : str
    silhouettes : tuple of float
        Of each row drawn.
    class_silhouettes : tuple of float
        Mean over all rows of each class shown.
    order : tuple of int
        Classes shown, those that lie near each other side by side.
    nearness : tuple of tuple of (float or None)
        Of each pair of classes shown: their mean distance over the mean distance within the
        two. 1 means no farther apart than samples of one class; None where a class has one row.
    x, y : tuple of float
        The rows drawn in two dimensions, by their first principal components.
    variance : float
        Share of the variance of these rows that the two dimensions hold.
    """

    model: str
    cut: str
    silhouettes: tuple[float, ...]
    class_silhouettes: tuple[float, ...]
    order: tuple[int, ...]
    nearness: tuple[tuple[float | None, ...], ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    variance: float


@dataclass(frozen=True)
class Closeups:
    """The first picks close up, all at the same rows.

    Attributes
    ----------
    metric : str
        Distance of silhouettes and of nearness.
    classes : tuple of str
        Those shown; where there are many, those that the first pick separates worst.
    n_classes : int
        Of the target.
    rows : tuple of int
        Rows of the encodings that were drawn, of each class its share.
    labels : tuple of int
        Place in ``classes`` of each.
    previews : tuple of Preview
        Of each; empty where samples cannot be shown.
    picks : tuple of Closeup
    """

    metric: str
    classes: tuple[str, ...]
    n_classes: int
    rows: tuple[int, ...]
    labels: tuple[int, ...]
    previews: tuple[Preview, ...]
    picks: tuple[Closeup, ...]


def closeups(
    ranking: Ranking,
    labels: NDArray[Any],
    encoding_of: Callable[[RankRow], NDArray[Any] | None],
    samples_of: Callable[[NDArray[np.int64]], Sequence[Any]] | None = None,
    *,
    top: int = PICKS,
) -> Closeups | None:
    """Look closer at the first picks of a ranking.

    Parameters
    ----------
    ranking : Ranking
    labels : ndarray of shape (n_rows,)
        Of the target, in the order of the encodings' rows.
    encoding_of : callable
        Gives the encoding of a row, of shape (n_rows, dim); None where it is kept no more.
    samples_of : callable, optional
        Gives the samples that some rows are of, not decoded.
    top : int
        How many picks; one of each source.

    Returns
    -------
    Closeups or None
        None where no encoding is there.
    """
    metric = ranking.class_key if ranking.class_key in METRICS else "euclidean"
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    shown: NDArray[np.int64] | None = None
    rows = np.empty(0, dtype=np.int64)
    picks = []
    for pick in first_picks(ranking, top):
        encoding = encoding_of(pick)
        if encoding is None or len(encoding) != len(codes):
            continue
        silhouettes = silhouettes_of(encoding, codes, metric)
        means = np.bincount(codes, silhouettes) / np.bincount(codes)
        if shown is None:
            shown = np.sort(np.argsort(means, kind="stable")[:MOST_CLASSES])
            rows = draw_rows(codes, shown, MOST_ROWS)
        places = np.searchsorted(shown, codes[rows])
        sample = np.asarray(encoding[rows], dtype=np.float64)
        nearness = class_nearness(sample, places, metric)
        plane, variance = project(sample)
        picks.append(
            Closeup(
                model=pick.model,
                cut=pick.cut or "",
                silhouettes=_rounded(silhouettes[rows]),
                class_silhouettes=_rounded(means[shown]),
                order=tuple(side_by_side(nearness).tolist()),
                nearness=tuple(
                    tuple(None if np.isnan(each) else float(f"{each:.4g}") for each in line)
                    for line in nearness
                ),
                x=_rounded(plane[:, 0]),
                y=_rounded(plane[:, 1]),
                variance=float(f"{variance:.4g}"),
            )
        )
    if shown is None:
        return None
    return Closeups(
        metric=metric,
        classes=tuple(str(classes[code]) for code in shown),
        n_classes=len(classes),
        rows=tuple(rows.tolist()),
        labels=tuple(np.searchsorted(shown, codes[rows]).tolist()),
        previews=() if samples_of is None else previews(samples_of(rows), ranking.target.modality),
        picks=tuple(picks),
    )


def look_closer(ranking: Ranking, data: str | None = None) -> Closeups:
    """Look closer at the first picks of a ranking that was read from a file.

    Parameters
    ----------
    ranking : Ranking
    data : str, optional
        Its target, as for :func:`zoorank.load_target`; by default where it was found then.

    Returns
    -------
    Closeups

    Raises
    ------
    DataError
        If the target is not there, or another one now, or no encoding is kept; or it holds
        numbers to predict, which have no silhouettes.
    """
    if ranking.target.task == "numbers":
        raise DataError("its target holds numbers to predict, and not classes")
    target = load_again(ranking, data)
    starts = target.samples.starts

    def samples_of(rows: NDArray[np.int64]) -> Sequence[Any]:
        return target.take(rows if starts is None else np.searchsorted(starts, rows, "right") - 1)

    def encoding_of(row: RankRow) -> NDArray[Any] | None:
        try:
            return ranking.encoding(row)
        except DataError:
            return None

    found = closeups(ranking, target.labels, encoding_of, samples_of)
    if found is None:
        raise DataError(
            f"no encoding of the first picks is in {ranking.provenance.settings.get('store')}"
        )
    return found


def first_picks(ranking: Ranking, top: int) -> list[RankRow]:
    """The best row of each source, of the first few sources."""
    best: dict[str, RankRow] = {}
    for row in ranking:
        if row.status == "ok" and row.rank is not None:
            best.setdefault(row.model, row)
    return list(best.values())[:top]


def silhouettes_of(
    encoding: NDArray[Any], codes: NDArray[np.int64], metric: str
) -> NDArray[np.float64]:
    """Silhouette of every row; estimated where the exact ones would take long."""
    n, d = encoding.shape
    method = "exact" if metric != "euclidean" or n * n * d <= EXACT_WORK else "estimate"
    return silhouette_samples(encoding, codes, metric=metric, method=method, random_state=0)


def draw_rows(codes: NDArray[np.int64], shown: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Rows of some classes in ascending order, of each its share but at least two.

    Examples
    --------
    >>> draw_rows(np.array([0] * 96 + [1] * 2 + [2] * 2), np.array([0, 1]), 10)[-2:]
    array([96, 97])
    """
    members = [np.flatnonzero(codes == code) for code in shown]
    share = most / max(sum(map(len, members)), most)
    rng = np.random.default_rng(0)
    taken = [
        rng.permutation(rows)[: max(min(2, len(rows)), int(share * len(rows)))] for rows in members
    ]
    return np.sort(np.concatenate(taken))


def class_nearness(
    sample: NDArray[np.float64], places: NDArray[np.int64], metric: str
) -> NDArray[np.float64]:
    """Mean distance between two classes over that within them.

    Parameters
    ----------
    sample : ndarray of shape (n, d)
    places : ndarray of shape (n,)
        Class of each row, from 0 and all of them there.
    metric : str

    Returns
    -------
    ndarray of shape (n_classes, n_classes)
        1 on the diagonal; NaN where a class has no two rows that differ.

    Examples
    --------
    >>> rows = np.array([[0.0], [2.0], [10.0], [12.0]])
    >>> class_nearness(rows, np.array([0, 0, 1, 1]), "euclidean")
    array([[1., 5.],
           [5., 1.]])
    """
    of_class = np.equal.outer(np.arange(places.max() + 1), places).astype(np.float64)
    count = of_class.sum(axis=1)
    total = of_class @ pairwise_distances(sample, metric=metric) @ of_class.T
    pairs = np.outer(count, count)
    np.fill_diagonal(pairs, count * (count - 1))
    mean = np.divide(total, pairs, out=np.full_like(total, np.nan), where=pairs > 0)
    within = np.where(np.diag(mean) > 0, np.diag(mean), np.nan)
    nearness: NDArray[np.float64] = mean / ((within[:, None] + within[None, :]) / 2)
    return nearness


def side_by_side(nearness: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order of the classes that puts near ones side by side.

    By the second eigenvector of the Laplacian of their similarities (Barnard, Pothen and
    Simon, 1995, Numer. Linear Algebra Appl. 2).

    Examples
    --------
    >>> x = np.array([0.0, 5.0, 1.0, 6.0])
    >>> side_by_side(1 + np.abs(np.subtract.outer(x, x))).tolist() in ([0, 2, 1, 3], [3, 1, 2, 0])
    True
    """
    similar = 1 / np.where(np.isnan(nearness), np.nanmax(nearness, initial=1.0), nearness) ** 2
    np.fill_diagonal(similar, 0)
    laplacian = np.diag(similar.sum(axis=1)) - similar
    return np.argsort(np.linalg.eigh(laplacian).eigenvectors[:, 1], kind="stable")


def project(sample: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Rows in two dimensions, by their principal components.

    Parameters
    ----------
    sample : ndarray of shape (n, d)

    Returns
    -------
    plane : ndarray of shape (n, 2)
    variance : float
        Share of the variance that the plane holds.

    Examples
    --------
    >>> plane, variance = project(np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]))
    >>> np.abs(plane[:, 0]).tolist(), round(variance, 6)
    ([2.0, 0.0, 2.0], 1.0)
    """
    centred = sample - sample.mean(axis=0)
    # The smaller of the two products has the same eigenvalues.
    wide = centred.shape[0] < centred.shape[1]
    product = centred @ centred.T if wide else centred.T @ centred
    values, vectors = np.linalg.eigh(product)
    first = vectors[:, ::-1][:, :2]
    scale = np.sqrt(np.maximum(values[::-1][:2], 0))
    plane = first * scale if wide else centred @ first
    plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
    # A component has no sign: the larger deviation points up.
    plane *= np.where(plane.max(axis=0) < -plane.min(axis=0), -1.0, 1.0)
    total = float(np.maximum(values, 0).sum())
    return plane, float((scale**2).sum()) / total if total > 0 else 0.0


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{each:.5g}") for each in values)

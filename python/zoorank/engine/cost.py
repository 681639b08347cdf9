"""What exact and estimated silhouettes are predicted to cost.

Costs are counted in multiply-adds of the float32 pair kernel, so that a choice made
from them is the same on every machine and for any number of threads.
``benchmarks/estimator_cost.py`` compares the predictions with measured times.
"""

from __future__ import annotations

# A distance costs its features, and a root, a comparison and two sums on top.
_PER_DISTANCE = 24
# A mean is compared in float64, at half the speed.
_PER_MEAN = 2.0
# Reading, converting and packing a value of X once.
_PER_VALUE = 12.0

# An exact result that takes about a second on two cores is not worth an error bar.
WORTHWHILE = 5e10

# Standard deviation of s - surrogate: above that of encodings of images, below that of narrow
# encodings of series (docs/estimator.md).
TYPICAL_DEVIATION = 0.01


# Of more classes than this, a row is compared with those nearest to its own only: finding
# them for every class then costs less than comparing (benchmarks/estimator_index.py).
MOST_CLASSES = 2000
_CANDIDATES = 128


# The own class and reference_rows::nearest_classes others.
_COMPARED_BY_SAMPLES = 6


def classes_compared(classes: int) -> int:
    """With how many classes the surrogate of a row is computed."""
    return classes if classes <= MOST_CLASSES else _CANDIDATES


def exact_cost(n: int, d: int) -> float:
    """Every pair of rows once."""
    return n * (n - 1) / 2 * (d + _PER_DISTANCE) + n * d * _PER_VALUE


def moments_cost(n: int, d: int) -> float:
    """Check the rows and sum up their classes."""
    return n * d * 3 * _PER_VALUE


def search_cost(d: int, classes: int) -> float:
    """Find the nearest classes of every class."""
    return float(classes) ** 2 * (d + _PER_DISTANCE)


def comparison_cost(n: int, d: int, compared: int) -> float:
    """Every row against the means of some classes."""
    return n * compared * _PER_MEAN * (d + 4)


def surrogate_cost(n: int, d: int, classes: int) -> float:
    """All three."""
    compared = classes_compared(classes)
    search = search_cost(d, classes) if compared < classes else 0.0
    return moments_cost(n, d) + search + comparison_cost(n, d, compared)


def rows_cost(n: int, d: int, drawn: int) -> float:
    """Some rows against all."""
    return n * d * _PER_VALUE + n * drawn * (d + _PER_DISTANCE)


def references_cost(n: int, d: int, classes: int, references: int) -> float:
    """Every row against all class means, and then against references of a few classes."""
    compared = min(classes, _COMPARED_BY_SAMPLES) * (
        references * (d + _PER_DISTANCE) + d * _PER_VALUE
    )
    return comparison_cost(n, d, classes) + n * compared


def samples_cost(n: int, d: int, classes: int, references: int) -> float:
    """Silhouettes of every sample from references."""
    packed = classes * references * d * _PER_VALUE
    return moments_cost(n, d) + packed + references_cost(n, d, classes, references)


def prefers_exact(n: int, d: int, classes: int, drawn: int) -> bool:
    """Whether an exact result is cheap, or cheaper than the estimate from `drawn` rows."""
    exact = exact_cost(n, d)
    return exact <= WORTHWHILE or exact <= surrogate_cost(n, d, classes) + rows_cost(n, d, drawn)

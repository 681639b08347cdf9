"""What exact and estimated silhouettes are predicted to cost.

Costs are counted in multiply-adds of the float32 pair kernel, so that a choice made
from them is the same on every machine and for any number of threads.
``benchmarks/estimator_cost.py`` compares the predictions with measured times.
"""

from __future__ import annotations

# All constants are fitted to measured times; benchmarks/estimator_cost.py holds what they predict
# against others. A distance of the exact kernel costs its features, and a root, a comparison and
# two sums on top.
_PER_DISTANCE = 24
# The sum of a row's distances to a class is kept, turned into a mean and compared.
_PER_CLASS_SUM = 450
# A distance of a drawn row is summed up by class.
_PER_DRAWN_DISTANCE = 70
# Packing a value of X for the kernel.
_PER_VALUE = 12
# Checking a value and taking it into the moments of its class, in float64.
_PER_SUMMED_VALUE = 165
# Numbering, shuffling and sorting a row.
_PER_ROW = 20_000
# Bringing a value to where it can be compared with means, in float64; and a row.
_PER_COMPARED_VALUE = 145
_PER_COMPARED_ROW = 9000
# A mean is compared in float64 too, and the least of all is looked for.
_PER_FEATURE_OF_MEAN = 1.6
_PER_MEAN = 140
# A distance between classes may be among the least that are kept.
_PER_SEARCHED_DISTANCE = 400
# A distance to a reference is written out and looked at again; rows are gathered from all over X.
_PER_REFERENCE = 290
_PER_GATHERED_VALUE = 150
# Sorting a row by its distance to the mean of its class, among others.
_PER_STRATIFIED_ROW = 40_000

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


def exact_cost(n: int, d: int, classes: int) -> float:
    """Every pair of rows once, and the sums of every row by class."""
    sums = float(n) * classes * _PER_CLASS_SUM
    return n * (n - 1) / 2 * (d + _PER_DISTANCE) + sums + n * d * _PER_VALUE


def moments_cost(n: int, d: int) -> float:
    """Check the rows and sum up their classes."""
    return n * (d * _PER_SUMMED_VALUE + float(_PER_ROW))


def search_cost(d: int, classes: int) -> float:
    """Find the nearest classes of every class."""
    return float(classes) ** 2 * (d + _PER_DISTANCE + _PER_SEARCHED_DISTANCE)


def comparison_cost(n: int, d: int, compared: int) -> float:
    """Every row against the means of some classes."""
    of_means = compared * (d * _PER_FEATURE_OF_MEAN + _PER_MEAN)
    return n * (d * _PER_COMPARED_VALUE + _PER_COMPARED_ROW + of_means)


def surrogate_cost(n: int, d: int, classes: int) -> float:
    """All three."""
    compared = classes_compared(classes)
    search = search_cost(d, classes) if compared < classes else 0.0
    return moments_cost(n, d) + search + comparison_cost(n, d, compared)


def rows_cost(n: int, d: int, drawn: int) -> float:
    """Some rows against all."""
    return n * d * _PER_VALUE + n * drawn * (d + float(_PER_DRAWN_DISTANCE))


def references_cost(n: int, d: int, classes: int, references: int) -> float:
    """Every row against all class means, and then against references of a few classes."""
    of_class = references * (d + _PER_REFERENCE) + d * _PER_GATHERED_VALUE
    return comparison_cost(n, d, classes) + n * min(classes, _COMPARED_BY_SAMPLES) * of_class


def samples_cost(n: int, d: int, classes: int, references: int) -> float:
    """Silhouettes of every sample from references."""
    packed = classes * references * d * _PER_GATHERED_VALUE
    radii = n * (d * _PER_COMPARED_VALUE + _PER_STRATIFIED_ROW)
    return moments_cost(n, d) + packed + radii + references_cost(n, d, classes, references)


def is_cheap(n: int, d: int, classes: int) -> bool:
    """Whether an exact result costs so little that no estimate is worth its error bar."""
    return exact_cost(n, d, classes) <= WORTHWHILE


def prefers_exact(n: int, d: int, classes: int, drawn: int) -> bool:
    """Whether an exact result is cheap, or cheaper than the estimate from `drawn` rows."""
    estimated = surrogate_cost(n, d, classes) + rows_cost(n, d, drawn)
    return is_cheap(n, d, classes) or exact_cost(n, d, classes) <= estimated

"""Time series as a network wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import SourceError
from zoorank.targets.base import Sample, Target
from zoorank.transforms.base import ONLY, Batch, Prepared
from zoorank.transforms.specs import SeriesPreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SeriesTransform:
    """Scale, resample and lay out series.

    Attributes
    ----------
    spec : SeriesPreprocessing
    offset, width : float
        Of the whole target, once fitted: a value is taken minus the one over the other.
    """

    spec: SeriesPreprocessing
    offset: float = 0.0
    width: float = 1.0

    @property
    def key(self) -> str:
        """What `prepare` depends on; the target's own scaling comes with the batch."""
        each = self.spec.scaling == "standardize_each"
        return f"series length={self.spec.length} standardize_each={each}"

    def fitted(self, target: Target) -> SeriesTransform:
        """The same with mean and deviation of the target, where its scaling asks for them."""
        shape = np.shape(target.take(range(1))[0]) if target.modality in _ARRAYS else ()
        if len(shape) not in (1, 2):
            raise SourceError(f"needs series; the target's samples have shape {target.shape}")
        variables = shape[0] if len(shape) == 2 else 1
        if variables != self.spec.channels:
            raise SourceError(
                f"needs {self.spec.channels} variables a step; the target has {variables}"
            )
        if self.spec.layout == "nl" and self.spec.channels != 1:
            raise SourceError("layout 'nl' holds one variable a step; say 'ncl' or 'nlc'")
        if self.spec.scaling != "standardize":
            return self
        statistics = target.statistics
        return replace(self, offset=statistics.mean, width=statistics.std or 1.0)

    def prepare(self, sample: Sample) -> Prepared:
        """Make float64 ``(variables, length)`` of one series."""
        series = np.atleast_2d(np.asarray(sample, dtype=np.float64))
        if self.spec.scaling == "standardize_each":
            std = series.std()
            series = (series - series.mean()) / (std if std > 0 else 1.0)
        if self.spec.length is not None and self.spec.length != series.shape[1]:
            series = resample(series, self.spec.length)
        return Prepared(series, length=series.shape[1])

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Make float32 of several, in the network's layout."""
        if len({each.value.shape for each in prepared}) > 1:
            raise SourceError("the series differ in length; say preprocessing.length")
        batch = np.stack([each.value for each in prepared])
        if self.spec.scaling == "standardize":
            batch = (batch - self.offset) / self.width
        series = batch.astype(np.float32)
        if self.spec.layout == "nl":
            series = series[:, 0]
        elif self.spec.layout == "nlc":
            series = series.transpose(0, 2, 1)
        return Batch({ONLY: np.ascontiguousarray(series)}, len(prepared))


_ARRAYS = ("series", "table", "image")  # modalities whose samples may be arrays


def resample(series: NDArray[Any], length: int) -> NDArray[np.float64]:
    """Interpolate linearly to another length; the first and the last step stay.

    Examples
    --------
    >>> resample(np.array([[0.0, 2.0, 4.0]]), 5)
    array([[0., 1., 2., 3., 4.]])
    """
    old = np.arange(series.shape[1])
    new = np.linspace(0, series.shape[1] - 1, length)
    return np.stack([np.interp(new, old, variable) for variable in series])

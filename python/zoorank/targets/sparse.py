"""Tables that SciPy holds as sparse matrices, made dense a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.targets.base import Modality, Rows, Sample
from zoorank.targets.samples import Digest, Form, Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_BYTES = 32 * 2**20
_BASELINE_BYTES = 2**30  # a baseline is dense; beyond this there is none


@dataclass(frozen=True, eq=False)
class Sparse(Form):
    """A table most of whose values are zero.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array of shape (n_samples, n_columns)
    """

    matrix: Any
    modality: Modality = "table"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (int(self.matrix.shape[1]),)

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def take(self, rows: Rows) -> Sequence[Sample]:
        """Some rows, dense."""
        wanted = slice(rows.start, rows.stop) if isinstance(rows, range) else rows
        dense: Sequence[Sample] = self.matrix[wanted].toarray()
        return dense

    def subset(self, rows: NDArray[np.int64]) -> Sparse:
        """Some of the rows."""
        return Sparse(self.matrix[rows])

    def hash_into(self, digest: Digest) -> None:
        """Feed shape and values, without zeros and in order, to a digest."""
        digest.update(f"sparse {self.matrix.dtype.str}{self.matrix.shape}\0".encode())
        for part in (self.matrix.indptr, self.matrix.indices, self.matrix.data):
            digest.update(np.ascontiguousarray(part).data)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Dense row blocks of about 32 MB."""
        rows = max(1, _BLOCK_BYTES // max(1, 8 * self.matrix.shape[1]))
        for start in range(0, len(self), rows):
            yield self.matrix[start : start + rows].toarray()

    def baseline(self) -> NDArray[np.float32] | None:
        """The table, dense; None where that takes more than 1 GB."""
        if 4 * self.matrix.shape[0] * self.matrix.shape[1] > _BASELINE_BYTES:
            return None
        dense: NDArray[np.float32] = self.matrix.astype(np.float32).toarray()
        return dense

    def survey(self, name: str, digest: Digest) -> Survey:
        """Refuse other than finite real numbers."""
        if self.matrix.dtype.kind not in "iubf":
            raise DataError(f"{name}: X of type {self.matrix.dtype}; real numbers are allowed")
        if 0 in self.matrix.shape:
            raise DataError(f"{name}: X has shape {self.matrix.shape}, which holds no numbers")
        bad = np.flatnonzero(~np.isfinite(self.matrix.data))
        if bad.size:
            row = int(np.searchsorted(self.matrix.indptr, bad[0], side="right")) - 1
            what = "NaN" if np.isnan(self.matrix.data[bad[0]]) else "infinity"
            raise DataError(f"{name}: row {row} holds {what}")
        self.hash_into(digest)
        return Survey(self)


def from_sparse(matrix: Any) -> Sparse:
    """Take any sparse matrix or array of SciPy, its values in order and without zeros."""
    from scipy.sparse import csr_array

    rows = csr_array(matrix)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    rows.sort_indices()
    return Sparse(rows)

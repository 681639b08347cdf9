"""Rank a zoo of pre-trained models by how well each would transfer.

>>> import numpy as np
>>> import zoorank
>>> X = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [3.0, 0.0]])
>>> zoorank.silhouette_score(X, ["a", "a", "b", "b"], metric="cosine")
1.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoorank._core import __version__
from zoorank.engine import (
    SilhouetteResult,
    build_info,
    nearest_neighbors,
    pairwise_distances,
    silhouette,
    silhouette_batch,
    silhouette_samples,
    silhouette_score,
)
from zoorank.errors import (
    DataError,
    ManifestError,
    SourceError,
    StoreError,
    UsageError,
    ZoorankError,
)

if TYPE_CHECKING:
    from zoorank.ranking.rank import rank
    from zoorank.ranking.ranking import Ranking
    from zoorank.ranking.rows import RankRow
    from zoorank.sources.manifest import Zoo, load_zoo
    from zoorank.targets import load_target

__all__ = [
    "DataError",
    "ManifestError",
    "RankRow",
    "Ranking",
    "SilhouetteResult",
    "SourceError",
    "StoreError",
    "UsageError",
    "Zoo",
    "ZoorankError",
    "__version__",
    "build_info",
    "cuts",
    "encode",
    "evaluate",
    "load_target",
    "load_zoo",
    "nearest_neighbors",
    "pairwise_distances",
    "rank",
    "silhouette",
    "silhouette_batch",
    "silhouette_samples",
    "silhouette_score",
    "verify",
]

# Loaded when first used: these rooms may need torch, pydantic or rich.
_LAZY = {
    "RankRow": "zoorank.ranking.rows",
    "Ranking": "zoorank.ranking.ranking",
    "rank": "zoorank.ranking.rank",
    "verify": "zoorank.verification.verify",
    "evaluate": "zoorank.evaluation.evaluate",
    "cuts": "zoorank.encoding.cuts",
    "encode": "zoorank.encoding.own",
    "Zoo": "zoorank.sources.manifest",
    "load_target": "zoorank.targets",
    "load_zoo": "zoorank.sources.manifest",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'zoorank' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

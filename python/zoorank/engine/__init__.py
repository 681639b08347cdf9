"""Numbers in, numbers out: silhouettes, distances and neighbours, computed by the C++ library."""

from zoorank.engine.batch import silhouette_batch
from zoorank.engine.distances import pairwise_distances
from zoorank.engine.environment import METRICS, BuildInfo, build_info
from zoorank.engine.neighbors import nearest_neighbors
from zoorank.engine.samples import silhouette_samples
from zoorank.engine.silhouette import SilhouetteResult, silhouette
from zoorank.engine.subset import silhouette_score

__all__ = [
    "METRICS",
    "BuildInfo",
    "SilhouetteResult",
    "build_info",
    "nearest_neighbors",
    "pairwise_distances",
    "silhouette",
    "silhouette_batch",
    "silhouette_samples",
    "silhouette_score",
]

"""Sources of weights: one file each, listed here once."""

from __future__ import annotations

from types import MappingProxyType

from zoorank.zoo.sources.base import WeightsSource
from zoorank.zoo.sources.file import FileWeights
from zoorank.zoo.sources.package import PackageWeights
from zoorank.zoo.sources.random import RandomWeights

SOURCES: MappingProxyType[str, type[WeightsSource]] = MappingProxyType(
    {"file": FileWeights, "package": PackageWeights, "random": RandomWeights}
)

__all__ = ["SOURCES", "FileWeights", "PackageWeights", "RandomWeights", "WeightsSource"]

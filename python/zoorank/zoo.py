"""Readers of zoos and targets under the names of version 0.1."""

from __future__ import annotations

from zoorank.sources.manifest import load_zoo
from zoorank.targets import load_target

__all__ = ["load_target", "load_zoo"]

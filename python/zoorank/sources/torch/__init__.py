"""Networks of torch: built, cut, run, trained. Importing this imports no torch."""

from __future__ import annotations

from typing import Any

from zoorank.sources.base import Entry, Source
from zoorank.sources.torch.source import sources

__all__ = ["source_of_module", "sources"]


def source_of_module(reference: Any, entry: Entry) -> Source:
    """Name a module in memory; see :func:`zoorank.sources.torch.memory.source_of_module`."""
    from zoorank.sources.torch import memory

    return memory.source_of_module(reference, entry)

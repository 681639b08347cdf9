"""Networks of torch: built, cut, run, trained. Importing this imports no torch."""

from __future__ import annotations

from typing import Any

from zoorank.sources.base import Entry, EntryError, Source
from zoorank.sources.torch.source import ModelEntry, TorchSource

__all__ = ["source_of_module", "sources"]


def source_of_module(reference: Any, entry: Entry) -> Source:
    """Name a module in memory; see :func:`zoorank.sources.torch.memory.source_of_module`."""
    from zoorank.sources.torch import memory

    return memory.source_of_module(reference, entry)


def sources(identifier: str, _revision: str | None, entry: Entry) -> tuple[TorchSource, ...]:
    """Name a network by its factory, ``module:function`` or ``module.Class``.

    Raises
    ------
    EntryError, ValidationError
        When the entry lacks weights or preprocessing, or has other keys.
    """
    if entry.preprocessing is None:
        why = "is missing; say in a manifest how the network wants its input"
        raise EntryError(why, "preprocessing")
    said = {
        **entry.settings,
        "name": entry.name or f"torch:{identifier}",
        "factory": identifier,
        "preprocessing": entry.preprocessing,
        "cuts": entry.cuts,
        "trained_on": entry.trained_on,
        "licence": entry.licence,
        "sha256": entry.sha256,
    }
    read = ModelEntry.model_validate(
        {key: value for key, value in said.items() if value is not None},
        context={"folder": entry.folder},
    )
    return (TorchSource.model_construct(**dict(read), trust=entry.trust),)

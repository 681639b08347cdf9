"""Room for encodings under a quota: those go that were not used for longest."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from zoorank.errors import SourceError
from zoorank.partial import partials

_ENCODING = re.compile(r"([0-9a-f]{32})\.npy")
_LEFT = 0.9  # of the quota, once something has to go: else it would be looked through each time
_OFTEN = 100  # encodings after which it is looked what other runs have written


class Space:
    """The bytes that encodings may take in a directory.

    Parameters
    ----------
    directory : Path
    quota : int
    """

    def __init__(self, directory: Path, quota: int) -> None:
        self._directory, self._quota = directory, quota
        self._taken: int | None = None
        self._count = 0

    def used(self, key: str) -> None:
        """Take down that an encoding is of use."""
        with contextlib.suppress(OSError):  # of a directory that may only be read
            os.utime(self._directory / f"{key}.json")

    def make(self, size: int) -> None:
        """Remove encodings until another one of ``size`` bytes fits.

        Files of others are neither counted nor removed.

        Raises
        ------
        SourceError
            When it does not fit at all, or not beside those that are being written.
        """
        if size > self._quota:
            raise SourceError(
                f"one of its encodings takes {size:,} bytes, more than the store's quota of "
                f"{self._quota:,}"
            )
        self._count += 1
        taken = self._taken
        if taken is None or taken + size > self._quota or self._count % _OFTEN == 0:
            taken = self._cleared(size)
        self._taken = taken + size

    def _cleared(self, size: int) -> int:
        writing = sum(_size(path) for path in partials(self._directory))
        kept = self._kept()
        taken = writing + sum(each.size for each in kept)
        if taken + size <= self._quota:
            return taken
        for each in kept:
            self._remove(each.key)
            taken -= each.size
            if taken + size <= _LEFT * self._quota:
                break
        if taken + size > self._quota:
            raise SourceError(
                f"one of its encodings takes {size:,} bytes, which do not fit into the store's "
                f"quota of {self._quota:,} beside others that are being written"
            )
        return taken

    def _kept(self) -> list[_Kept]:
        """All encodings, those first that were not used for longest."""
        found = []
        for path in self._directory.iterdir():
            name = _ENCODING.fullmatch(path.name)
            if name is None:
                continue
            record = path.with_suffix(".json")
            with contextlib.suppress(OSError):
                newest = record if record.exists() else path
                found.append(_Kept(newest.stat().st_mtime_ns, name[1], _size(path)))
        return sorted(found)

    def _remove(self, key: str) -> None:
        # In this order there is never a record without its array.
        for suffix in ("json", "npy"):
            with contextlib.suppress(OSError):
                (self._directory / f"{key}.{suffix}").unlink()


class _Kept(NamedTuple):
    used: int
    key: str
    size: int


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0

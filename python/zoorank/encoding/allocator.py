"""Memory that is kept between batches.

Networks free and ask for the same memory batch after batch. Where the C library returns it to
the system in between, most of a pass on a CPU may go into page faults.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# Up to this many bytes the GNU C library can be told to keep; it takes no larger threshold.
KEPT = 2**25
_TRIM, _TRIM_AFTERWARDS = 2**30, 2**26  # the latter is where it ends up by itself

# For processes that are about to be started.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(KEPT), "MALLOC_TRIM_THRESHOLD_": str(_TRIM)}

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@contextmanager
def kept() -> Iterator[None]:
    """Keep memory that this process frees, and return it at the end.

    Where the C library is another one, nothing changes.
    """
    library = _gnu()
    if library is None:
        yield
        return
    library.mallopt(_M_MMAP_THRESHOLD, KEPT)
    library.mallopt(_M_TRIM_THRESHOLD, _TRIM)
    try:
        yield
    finally:
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_AFTERWARDS)
        library.malloc_trim(0)


@cache
def _gnu() -> ctypes.CDLL | None:
    """The C library, if it is GNU's."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None

"""Pictures in files; they need matplotlib."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoorank.errors import StoreError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")


def picture_path(path: str | os.PathLike[str]) -> Path:
    """Check that a picture can be written, so that a bad place is known before the work.

    Raises
    ------
    UsageError
        For an ending other than ``.png``, ``.svg`` or ``.pdf``.
    StoreError
        If its directory is missing or cannot be written to.
    ModuleNotFoundError
        Without matplotlib.
    """
    place = Path(path)
    if place.suffix.lower() not in PICTURES:
        raise UsageError(f"{place}: a picture ends in one of {', '.join(PICTURES)}")
    importlib.import_module("matplotlib")
    try:
        tempfile.TemporaryFile(dir=place.parent).close()
    except OSError as error:
        raise StoreError(f"cannot write {place}: {error.strerror}") from error
    return place


def new_figure(width: float, height: float) -> Figure:
    """Begin a picture of so many inches, without a window or a global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, place: Path) -> Path:
    """Write a picture to where :func:`picture_path` allowed it."""
    try:
        figure.savefig(place, dpi=150)
    except OSError as error:
        raise StoreError(f"cannot write {place}: {error.strerror}") from error
    return place

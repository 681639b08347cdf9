"""NumPy files, and named arrays in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import hint, listing, not_loaded, one_line
from zoorank.targets.arrays import Arrays
from zoorank.targets.labelled import Labelled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SPLITS = ("train", "test", "all")
_LABEL_FILES = ("labels.npy", "y.npy", "{stem}_labels.npy", "{stem}.labels.npy")


def read_npz(path: Path, split: str) -> Labelled:
    """Read ``X``, ``y`` or ``X_train``, ``y_train``, ``X_test``, ``y_test``."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return from_mapping(_Members(content, path), path.stem, split, str(path))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable .npz file: {not_loaded(error)}") from None


class _Members(Mapping[str, Any]):
    """Arrays of an archive, each read when asked for; one that holds pickles is refused."""

    def __init__(self, content: Any, path: Path) -> None:
        self._content, self._path = content, path

    def __getitem__(self, key: str) -> NDArray[Any]:
        try:
            return np.asarray(self._content[key])
        except ValueError as error:
            raise DataError(f"{self._path}: array {key!r}: {not_loaded(error)}") from None

    def __iter__(self) -> Any:
        return iter(self._content.files)

    def __len__(self) -> int:
        return len(self._content.files)


def from_mapping(content: Mapping[str, Any], name: str, split: str, where: str) -> Labelled:
    """Take samples and labels out of named arrays, the wanted split where there are two."""
    keys = [str(key) for key in content]
    whole = [key for key in ("X", "y") if key in keys]
    parts = [f"{a}_{b}" for b in ("train", "test") for a in "Xy"]
    halves = [key for key in parts if key in keys]
    if len(whole) == 2 and not halves:
        return Labelled(_arrays(content["X"]), np.asarray(content["y"]), name)
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}; {hint(split, SPLITS)}")
    wanted = [key for key in parts if split == "all" or key.endswith(split)]
    missing = [key for key in wanted if key not in keys]
    if whole or missing:
        needs = (
            "X and y" if not halves else f"{' and '.join(missing or ['only one of X, X_train'])}"
        )
        raise DataError(f"{where}: needs {needs}; it holds {listing(keys) or 'nothing'}")
    X = [to_array(content[key]) for key in wanted if key.startswith("X")]
    y = [np.asarray(content[key]) for key in wanted if key.startswith("y")]
    if len(X) == 1:
        return Labelled(Arrays(X[0]), y[0], f"{name} ({split})")
    if X[0].shape[1:] != X[1].shape[1:]:
        raise DataError(f"{where}: train and test differ in shape: {X[0].shape}, {X[1].shape}")
    return Labelled(Arrays(np.concatenate(X)), np.concatenate(y), f"{name} (all)")


def read_npy(path: Path, labels: Path | None = None) -> Labelled:
    """Read samples from one file, memory-mapped, and labels from another beside it."""
    if labels is None:
        names = [name.format(stem=path.stem) for name in _LABEL_FILES]
        found = [path.with_name(name) for name in names if path.with_name(name).is_file()]
        found = [candidate for candidate in found if candidate != path]
        if not found:
            raise DataError(f"{path}: no labels beside it; one of {', '.join(names)} is needed")
        labels = found[0]
    name = path.stem if path.stem != "X" else path.resolve().parent.name
    return Labelled(Arrays(_load(path, mmap=True), file=path), _load(labels), name)


def from_pair(X: Any, labels: Any) -> Labelled:
    """Take arrays, or the paths of two ``.npy`` files."""
    if isinstance(X, str | Path) and isinstance(labels, str | Path):
        return read_npy(Path(X), Path(labels))
    return Labelled(_arrays(X), np.asarray(labels), "arrays")


def _arrays(X: ArrayLike) -> Arrays:
    return Arrays(to_array(X))


def to_array(X: ArrayLike) -> NDArray[Any]:
    """Make an array of what may be one, or refuse it in one line."""
    try:
        return np.asarray(X)
    except (ValueError, TypeError) as error:
        raise DataError(f"X is not an array of numbers: {one_line(error)}") from None


def _load(path: Path, mmap: bool = False) -> NDArray[Any]:
    try:
        loaded = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a readable .npy file: {not_loaded(error)}") from None
    if not isinstance(loaded, np.ndarray):
        raise DataError(f"{path}: not a .npy file but an archive")
    return loaded

"""Folders: images, one sub-folder a class, or one data set in several files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import hint, listing
from zoorank.targets.arrays import Arrays
from zoorank.targets.images import ImageFiles
from zoorank.targets.labelled import Labelled
from zoorank.targets.numpy_files import SPLITS, read_npy
from zoorank.targets.series import read_ts, read_tsv

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
_SERIES: dict[str, Callable[[Path], Labelled]] = {".tsv": read_tsv, ".ts": read_ts}


def read_folder(folder: Path, split: str) -> Labelled:
    """Read ``X.npy``, ``Name_TRAIN.tsv`` and the like, or images by class."""
    if (folder / "X.npy").is_file():
        return read_npy(folder / "X.npy")
    for suffix in _SERIES:
        if any(folder.glob(f"*_TRAIN{suffix}")):
            return _read_split(folder, suffix, split)
    return _read_images(folder)


def _read_split(folder: Path, suffix: str, split: str) -> Labelled:
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}; {hint(split, SPLITS)}")
    parts = []
    for part in ("TRAIN", "TEST") if split == "all" else (split.upper(),):
        files = sorted(folder.glob(f"*_{part}{suffix}"))
        if len(files) != 1:
            found = listing(file.name for file in files) or "none"
            raise DataError(f"{folder}: needs one file *_{part}{suffix}; found {found}")
        parts.append(_SERIES[suffix](files[0]))
    X = [np.asarray(part.samples.take(range(len(part.samples)))) for part in parts]
    if X[0].shape[1:] != X[-1].shape[1:]:
        raise DataError(f"{folder}: train and test differ in length")
    labels = np.concatenate([part.labels for part in parts])
    series = Arrays(np.concatenate(X), "series")
    return Labelled(series, labels, f"{folder.name} ({split})")


def _read_images(folder: Path) -> Labelled:
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    paths, labels = [], []
    for sub in classes:
        inside = sorted(path for path in sub.rglob("*") if path.suffix.lower() in _IMAGES)
        if not inside:
            raise DataError(f"{sub}: no images; {', '.join(_IMAGES)} are read")
        paths += inside
        labels += [sub.name] * len(inside)
    if not paths:
        content = "no sub-folders" if any(folder.iterdir()) else "empty"
        raise DataError(f"{folder}: {content}; needs one sub-folder of images for each class")
    names = tuple(path.relative_to(folder).as_posix() for path in paths)
    images = ImageFiles(folder, names)
    images.decode_all()
    return Labelled(images, np.array(labels), folder.name)

"""Folders: one sub-folder a class, or one data set in several files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert, listing
from zoorank.targets import audio, images
from zoorank.targets.base import Arrays, Modality
from zoorank.targets.conll import SUFFIXES as TAGGED
from zoorank.targets.conll import read_conll
from zoorank.targets.files import Files, Paths
from zoorank.targets.labelled import SPLIT_NAMES, Labelled, Reading, left_out
from zoorank.targets.numpy_files import idx_files, read_idx, read_npy
from zoorank.targets.opening import is_hidden, read_text, reading, stem_of, suffix_of, walk
from zoorank.targets.record_files import SUFFIXES as RECORDS
from zoorank.targets.record_files import is_saved, read_records, read_saved
from zoorank.targets.samples import Samples
from zoorank.targets.series import read_ts, read_ucr
from zoorank.targets.texts import Texts

_SERIES: dict[str, Callable[[Path, Reading], Labelled]] = {
    ".tsv": read_ucr,
    ".ts": read_ts,
    ".txt": read_ucr,
    "": read_ucr,
}
_READERS: dict[str, Callable[[Path, Reading], Labelled]] = {
    **dict.fromkeys(RECORDS, read_records),
    **dict.fromkeys(TAGGED, read_conll),
}
_PARTS = {"train": ("TRAIN",), "test": ("TEST",), "all": ("TRAIN", "TEST")}
_INDEXES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "labels.csv")
_TEXTS = (".txt", ".text", ".md")
_NOUNS: dict[Modality, str] = {"image": "image", "audio": "sound", "text": "text"}


def read_folder(folder: Path, how: Reading) -> Labelled:
    """Read what is found first: one data set in files with known names, or files by class."""
    if (folder / "X.npy").is_file():
        return read_npy(folder / "X.npy", how)
    if archived := [suffix for suffix in _SERIES if any(folder.glob(f"*_TRAIN{suffix}"))]:
        # The same data may lie there in several forms, and not every part in each of them.
        wanted = _PARTS[how.split]
        whole = (s for s in archived if all(any(folder.glob(f"*_{p}{s}")) for p in wanted))
        return _read_series(folder, next(whole, archived[0]), how)
    if is_saved(folder):
        return read_saved(folder, how)
    if len(idx_files(folder)) > 1:
        return read_idx(folder, how)
    for name in _INDEXES:
        if (folder / name).is_file():
            return read_records(folder / name, how)
    if parts := _part_files(folder):
        return _read_parts(folder, parts, how)
    return _read_classes(folder, how)


def _read_series(folder: Path, suffix: str, how: Reading) -> Labelled:
    found = []
    for part in _PARTS[how.split]:
        files = sorted(folder.glob(f"*_{part}{suffix}"))
        if len(files) != 1:
            have = listing(file.name for file in files) or "none"
            raise DataError(f"{folder}: needs one file *_{part}{suffix}; found {have}")
        found.append(_SERIES[suffix](files[0], how))
    return _joined(folder, found, f"{folder.name} ({how.split})", "train and test differ in length")


def _joined(folder: Path, found: Sequence[Labelled], name: str, unlike: str) -> Labelled:
    """Put parts that were read one by one behind each other."""
    notes = tuple(dict.fromkeys(note for each in found for note in each.notes))
    first = found[0]
    if len(found) == 1:
        return replace(first, name=name, notes=notes)
    if len({(type(each.samples), each.samples.shape) for each in found}) > 1:
        raise DataError(f"{folder}: {unlike}")
    labels = np.concatenate([np.asarray(each.labels) for each in found])
    every = [each.samples.take(range(len(each.samples))) for each in found]
    samples: Samples
    if isinstance(first.samples, Arrays):
        samples = Arrays(np.concatenate([np.asarray(part) for part in every]), first.samples.given)
    elif isinstance(first.samples, Texts):
        texts = [each.samples for each in found if isinstance(each.samples, Texts)]
        counts = [each.counts for each in texts if each.counts is not None]
        content = tuple(text for part in every for text in part)
        samples = Texts(content, np.concatenate(counts) if counts else None)
    else:
        raise DataError(f"{folder}: its parts cannot be put together; say split")
    groups = None
    if all(each.groups is not None for each in found):
        groups = np.concatenate([np.asarray(each.groups) for each in found])
    return Labelled(samples, labels, name, notes, groups, first.task)


def _part_files(folder: Path) -> dict[str, list[Path]]:
    """Files such as ``train.csv`` or ``data/train-00000-of-00002.parquet``, by their part."""
    files = [path for where in ("*", "data/*") for path in sorted(folder.glob(where))]
    files = [path for path in files if suffix_of(path) in _READERS and path.is_file()]
    parts: dict[str, list[Path]] = {}
    for path in files:
        for part in (each for names in SPLIT_NAMES.values() for each in names):
            stem = stem_of(path).lower()
            if stem == part or stem.startswith(f"{part}-"):
                parts.setdefault(part, []).append(path)
    return parts


def _read_parts(folder: Path, parts: dict[str, list[Path]], how: Reading) -> Labelled:
    taken, note = _taken(folder, list(parts), how)
    files = [path for part in taken for path in parts[part]]
    kinds = {suffix_of(path) for path in files}
    if len(kinds) > 1:
        raise DataError(f"{folder}: files of several kinds: {listing(path.name for path in files)}")
    read = _READERS[kinds.pop()]
    found = [read(path, how) for path in files]
    joined = _joined(folder, found, f"{folder.name} ({how.split})", "its parts differ in columns")
    return replace(joined, notes=(*note, *joined.notes))


def _taken(folder: Path, parts: Sequence[str], how: Reading) -> tuple[list[str], tuple[str, ...]]:
    """Which parts the wanted split takes in, by the names they have."""
    if how.split == "all":
        return list(parts), ()
    small = {part.lower(): part for part in parts}
    for name in SPLIT_NAMES[how.split]:
        if name in small:
            others = [part for part in parts if part != small[name]]
            note = f"the part {small[name]!r} is read, {listing(map(repr, others))} not"
            return [small[name]], (note,) if others else ()
    raise DataError(f"{folder}: has no part {how.split!r}, but {listing(map(repr, parts))}")


def _read_classes(folder: Path, how: Reading) -> Labelled:
    """Read one sub-folder a class, of images, sounds or texts; perhaps in parts."""
    folders, name, notes = _class_folders(folder, how)
    files = [(path, sub.name) for sub in folders for path in walk(sub)]
    modality = how.modality or _modality(folder, [path for path, _ in files])
    kept, skipped = _of_modality(folder, files, modality)
    if not kept:
        content = "no sub-folders" if any(folder.iterdir()) else "empty"
        content = "no files that are read" if folders else content
        raise DataError(
            f"{folder}: {content}; needs one sub-folder of images, sounds or texts for each class"
        )
    empty = [sub.name for sub in folders if sub.name not in {label for _, label in kept}]
    if empty:
        notes = (
            *notes,
            f"classes without any {_NOUNS[modality]} are left out: {listing(map(inert, empty), 8)}",
        )
    contents: list[tuple[str, tuple[str, ...]]] = []
    if modality == "text":
        contents = [read_text(path, lines=False) for path, _ in kept]
        full = [bool(text.strip()) for text, _ in contents]
        skipped += [
            (inert(path.relative_to(folder).as_posix()), "an empty text")
            for (path, _), has in zip(kept, full, strict=True)
            if not has
        ]
        kept, contents = list(compress(kept, full)), list(compress(contents, full))
    notes = (*notes, *left_out(folder, "file", [*_beside(folder, modality), *skipped], how))
    relative = tuple(path.relative_to(folder).as_posix() for path, _ in kept)
    labels = np.array([label for _, label in kept], dtype=np.str_)
    if modality != "text":
        return Labelled(Files(Paths(folder, relative), modality), labels, name, notes)
    odd = [note for _, remarks in contents for note in remarks]
    notes = (*notes, *odd[:1]) if len(odd) < 2 else (*notes, f"{len(odd)} files: {odd[0]}")
    return Labelled(Texts(tuple(text.strip() for text, _ in contents)), labels, name, notes)


def _class_folders(folder: Path, how: Reading) -> tuple[list[Path], str, tuple[str, ...]]:
    """Find the sub-folders of the classes, perhaps in parts; what to call the data; notes."""
    with reading(folder, "folder"):
        folders = _folders_in(folder)
    names = {name for known in SPLIT_NAMES.values() for name in known}
    parts = [path.name for path in folders if path.name.lower() in names and _folders_in(path)]
    if not parts:
        return folders, folder.name, ()
    taken, notes = _taken(folder, parts, how)
    beside = [path.name for path in folders if path.name not in parts]
    if beside:
        notes = (*notes, f"folders beside the parts are not read: {listing(beside, 8)}")
    inside = [sub for part in taken for sub in _folders_in(folder / part)]
    return inside, f"{folder.name} ({how.split})", notes


def _beside(folder: Path, modality: Modality) -> list[tuple[str, str]]:
    """Samples that lie beside the folders of the classes, and so have no label."""
    known = images.known_suffixes() if modality == "image" else audio.known_suffixes()
    if modality == "text":  # what lies there describes the data
        return []
    found = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in known and path.is_file() and not is_hidden(path.name)
    )
    return [(inert(name), "in no folder of a class") for name in found]


def _folders_in(folder: Path) -> list[Path]:
    return sorted(sub for sub in folder.iterdir() if sub.is_dir() and not is_hidden(sub.name))


def _kind(path: Path) -> Modality | None:
    suffix = path.suffix.lower()
    if suffix in audio.known_suffixes():
        return "audio"
    if suffix in _TEXTS:
        return "text"
    return "image" if suffix in images.known_suffixes() else None


def _modality(folder: Path, files: Sequence[Path]) -> Modality:
    """What most files are; texts beside images or sounds describe them."""
    counts: Counter[Any] = Counter(map(_kind, files))
    if counts["image"] and counts["audio"]:
        raise DataError(
            f"{folder}: holds {counts['image']} images and {counts['audio']} sounds; "
            "say which modality"
        )
    if counts["audio"]:
        return "audio"
    return "text" if counts["text"] and not counts["image"] else "image"


def _of_modality(
    folder: Path, files: Sequence[tuple[Path, str]], modality: Modality
) -> tuple[list[tuple[Path, str]], list[tuple[str, str]]]:
    """Files to read, and those that are of another kind; images tell by their first bytes."""
    kept, skipped = [], []
    for path, label in files:
        kind = _kind(path)
        if kind == modality or (kind is None and modality == "image"):
            kept.append((path, label))
            continue
        reason = f"no {_NOUNS.get(modality, modality)}"
        if modality == "audio" and path.suffix.lower() in audio.FOREIGN:
            reason = f"{path.suffix.lower()} is not read; convert it to .flac or .wav"
        skipped.append((inert(path.relative_to(folder).as_posix()), reason))
    return kept, skipped

"""NumPy files, named arrays in memory, and MNIST's own files."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert, listing
from zoorank.targets.base import Arrays
from zoorank.targets.forms import Given, samples_of
from zoorank.targets.labelled import SPLIT_NAMES, Labelled, Reading
from zoorank.targets.opening import reading, regular, stamp_of
from zoorank.targets.samples import Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LABEL_FILES = ("labels.npy", "y.npy", "{stem}_labels.npy", "{stem}.labels.npy")
_SAMPLES = ("x", "data", "images", "features", "samples", "inputs", "texts", "series")
_LABELS = ("y", "labels", "label", "targets", "target", "classes")
_GROUPS = ("groups", "group")
# An archive may hold far more than its size says; beyond both it has to be unpacked first.
_MOST_UNPACKED, _MOST_RATIO = 512 * 2**20, 100
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_npz(path: Path, how: Reading) -> Labelled:
    """Read samples and labels under any of the names that people give them."""
    with reading(path, ".npz file"), np.load(regular(path), allow_pickle=False) as content:
        if not isinstance(content, Mapping):
            raise DataError(f"{path}: not an .npz archive but a single array")
        return from_mapping(_Members(content, path), path.stem, how, str(path))


class _Members(Mapping[str, Any]):
    """Arrays of an archive, each read when asked for; one that holds pickles is refused."""

    def __init__(self, content: Any, path: Path) -> None:
        self._content, self._path = content, path
        sizes = {each.filename: each for each in content.zip.infolist()}
        for name, member in sizes.items():
            ratio = member.file_size / max(1, member.compress_size)
            if member.file_size > _MOST_UNPACKED and ratio > _MOST_RATIO:
                raise DataError(
                    f"{path}: {inert(name)} unpacks to {member.file_size:,} bytes from "
                    f"{member.compress_size:,}; save it as .npy"
                )

    def __getitem__(self, key: str) -> NDArray[Any]:
        with reading(f"{self._path}: array {inert(key)!r}", "array"):
            self._check_size(key)
            return np.asarray(self._content[key])

    def _check_size(self, key: str) -> None:
        """Refuse a shape that the bytes behind it do not fill, before room is made for it."""
        info = next(
            each for each in self._content.zip.infolist() if each.filename in (key, f"{key}.npy")
        )
        with self._content.zip.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(stream)
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize > info.file_size:
                raise ValueError(f"its shape {shape} does not fit its {info.file_size:,} bytes")

    def __iter__(self) -> Any:
        return iter(self._content.files)

    def __len__(self) -> int:
        return len(self._content.files)


def from_mapping(content: Mapping[str, Any], name: str, how: Reading, where: str) -> Labelled:
    """Take samples and labels out of named arrays, the wanted part where there are several."""
    keys = [str(key) for key in content]
    whole = _pair(keys, "")
    parts = {
        part: pair
        for names in SPLIT_NAMES.values()
        for part in names
        if (pair := _pair(keys, part))
    }
    if parts and (lone := [key for key in keys if key.lower() in ("x", "y")]):
        other = next(iter(parts.values()))["xy".index(lone[0].lower())]
        raise DataError(
            f"{where}: needs only one of {lone[0]}, {other}; it holds {listing(map(inert, keys))}"
        )
    if whole and not parts:
        groups = next((content[key] for key in keys if key.lower() in _GROUPS), None)
        samples, notes = _form(content[whole[0]], how, where)
        return Labelled(samples, content[whole[1]], name, notes, _groups(groups))
    wanted, note = _wanted(parts, how)
    if not wanted:
        needs = (
            "X and y" if not parts else f"a {how.split} part, such as X_{how.split}, y_{how.split}"
        )
        raise DataError(
            f"{where}: needs {needs}; it holds {listing(map(inert, keys)) or 'nothing'}"
        )
    if len(wanted) == 1:
        X, y = wanted[0]
        samples, notes = _form(content[X], how, where)
        return Labelled(samples, content[y], f"{name} ({how.split})", (*note, *notes))
    X_parts = [np.asarray(content[X]) for X, _ in wanted]
    y_parts = [np.asarray(content[y]) for _, y in wanted]
    if len({part.shape[1:] for part in X_parts}) > 1:
        shapes = ", ".join(str(part.shape) for part in X_parts)
        raise DataError(f"{where}: its parts differ in shape: {shapes}")
    samples, notes = _form(np.concatenate(X_parts), how, where)
    return Labelled(samples, np.concatenate(y_parts), f"{name} (all)", notes)


def _pair(keys: Sequence[str], part: str) -> tuple[str, str] | None:
    """The names of samples and of labels of one part, however they are written."""

    def named(words: Sequence[str]) -> str | None:
        for word in words:
            forms = (
                (f"{word}_{part}", f"{part}_{word}", word + part, part + word) if part else (word,)
            )
            for key in keys:
                if key.lower() in forms:
                    return key
        return None

    samples, labels = named(_SAMPLES), named(_LABELS)
    return (samples, labels) if samples and labels else None


def _wanted(
    parts: Mapping[str, tuple[str, str]], how: Reading
) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    if how.split == "all":
        return list(parts.values()), ()
    taken = next((part for part in SPLIT_NAMES[how.split] if part in parts), None)
    if taken is None:
        return [], ()
    note = () if taken == how.split else (f"the part {taken!r} is the {how.split} part",)
    return [parts[taken]], note


def _form(X: Any, how: Reading, where: str) -> Any:
    return samples_of(X, Given(where, how.modality))


def _groups(groups: Any) -> NDArray[Any] | None:
    return None if groups is None else np.asarray(groups)


def read_npy(path: Path, how: Reading, labels: Path | None = None) -> Labelled:
    """Read samples from one file, memory-mapped, and labels from another beside it."""
    if labels is None:
        beside = label_files(path)
        found = [each for each in beside if each.is_file() and each != path]
        if not found:
            names = ", ".join(each.name for each in beside)
            raise DataError(f"{path}: no labels beside it; one of {names} is needed")
        labels = found[0]
    name = path.stem if path.stem != "X" else path.absolute().parent.name
    stamp, X = stamp_of(path), _load(path)
    samples: Samples = Arrays(X, how.modality, path.absolute(), stamp)
    if X.dtype.kind in "OUST":
        samples = _form(X, how, str(path))[0]
    return Labelled(samples, np.array(_load(labels)), name)


def label_files(path: Path) -> list[Path]:
    """Where the labels of samples in a file may lie."""
    return [path.with_name(name.format(stem=path.stem)) for name in _LABEL_FILES]


def _load(path: Path) -> NDArray[Any]:
    # NumPy warns of a shape that it cannot multiply, and then refuses it.
    with reading(path, ".npy file"), np.errstate(over="ignore"):
        loaded: Any = np.load(regular(path), mmap_mode="r", allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            raise DataError(f"{path}: not a .npy file but an archive")
        return loaded


def idx_files(folder: Path) -> dict[str, Path]:
    """Files of a folder that are named as MNIST's, by ``"train X"``, ``"test y"`` and so on."""
    found = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        for what, middle in (("X", "images"), ("y", "labels")):
            for path in sorted(folder.glob(f"{prefix}-{middle}*idx*")):
                found[f"{part} {what}"] = path
    return found


def read_idx(folder: Path, how: Reading) -> Labelled:
    """Read images and labels as MNIST and its like have them, packed or not."""
    files = idx_files(folder)
    parts = ("train", "test") if how.split == "all" else (how.split,)
    for part in parts:
        if not {f"{part} X", f"{part} y"} <= set(files):
            raise DataError(f"{folder}: needs images and labels of the {part} part")
    X, y = ([_idx(files[f"{part} {what}"]) for part in parts] for what in "Xy")
    name = f"{folder.name} ({how.split})"
    return Labelled(Arrays(np.concatenate(X), how.modality), np.concatenate(y), name)


def _idx(path: Path) -> NDArray[Any]:
    with reading(path, "IDX file"), regular(path).open("rb") as plain:
        packed = path.suffix == ".gz"
        stream: Any = gzip.GzipFile(fileobj=plain) if packed else plain
        magic = stream.read(4)
        known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _IDX_TYPES
        if not known or not magic[3]:
            raise ValueError("it does not begin as one")
        dtype = np.dtype(_IDX_TYPES[magic[2]])
        shape = np.frombuffer(stream.read(4 * magic[3]), dtype=">i4").astype(int)
        size = math.prod(shape.tolist()) * dtype.itemsize
        content = b"".join(_pieces(stream, size))
        if len(content) != size:
            raise ValueError(f"its shape {tuple(shape.tolist())} does not fit its bytes")
        values = np.frombuffer(content, dtype=dtype).reshape(shape)
        return values.astype(dtype.newbyteorder("="))


def _pieces(stream: Any, size: int) -> Iterator[bytes]:
    """At most so many bytes and one more; what is not there takes no room."""
    left = size + 1
    while left > 0 and (piece := stream.read(min(left, 2**20))):
        left -= len(piece)
        yield piece

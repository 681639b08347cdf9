"""Images and sounds that stay in their files, or in the bytes of them, until they are needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from zoorank.errors import DataError
from zoorank.messages import inert
from zoorank.targets import audio, images
from zoorank.targets.base import Modality, Rows
from zoorank.targets.opening import Stamp, read_bytes, stamp_of
from zoorank.targets.packed import Packed
from zoorank.targets.samples import Digest, Form, Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOUNS = {"image": "image", "audio": "sound"}
_SHAPES = {"image": "(height, width, 3)", "audio": "(time)"}


@dataclass(frozen=True)
class Paths(Sequence[Path]):
    """Files of a folder.

    Attributes
    ----------
    root : Path
    names : tuple of str
        Relative to the folder.
    """

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, row: int) -> Path: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Path]: ...
    def __getitem__(self, row: int | slice) -> Path | Sequence[Path]:
        if isinstance(row, slice):
            return [self.root / name for name in self.names[row]]
        return self.root / self.names[row]

    def subset(self, rows: Iterable[int]) -> Paths:
        """Some of the files."""
        return Paths(self.root, tuple(self.names[row] for row in rows))

    def spilled(self, path: Path) -> Paths:  # noqa: ARG002
        """Return the same: nothing lies in memory."""
        return self


@dataclass(frozen=True, eq=False)
class Files(Form):
    """Images or sounds, each as its file or as the bytes of it.

    Attributes
    ----------
    contents : Paths or Packed
    modality : {"image", "audio"}
    digests : tuple of bytes
        SHA-256 of each, once surveyed.
    stamps : tuple of tuple of int
        By which it is seen that a file has changed, once surveyed.
    vectors : ndarray of shape (n_samples, n_features), or None
        What the survey kept for a baseline.
    """

    contents: Paths | Packed
    modality: Modality
    digests: tuple[bytes, ...] = field(default=(), repr=False)
    stamps: tuple[Stamp, ...] = field(default=(), repr=False)
    vectors: NDArray[Any] | None = field(default=None, repr=False)

    @property
    def shape(self) -> str:
        """Shape of one sample, for messages."""
        return _SHAPES[self.modality]

    def __len__(self) -> int:
        return len(self.contents)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "vectors": None}  # cheaper to make again than to send

    def take(self, rows: Rows) -> Sequence[Path | bytes]:
        """Paths or bytes of some files."""
        return [self.contents[int(row)] for row in rows]

    def name(self, row: int) -> str:
        """What to call a file in a message."""
        names = self.contents.names if isinstance(self.contents, Paths) else None
        return f"row {row}" if names is None else inert(names[row])

    def subset(self, rows: NDArray[np.int64]) -> Files:
        """Some of the files."""
        digests = tuple(self.digests[row] for row in rows) if self.digests else ()
        stamps = tuple(self.stamps[row] for row in rows) if self.stamps else ()
        vectors = None if self.vectors is None else self.vectors[rows]
        return Files(self.contents.subset(rows), self.modality, digests, stamps, vectors)

    def hash_into(self, digest: Digest) -> None:
        """Feed the name, where there is one, and the bytes of every file to a digest."""
        for row, content in enumerate(self.take(range(len(self)))):
            if isinstance(self.contents, Paths):
                digest.update(os.fsencode(self.contents.names[row]) + b"\0")
            digest.update(self.digests[row] if self.digests else _digest(content))

    def blocks(self) -> Iterator[NDArray[Any]]:
        """The pixels of an image, ``(1, height, width, 3)``, or of a sound ``(1, n)``."""
        for content in self.contents:
            if self.modality == "image":
                yield np.asarray(images.decode(content).convert("RGB"))[None]
            else:
                yield audio.decode(content)[0][None]

    def baseline(self) -> NDArray[np.float32]:
        """Every image shrunk to 32 by 32 pixels, or the spectrum of every sound, in one row."""
        vectors = self.vectors
        if vectors is None:
            vectors = np.stack([_look_at(each, self.modality)[0] for each in self.contents])
        return vectors.astype(np.float32)

    def spilled(self, path: Path) -> Files:
        """The same with bytes that lie in memory moved to one file."""
        return replace(self, contents=self.contents.spilled(path))

    def survey(self, name: str, digest: Digest) -> Survey:
        """Decode every file once and leave out what cannot be read."""
        rows: list[int] = []
        skipped: list[tuple[str, str]] = []
        remarked: dict[str, list[str]] = {}
        digests, stamps, vectors = [], [], []
        for row, content in enumerate(self.take(range(len(self)))):
            stamp = stamp_of(content) if isinstance(content, Path) else ()
            try:
                vector, remarks = _look_at(content, self.modality)
                digests.append(_digest(content))
            except DataError as error:
                reason = str(error).removeprefix(f"{inert(content)}: ").removeprefix("a file: ")
                skipped.append((self.name(row), reason))
                continue
            rows.append(row)
            vectors.append(vector)
            stamps.append(stamp)
            for remark in remarks:
                remarked.setdefault(remark, []).append(self.name(row))
        if not rows:
            first = f", the first {skipped[0][0]}: {skipped[0][1]}"
            raise DataError(f"{name}: none of its {len(self)} {self.modality} files is read{first}")
        noun = _NOUNS[self.modality]
        notes = tuple(
            f"{len(names)} {noun}{'s' * (len(names) > 1)} {remark}, the first {names[0]}"
            for remark, names in remarked.items()
        )
        kept = np.array(rows, dtype=np.int64)
        found = replace(
            self.subset(kept),
            digests=tuple(digests),
            stamps=tuple(stamps) if isinstance(self.contents, Paths) else (),
            vectors=np.stack(vectors),
        )
        found.hash_into(digest)
        return Survey(found, kept if skipped else None, tuple(skipped), notes)

    def changed(self) -> str | None:
        """Name of the first file that is not any more as it was when it was surveyed."""
        if isinstance(self.contents, Packed):
            return self.contents.changed()
        for row, stamp in enumerate(self.stamps):
            if stamp_of(self.contents[row]) != stamp:
                return self.name(row)
        return None


def _look_at(content: Path | bytes, modality: Modality) -> tuple[NDArray[Any], tuple[str, ...]]:
    if modality == "audio":
        return audio.spectrum(*audio.decode(content)), ()
    image, remarks = images.decode_and_remark(content, least=2 * images.THUMBNAIL)
    return images.thumbnail(image), remarks


def _digest(content: Path | bytes) -> bytes:
    return hashlib.sha256(read_bytes(content) if isinstance(content, Path) else content).digest()

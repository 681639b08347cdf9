"""Files and folders that sources are read from, called in messages as the reference writes them.

A message never tells the value of a variable, or what else lies in a folder: the manifest
that names them may be a stranger's, and its results may go back to them.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoorank.errors import SourceError
from zoorank.messages import brief
from zoorank.sources.base import Entry, EntryError, Known
from zoorank.sources.trust import find_package
from zoorank.targets.base import Modality
from zoorank.targets.paths import expand

_BLOCK = 2**20
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True)
class SourceFile:
    """A file or folder that a reference names.

    Attributes
    ----------
    written : str
        As the reference writes it, with the name that a pattern found.
    path : Path
        Absolute.
    """

    written: str
    path: Path

    @property
    def name(self) -> str:
        """The last part of what the reference writes."""
        return PurePosixPath(self.written).name

    def refuse(self, reason: str) -> SourceError:
        """Build the error that this file cannot be used."""
        return SourceError(f"{self.written}: {reason}")

    def beside(self, name: str) -> SourceFile:
        """Name a file in the same folder, or in one below it."""
        written = PurePosixPath(self.written).parent / name
        return SourceFile(str(written), self.path.parent / name)

    def inside(self, name: str) -> SourceFile:
        """Name a file in this folder."""
        return SourceFile(f"{self.written.rstrip('/')}/{name}", self.path / name)

    def check(self) -> None:
        """Refuse what is no regular file.

        Raises
        ------
        SourceError
        """
        try:
            mode = self.path.stat().st_mode
        except OSError as error:
            raise self.refuse(_reason(error)) from None
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
            raise self.refuse(f"is {what}")

    def read(self, sha256: str | None = None) -> bytes:
        """Read the whole file.

        Parameters
        ----------
        sha256 : str or None
            What `pin` gave.

        Raises
        ------
        SourceError
            When it cannot be read, or is no longer what was pinned.
        """
        self.check()
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise self.refuse(_reason(error)) from None
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise self.refuse("has changed since the run began; run it again")
        return content

    def pin(self, expected: str | None = None) -> Pin:
        """Hash the file.

        Raises
        ------
        SourceError
            When it cannot be read, changes meanwhile, or has not the digest expected.
        """
        self.check()
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as stream:
                before = _stamp(os.fstat(stream.fileno()))
                while block := stream.read(_BLOCK):
                    digest.update(block)
                after = _stamp(os.fstat(stream.fileno()))
        except OSError as error:
            raise self.refuse(_reason(error)) from None
        if before != after:
            raise self.refuse("changed while it was read")
        found = digest.hexdigest()
        if expected not in (None, found):
            raise self.refuse(f"its sha256 is not {expected}, which the manifest expects")
        return Pin(self, found, before)


@dataclass(frozen=True)
class Pin:
    """A file with the digest of its bytes.

    Attributes
    ----------
    file : SourceFile
    sha256 : str
    stamp : tuple of int
        Inode, size and times of what was hashed.
    """

    file: SourceFile
    sha256: str
    stamp: tuple[int, ...]

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.file.path

    def read(self) -> bytes:
        """Read the bytes that were hashed."""
        return self.file.read(self.sha256)

    def check(self) -> None:
        """Refuse what a library has opened by its path, unless it is still what was hashed.

        Raises
        ------
        SourceError
        """
        try:
            stamp = _stamp(self.file.path.stat())
        except OSError as error:
            raise self.file.refuse(_reason(error)) from None
        if stamp != self.stamp:
            raise self.file.refuse("has changed since the run began; run it again")


@dataclass(frozen=True, kw_only=True)
class FileSource:
    """What sources that are read from files of the user's own have in common; not loaded.

    Attributes
    ----------
    name : str
        What the table calls it.
    modalities : frozenset of Modality
        What it can take in.
    cuts : tuple of str or None
        Where its manifest cuts it.
    trained_on : str or None
        Labelled data that it was trained on, if the manifest says so.
    licence : str or None
        Of the weights, if the manifest says it.
    sha256 : str or None
        The digest that the manifest expects.
    shuffled : int or None
        The seed of a control, whose weights have changed places.
    pins : tuple of Pin
        All its files, that of the weights first; empty until it is resolved.
    """

    name: str
    modalities: frozenset[Modality]
    cuts: tuple[str, ...] | None = None
    trained_on: str | None = None
    licence: str | None = None
    sha256: str | None = None
    shuffled: int | None = None
    pins: tuple[Pin, ...] = ()

    def known(self) -> Known:
        """What the manifest says: a file says nothing of itself."""
        return Known(licence=self.licence or "")

    def check_takes(self, modality: Modality) -> None:
        """Refuse samples of another kind than it takes.

        Raises
        ------
        SourceError
        """
        if modality not in self.modalities:
            takes = " or ".join(sorted(self.modalities))
            raise SourceError(f"takes {takes} samples; the target holds {modality} samples")


def paths_of(source: object) -> list[Path]:
    """Files that a source is read from, as far as it has pinned them."""
    held = [value if isinstance(value, tuple) else (value,) for value in vars(source).values()]
    return [each.path for value in held for each in value if isinstance(each, Pin)]


def find_files(identifier: str, entry: Entry, package: str | None = None) -> tuple[SourceFile, ...]:
    """Find what a reference names; a pattern with ``*`` or ``?`` may find several.

    Parameters
    ----------
    identifier : str
        A path, relative to the entry's folder, with ``~`` and ``${NAME}``.
    entry : Entry
    package : str or None
        Installed package that the path is inside of; it is not imported.

    Raises
    ------
    EntryError
        For a pattern that nothing matches, or a path that cannot be one.
    SourceError
        When there is no such package, or no such file in it.
    """
    if package is not None:
        return (_in_package(identifier, package),)
    if _WILD.search(identifier):
        return _matches(identifier, entry.folder)
    return (named_file(identifier, entry),)


def named_file(written: str, entry: Entry, key: str = "source") -> SourceFile:
    """Find one file or folder that an entry names under a key; it need not be there.

    Raises
    ------
    EntryError
    """
    try:
        return SourceFile(written, expand(written, entry.folder))
    except ValueError as error:
        raise EntryError(str(error), key) from None


def _in_package(identifier: str, package: str) -> SourceFile:
    path = PurePosixPath(identifier)
    if path.is_absolute() or ".." in path.parts:
        raise EntryError("must be a path inside the package", "source")
    for folder in find_package(package).folders:
        if (found := folder.joinpath(*path.parts)).exists():
            return SourceFile(identifier, found)
    raise SourceError(f"installed package {brief(package)} holds no file {brief(identifier)}")


def _matches(identifier: str, folder: Path) -> tuple[SourceFile, ...]:
    parts = PurePosixPath(identifier).parts
    first = next(number for number, part in enumerate(parts) if _WILD.search(part))
    before, behind = str(PurePosixPath(*parts[:first])), parts[first:]
    if any("**" in part or "$" in part or ".." in part for part in behind):
        raise EntryError("a pattern takes no '**', '..' or '${NAME}' behind its first sign")
    try:
        root = expand(before, folder)
    except ValueError as error:
        raise EntryError(str(error)) from None
    found = sorted(root.glob("/".join(part.replace("[", "[[]") for part in behind)))
    names = [path.relative_to(root).as_posix() for path in found]
    files = tuple(
        SourceFile(str(PurePosixPath(before, name)), path)
        for name, path in zip(names, found, strict=True)
        if not any(part.startswith(".") for part in name.split("/"))
    )
    if not files:
        raise EntryError(f"no file matches {brief(identifier)}")
    return files


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _reason(error: OSError) -> str:
    return "does not exist" if isinstance(error, FileNotFoundError) else str(error.strerror)


def size_of(path: Path) -> int | None:
    """Bytes of a file, or of all files in a folder; None where it cannot be looked at."""
    try:
        files = [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]
        return sum(each.stat().st_size for each in files)
    except OSError:
        return None

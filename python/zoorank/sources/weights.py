"""Where the weights of one model come from: a file, a package, or nowhere."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, BinaryIO

from pydantic import ValidationInfo, field_validator, model_validator

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.sources.trust import find_package
from zoorank.targets.paths import expand

_BLOCK = 2**20


@dataclass(frozen=True)
class PinnedFile:
    """A file with the digest of its bytes, so that what is loaded later is what was hashed.

    Attributes
    ----------
    path : Path
    sha256 : str
    stamp : tuple of int
        Device, inode, size and times of the file that was hashed.
    """

    path: Path
    sha256: str
    stamp: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, expected: str | None = None) -> PinnedFile:
        """Hash a file.

        Raises
        ------
        SourceError
            When it cannot be read, changes meanwhile, or has not the digest expected.
        """
        digest = hashlib.sha256()
        try:
            with path.open("rb") as stream:
                stamp = _stamp(stream)
                while block := stream.read(_BLOCK):
                    digest.update(block)
                changed = _stamp(stream) != stamp
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        if changed:
            raise SourceError(f"{path} changed while it was read")
        return cls(path, _expected(path, digest.hexdigest(), expected), stamp)

    def read(self) -> bytes:
        """Read it whole, once more.

        Raises
        ------
        SourceError
            When it cannot be read, or its bytes are no longer those that were hashed.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise SourceError(f"{self.path}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise SourceError(f"{self.path} changed after it was hashed; run it again")
        return data

    def check(self) -> None:
        """Refuse what a library has loaded from the path, unless the file is still the one hashed.

        For files that zoorank does not read itself. Whoever can set a file's times and inode
        is not found out.

        Raises
        ------
        SourceError
            When inode, size or times have changed.
        """
        try:
            with self.path.open("rb") as stream:
                stamp = _stamp(stream)
        except OSError as error:
            raise SourceError(f"{self.path}: {error.strerror}") from error
        if stamp != self.stamp:
            raise SourceError(f"{self.path} changed after it was hashed; run it again")


def _stamp(stream: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(stream.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _expected(path: Path, found: str, expected: str | None) -> str:
    if expected not in (None, found):
        raise SourceError(f"{path}: sha256 is {found}, but the manifest expects {expected}")
    return found


class WeightsSource(Frozen):
    """Where the weights of one model come from."""

    @abstractmethod
    def locate(self) -> Path | None:
        """Find the weights file without importing or running anything.

        Returns
        -------
        Path or None
            The file, or None when the factory's own initial values are the weights.

        Raises
        ------
        SourceError
            When there is no such file.
        """

    @property
    def init_seed(self) -> int:
        """Seed under which the factory runs, so that it builds the same network each time."""
        return 0

    @property
    def calibrates(self) -> bool:
        """Whether statistics of batch normalization come from the target, not the file."""
        return False


class FileWeights(WeightsSource):
    """``weights.file = "x.safetensors"``: a path, relative to the manifest."""

    path: Path

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | Path) else value

    @field_validator("path")
    @classmethod
    def _resolve(cls, path: Path, info: ValidationInfo) -> Path:
        folder = (info.context or {}).get("folder", Path())
        return expand(str(path), folder)

    def locate(self) -> Path:
        """Return the path once a file is there."""
        if self.path.is_dir():
            raise SourceError(f"weights file {self.path} is a directory")
        if not self.path.is_file():
            raise SourceError(f"weights file {self.path} does not exist")
        return self.path


class PackageWeights(WeightsSource):
    """``weights.package = {package = "...", file = "..."}``, a path within that package."""

    package: str
    file: str

    @field_validator("file")
    @classmethod
    def _stay_inside(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("must be a path inside the package")
        return file

    def locate(self) -> Path:
        """Find the file through the package's location; its code is not run."""
        folders = find_package(self.package).folders
        for folder in folders:
            path = folder.joinpath(*PurePosixPath(self.file).parts)
            if path.is_file():
                return path
        raise SourceError(f"installed package {self.package!r} holds no file {self.file!r}")


class RandomWeights(WeightsSource):
    """``weights.random = {seed = 0}``: what the architecture alone is worth.

    Attributes
    ----------
    seed : int
    calibrate : bool
        Measure the statistics of batch normalization on the target. As a network is
        built they are 0 and 1, with which the signal of a deep one dies on its way: a
        control that compares nothing.
    """

    seed: int = 0
    calibrate: bool = False

    def locate(self) -> None:
        """Return None: there is no file."""
        return

    @property
    def init_seed(self) -> int:
        """The seed the manifest asks for."""
        return self.seed

    @property
    def calibrates(self) -> bool:
        """Whether the manifest asks for it."""
        return self.calibrate


SOURCES: MappingProxyType[str, type[WeightsSource]] = MappingProxyType(
    {"file": FileWeights, "package": PackageWeights, "random": RandomWeights}
)

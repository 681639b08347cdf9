"""Where the weights of one model come from: a file, or a package."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.sources.files import SourceFile
from zoorank.sources.trust import find_package
from zoorank.targets.opening import exists
from zoorank.targets.paths import expand


class StateDict(Frozen):
    """Where in a checkpoint the weights are.

    Attributes
    ----------
    key : str or None
        Entry of the checkpoint that holds them, dots for nested ones ("ema.model").
    prefix : str
        Taken off every name that has it ("module."); the others are left out.
    """

    key: str | None = None
    prefix: str = ""


class WeightsSource(Frozen):
    """Where the weights of one model come from."""

    @abstractmethod
    def locate(self) -> SourceFile | None:
        """Find the weights file without importing or running anything.

        Returns
        -------
        SourceFile or None
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
    """``weights.file = "x.safetensors"``: a path, relative to the manifest.

    Attributes
    ----------
    path : SourceFile
        As the manifest writes it, and absolute.
    """

    path: SourceFile

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | SourceFile) else value

    @field_validator("path", mode="before")
    @classmethod
    def _resolve(cls, path: Any, info: ValidationInfo) -> Any:
        folder = (info.context or {}).get("folder", Path())
        return SourceFile(path, expand(path, folder)) if isinstance(path, str) else path

    def locate(self) -> SourceFile:
        """Return the path once a file is there."""
        if self.path.path.is_dir():
            raise SourceError(f"weights file {self.path.written} is a directory")
        if not self.path.path.is_file():
            there = "is no regular file" if exists(self.path.path) else "does not exist"
            raise SourceError(f"weights file {self.path.written} {there}")
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

    def locate(self) -> SourceFile:
        """Find the file through the package's location; its code is not run."""
        folders = find_package(self.package).folders
        for folder in folders:
            path = folder.joinpath(*PurePosixPath(self.file).parts)
            if path.is_file():
                return SourceFile(self.file, path)
        raise SourceError(f"installed package {self.package!r} holds no file {self.file!r}")


FILES: MappingProxyType[str, type[WeightsSource]] = MappingProxyType(
    {"file": FileWeights, "package": PackageWeights}
)

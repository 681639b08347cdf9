"""Weights shipped as a file inside an installed package."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pydantic import field_validator

from zoorank.errors import SourceError
from zoorank.zoo.installed import find_package
from zoorank.zoo.sources.base import WeightsSource


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

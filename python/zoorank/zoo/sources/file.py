"""Weights from a file on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from zoorank.errors import SourceError
from zoorank.zoo.paths import expand
from zoorank.zoo.sources.base import WeightsSource


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

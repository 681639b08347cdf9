"""What a manifest may say of any source, as frozen records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
)

from zoorank.frozen import Frozen, custom
from zoorank.messages import brief
from zoorank.targets import expand_data
from zoorank.transforms.specs import Preprocessing


def _one_or_more(cuts: Any) -> Any:
    if isinstance(cuts, str):
        return (cuts,)
    if not isinstance(cuts, list | tuple) or not cuts:
        raise custom(f"must be a list of names, not {brief(cuts)}")
    return cuts


Cuts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(fail_fast=True),
    BeforeValidator(_one_or_more),
]
Name = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _absolute(data: str, info: ValidationInfo) -> str:
    return expand_data(data, (info.context or {}).get("folder", Path()))


DataName = Annotated[Name, AfterValidator(_absolute)]


class SourceEntry(Frozen):
    """One ``[[model]]`` of a manifest that names a source by its reference.

    Attributes
    ----------
    source : str
        The reference, such as ``"timm:resnet18.a1_in1k"``.
    name : str or None
        What the table calls it; None for the reference.
    preprocessing : Preprocessing or None
        Its fields that are set override what the model itself says of its input.
    sha256 : str or None
        Expected digest of the file, of a kind that has one file.
    cuts, trained_on, licence
        As for other models.
    """

    source: Name
    name: Name | None = None
    preprocessing: Preprocessing | None = None
    sha256: Sha256 | None = None
    cuts: Cuts | None = None
    trained_on: DataName | None = None
    licence: Name | None = None

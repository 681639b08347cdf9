"""What a manifest says, as frozen records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
)

from zoorank.errors import UsageError
from zoorank.frozen import Frozen, custom, explain
from zoorank.messages import brief, hint
from zoorank.sources.base import PENULTIMATE, Source
from zoorank.sources.weights import SOURCES, WeightsSource
from zoorank.targets import expand_data
from zoorank.transforms.specs import Preprocessing


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


def _module_and_name(factory: str) -> str:
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*|\w+(\.\w+)+", factory):
        raise custom("must read 'module:function' or 'module.Class'")
    return factory


FactoryName = Annotated[str, AfterValidator(_module_and_name)]
Name = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _absolute(data: str, info: ValidationInfo) -> str:
    return expand_data(data, (info.context or {}).get("folder", Path()))


DataName = Annotated[Name, AfterValidator(_absolute)]


def _exactly_one(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, WeightsSource):
        return value
    kinds = list(value) if isinstance(value, dict) else []
    for kind in kinds:
        if kind not in SOURCES:
            raise custom(f"unknown source of weights {brief(kind)}; {hint(str(kind), SOURCES)}")
    if len(kinds) != 1:
        raise custom(f"needs exactly one of {', '.join(SOURCES)}")
    try:
        return SOURCES[kinds[0]].model_validate(value[kinds[0]], context=info.context)
    except ValidationError as error:
        inner, message = explain(error)
        raise custom(f"{'.'.join(map(str, (kinds[0], *inner)))}: {message}") from None


Weights = Annotated[SerializeAsAny[WeightsSource], BeforeValidator(_exactly_one)]


class _Network(Frozen):
    """Keys that a network of torch and a family of them have in common."""

    factory: FactoryName
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    arguments_from_weights: Mapping[str, str] = Field(default_factory=dict)
    state_dict: StateDict = StateDict()
    preprocessing: Preprocessing
    cuts: Cuts | None = None
    trained_on: DataName | None = None
    licence: Name | None = None


class ModelEntry(_Network):
    """One ``[[model]]`` of a manifest that names a factory of torch.

    Attributes
    ----------
    name : str
        Unique in its zoo.
    factory : str
        ``module:function`` or ``module.Class`` that builds the network.
    arguments : dict
        Keyword arguments of the factory.
    arguments_from_weights : dict of str to str
        More of them, each the length of a tensor in the weights file: where the files of
        a family differ in their number of classes, ``{n_classes = "head.bias"}``.
    weights : WeightsSource
        Exactly one of ``file``, ``package`` and ``random``.
    sha256 : str or None
        Expected digest of the weights file, checked before it is read.
    state_dict : StateDict
        Where in the checkpoint the weights are.
    preprocessing : Preprocessing
        What to do to the target before the network sees it.
    cuts : tuple of str or None
        Where to cut; None leaves it to the zoo or the command.
    trained_on : str or None
        The labelled data that the weights were trained on, a path or a name as for the
        target; some scores compare the target with them.
    licence : str or None
        Of the weights, by its SPDX name where there is one.
    """

    name: Name
    weights: Weights
    sha256: Sha256 | None = None


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


class FamilyEntry(_Network):
    """One ``[[family]]`` of a manifest: the same network with many weights files.

    Attributes
    ----------
    files : str
        Pattern of the weights files, relative to the manifest; each is a model.
    name : str
        The model's name; ``{stem}`` stands for the file's, here and in ``trained_on``.
    """

    files: Name
    name: Annotated[str, Field(pattern=r"\{stem\}")] = "{stem}"


@dataclass(frozen=True)
class Zoo:
    """Sources to rank, in the order of their manifest.

    Attributes
    ----------
    models : tuple of Source
        Each with a name of its own.
    path : Path or None
        The manifest.
    data : str or None
        Target to rank for when none is given; a path is absolute.
    cuts : tuple of str or None
        Cuts of the sources that name none.
    batch_size : int or None
        None leaves it to each source.
    """

    models: tuple[Source, ...]
    path: Path | None = None
    data: str | None = None
    cuts: tuple[str, ...] | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("there is no model to rank; name one or more")
        names = [model.name for model in self.models]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise UsageError(f"two models are called {brief(name)}; give one another name")

    def cuts_of(self, model: Source) -> Sequence[str]:
        """Cuts to rank a model at: its own, else the zoo's, else the penultimate one."""
        return model.cuts or self.cuts or (PENULTIMATE,)

"""What a manifest says, as frozen records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from zoorank.frozen import Frozen, custom, explain
from zoorank.messages import hint
from zoorank.sources.base import Trust
from zoorank.sources.weights import SOURCES, WeightsSource
from zoorank.targets.paths import expand_data
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
        raise custom(f"must be a list of names, not {cuts!r}")
    return cuts


Cuts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_one_or_more),
]


def _module_and_name(factory: str) -> str:
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*|\w+(\.\w+)+", factory):
        raise custom("must read 'module:function' or 'module.Class'")
    return factory


FactoryName = Annotated[str, AfterValidator(_module_and_name)]


class _Shared(Frozen):
    """Keys that a model and a family of models have in common."""

    factory: FactoryName
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    arguments_from_weights: Mapping[str, str] = Field(default_factory=dict)
    state_dict: StateDict = StateDict()
    preprocessing: Preprocessing
    cuts: Cuts | None = None
    trained_on: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("trained_on")
    @classmethod
    def _resolve(cls, data: str | None, info: ValidationInfo) -> str | None:
        folder = (info.context or {}).get("folder", Path())
        return None if data is None else expand_data(data, folder)


class ModelEntry(_Shared):
    """One ``[[model]]`` of a manifest.

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
    """

    name: Annotated[str, Field(min_length=1)]
    weights: SerializeAsAny[WeightsSource]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @field_validator("weights", mode="before")
    @classmethod
    def _exactly_one_source(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, WeightsSource):
            return value
        kinds = list(value) if isinstance(value, dict) else []
        for kind in kinds:
            if kind not in SOURCES:
                raise custom(f"unknown source of weights {kind!r}; {hint(str(kind), SOURCES)}")
        if len(kinds) != 1:
            raise custom(f"needs exactly one of {', '.join(SOURCES)}")
        try:
            return SOURCES[kinds[0]].model_validate(value[kinds[0]], context=info.context)
        except ValidationError as error:
            inner, message = explain(error)
            raise custom(f"{'.'.join(map(str, (kinds[0], *inner)))}: {message}") from None


class FamilyEntry(_Shared):
    """One ``[[family]]`` of a manifest: the same network with many weights files.

    Attributes
    ----------
    files : str
        Pattern of the weights files, relative to the manifest; each is a model.
    name : str
        The model's name; ``{stem}`` stands for the file's, here and in ``trained_on``.
    """

    files: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(pattern=r"\{stem\}")] = "{stem}"


class ModelSpec(ModelEntry):
    """One model of a zoo, ready to be loaded.

    Attributes
    ----------
    trust : Trust
        Directories and packages, beside those that zoorank knows, that the factory may come
        from. A manifest cannot say this, only the person who loads it.
    """

    trust: Trust = Trust()


class Zoo(Frozen):
    """The models of a manifest, in its order.

    Attributes
    ----------
    path : Path or None
        The manifest.
    models : tuple of ModelSpec
    data : str or None
        Target to rank for when none is given; a path is absolute.
    cuts : tuple of str or None
        Cuts of the models that name none.
    batch_size : int
    """

    path: Path | None = None
    models: Annotated[tuple[ModelSpec, ...], Field(min_length=1)]
    data: str | None = None
    cuts: Cuts | None = None
    batch_size: Annotated[int, Field(ge=1)] = 32

    def cuts_of(self, spec: ModelSpec) -> Sequence[str]:
        """Cuts to rank ``spec`` at: its own, else the zoo's, else the penultimate one."""
        return spec.cuts or self.cuts or ("penultimate",)

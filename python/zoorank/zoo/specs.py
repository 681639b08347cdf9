"""What a manifest says, as frozen records.

>>> ImagePreprocessing(size=96, scaling=16.0).size
(96, 96)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from zoorank.hints import hint
from zoorank.zoo.frozen import Frozen, custom, explain
from zoorank.zoo.paths import expand_data
from zoorank.zoo.sources import SOURCES, WeightsSource

Pooling = Literal["mean", "max", "token_mean", "first_token", "flatten"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ImagePreprocessing(Frozen):
    """How an image network wants its input.

    Attributes
    ----------
    size : (int, int) or None
        Height and width to resize to; one number means a square; None keeps the size.
    fit : {"stretch", "crop"}
        Stretch to ``size``, or resize the shorter side and crop the centre.
    interpolation : {"bilinear", "bicubic", "nearest", "area"}
        How to resize; bilinear and bicubic smooth when they shrink.
    channels : {1, 3}
        Grey images are repeated, colour images turned to luma, to fit.
    scaling : number or {"auto", "minmax", "standardize", "none"}
        A number divides. "minmax" and "standardize" use the whole target's range, or
        mean and deviation. "auto" divides 8-bit images by 255, leaves values within
        0..1 alone and takes "minmax" for the rest.
    mean, std : tuple of float
        Subtracted and divided after scaling; one number, or one a channel.
    layout : {"nchw", "nhwc"}
        Order of axes the network expects.
    pooling : {"mean", "max", "token_mean", "first_token", "flatten"}
        How a cut's output becomes one vector a sample: over the axes after the channels
        (mean, max), over channels-last tokens (token_mean, first_token), or not at all.
    """

    input: Literal["image"] = "image"
    size: tuple[int, int] | None = None
    fit: Literal["stretch", "crop"] = "stretch"
    interpolation: Literal["bilinear", "bicubic", "nearest", "area"] = "bilinear"
    channels: Literal[1, 3] = 3
    scaling: float | Literal["auto", "minmax", "standardize", "none"] = "auto"
    mean: tuple[Finite, ...] = (0.0,)
    std: tuple[Positive, ...] = (1.0,)
    layout: Literal["nchw", "nhwc"] = "nchw"
    pooling: Pooling = "mean"

    @field_validator("scaling", mode="before")
    @classmethod
    def _number_or_name(cls, scaling: Any) -> Any:
        names = ("auto", "minmax", "standardize", "none")
        if isinstance(scaling, bool) or not isinstance(scaling, int | float | str):
            raise ValueError(f"must be a positive number or one of {', '.join(names)}")
        if isinstance(scaling, str) and scaling not in names:
            raise ValueError(
                f"unknown scaling {scaling!r}; a positive number or {hint(scaling, names)}"
            )
        if not isinstance(scaling, str) and not 0 < scaling < float("inf"):
            raise ValueError(f"must be a positive number, not {scaling}")
        return scaling

    @field_validator("size", mode="before")
    @classmethod
    def _square(cls, size: Any) -> Any:
        if isinstance(size, int):
            return (size, size)
        if size is not None and not (isinstance(size, list | tuple) and len(size) == 2):
            raise ValueError(f"must be a number or [height, width], not {size!r}")
        return size

    @field_validator("size")
    @classmethod
    def _positive(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and min(size) < 1:
            raise ValueError("must be at least 1")
        return size

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _one_number(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            return (value,)
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be a number or a list of numbers, not {value!r}")
        return value

    @model_validator(mode="after")
    def _one_or_each(self) -> ImagePreprocessing:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name} has {len(values)} numbers for {self.channels} channels")
        return self


class SeriesPreprocessing(Frozen):
    """How a time-series network wants its input.

    Attributes
    ----------
    scaling : {"standardize", "standardize_each", "none"}
        By the mean and deviation of the whole target, of each series, or not at all.
    length : int or None
        Resample linearly to this length; None keeps it.
    channels : int
        Variables the network expects at each time step.
    layout : {"ncl", "nlc", "nl"}
        Order of axes the network expects.
    pooling
        As for images, over time.
    """

    input: Literal["series"] = "series"
    scaling: Literal["standardize", "standardize_each", "none"] = "standardize"
    length: Annotated[int, Field(ge=1)] | None = None
    channels: Annotated[int, Field(ge=1)] = 1
    layout: Literal["ncl", "nlc", "nl"] = "ncl"
    pooling: Pooling = "mean"


class TablePreprocessing(Frozen):
    """How a network for tables wants its input.

    Attributes
    ----------
    scaling : {"standardize", "minmax", "none"}
        Column by column, from the whole target.
    pooling
        As for images, where a cut's output has more than two axes.
    """

    input: Literal["table"] = "table"
    scaling: Literal["standardize", "minmax", "none"] = "standardize"
    pooling: Pooling = "mean"


Preprocessing = Annotated[
    ImagePreprocessing | SeriesPreprocessing | TablePreprocessing, Field(discriminator="input")
]


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
    allow_code : tuple of Path
        Directories, besides installed packages, that the factory may come from. A
        manifest cannot say this, only the person who loads it.
    """

    allow_code: tuple[Path, ...] = ()


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

"""What a manifest says of an input: how a network wants its samples.

>>> ImagePreprocessing(size=96, scaling=16.0).size
(96, 96)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from zoorank.frozen import Frozen
from zoorank.messages import hint

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

"""What a manifest says of an input: how a network wants its samples.

>>> ImagePreprocessing(size=96, scaling=16.0).size
(96, 96)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from zoorank.frozen import Frozen
from zoorank.messages import brief, hint
from zoorank.targets.images import Interpolation

Pooling = Literal["mean", "max", "token_mean", "first_token", "flatten"]
TextPooling = Literal["mean", "max", "first_token", "last_token"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
LARGEST_SIDE = 8192  # of an image, which then takes 800 MB as floats


class ImagePreprocessing(Frozen):
    """How an image network wants its input.

    Attributes
    ----------
    size : (int, int) or None
        Height and width to resize to; one number means a square; None keeps the size.
    fit : {"stretch", "crop"}
        Stretch to ``size``, or resize the shorter side and crop the centre.
    resize : int, (int, int) or None
        With ``fit = "crop"``: what the shorter side, or height and width, become before the
        centre of ``size`` is cropped. None takes ``size``.
    crop_pct : float or None
        The same in timm's words: ``size`` over ``resize``, such as 0.875.
    interpolation : {"bilinear", "bicubic", "lanczos", "nearest", "area", "hamming"}
        Pillow's filter; all but nearest smooth when they shrink. ``"box"`` is ``"area"``.
    channels : {1, 3}
        Grey images are repeated, colour images turned to luma, to fit.
    scaling : number or {"auto", "minmax", "standardize", "none"}
        A number divides. "minmax" and "standardize" use the whole target's range, or
        mean and deviation. "auto" divides 8-bit images by 255, leaves values within
        0..1 alone and takes "minmax" for the rest.
    value_range : (float, float)
        What 0 and 1 become after scaling: ``[0, 255]`` with "auto" for a network that was
        trained on pixels as they are, whatever the target's are.
    mean, std : tuple of float
        Subtracted and divided after that; one number, or one a channel.
    channel_order : {"rgb", "bgr"}
        Order of colours that the network expects; ``mean`` and ``std`` are in that order.
    layout : {"nchw", "nhwc"}
        Order of axes the network expects.
    pooling : {"mean", "max", "token_mean", "first_token", "flatten"}
        How a cut's output becomes one vector a sample: over the axes after the channels
        (mean, max), over channels-last tokens (token_mean, first_token), or not at all.
    batch_first : bool or None
        Whether the samples lie along the first axis of what recurrent and attention layers
        give, where these layers themselves say that they do not. False is for networks that
        put time or tokens first; None refuses to cut there.
    """

    input: Literal["image"] = "image"
    size: tuple[int, int] | None = None
    fit: Literal["stretch", "crop"] = "stretch"
    resize: int | tuple[int, int] | None = None
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = None
    interpolation: Interpolation = "bilinear"
    channels: Literal[1, 3] = 3
    scaling: float | Literal["auto", "minmax", "standardize", "none"] = "auto"
    value_range: tuple[Finite, Finite] = (0.0, 1.0)
    mean: Annotated[tuple[Finite, ...], Field(fail_fast=True)] = (0.0,)
    std: Annotated[tuple[Positive, ...], Field(fail_fast=True)] = (1.0,)
    channel_order: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    pooling: Pooling = "mean"
    batch_first: bool | None = None

    @field_validator("scaling", mode="before")
    @classmethod
    def _number_or_name(cls, scaling: Any) -> Any:
        names = ("auto", "minmax", "standardize", "none")
        if isinstance(scaling, bool) or not isinstance(scaling, int | float | str):
            raise ValueError(f"must be a positive number or one of {', '.join(names)}")
        if isinstance(scaling, str) and scaling not in names:
            raise ValueError(
                f"unknown scaling {brief(scaling)}; a positive number or {hint(scaling, names)}"
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
            raise ValueError(f"must be a number or [height, width], not {brief(size)}")
        return size

    @field_validator("resize", mode="before")
    @classmethod
    def _side_or_sides(cls, resize: Any) -> Any:
        is_pair = isinstance(resize, list | tuple) and len(resize) == 2
        if resize is not None and not (is_pair or type(resize) is int):
            raise ValueError(f"must be a number or [height, width], not {brief(resize)}")
        return resize

    @field_validator("size", "resize")
    @classmethod
    def _within(cls, size: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        sides = size if isinstance(size, tuple) else (size,)
        if any(side is not None and not 1 <= side <= LARGEST_SIDE for side in sides):
            raise ValueError(f"must be at least 1 and at most {LARGEST_SIDE}")
        return size

    @field_validator("interpolation", mode="before")
    @classmethod
    def _box_is_area(cls, interpolation: Any) -> Any:
        return "area" if interpolation == "box" else interpolation

    @field_validator("value_range")
    @classmethod
    def _ascending(cls, value_range: tuple[float, float]) -> tuple[float, float]:
        if not value_range[0] < value_range[1]:
            raise ValueError("must be [low, high] with low < high")
        return value_range

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _one_number(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            return (value,)
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be a number or a list of numbers, not {brief(value)}")
        return value

    @model_validator(mode="after")
    def _one_or_each(self) -> ImagePreprocessing:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name} has {len(values)} numbers for {self.channels} channels")
        if self.channel_order == "bgr" and self.channels == 1:
            raise ValueError("channel_order = 'bgr' needs channels = 3")
        for key in ("resize", "crop_pct"):
            if getattr(self, key) is not None and (self.size is None or self.fit != "crop"):
                raise ValueError(f"{key} goes with a size and fit = 'crop'")
        if self.resize is not None and self.size is not None:
            least = self.resize if isinstance(self.resize, tuple) else (self.resize, self.resize)
            if least[0] < self.size[0] or least[1] < self.size[1]:
                raise ValueError(f"resize is smaller than size, {list(self.size)}")
        if self.size is not None and max(self.size) > LARGEST_SIDE * (self.crop_pct or 1):
            raise ValueError(f"size over crop_pct is more than {LARGEST_SIDE}")
        if self.resize is not None and self.crop_pct is not None:
            raise ValueError("resize and crop_pct say the same; only one of them is allowed")
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
    pooling, batch_first
        As for images, over time.
    """

    input: Literal["series"] = "series"
    scaling: Literal["standardize", "standardize_each", "none"] = "standardize"
    length: Annotated[int, Field(ge=1)] | None = None
    channels: Annotated[int, Field(ge=1)] = 1
    layout: Literal["ncl", "nlc", "nl"] = "ncl"
    pooling: Pooling = "mean"
    batch_first: bool | None = None


class TablePreprocessing(Frozen):
    """How a network for tables wants its input.

    Attributes
    ----------
    scaling : {"standardize", "minmax", "none"}
        Column by column, from the whole target.
    pooling, batch_first
        As for images, where a cut's output has more than two axes.
    """

    input: Literal["table"] = "table"
    scaling: Literal["standardize", "minmax", "none"] = "standardize"
    pooling: Pooling = "mean"
    batch_first: bool | None = None


class TextPreprocessing(Frozen):
    """How a model wants its texts.

    Attributes
    ----------
    prefix : str
        Put before every text, as models trained with prompts want it.
    max_length : int or None
        Tokens that are kept of a text; None takes what the model allows.
    padding_side : {"right", "left"}
        Where shorter texts of a batch are filled up.
    pooling : {"mean", "max", "first_token", "last_token"}
        How the tokens of a text become one vector; padding is left out.
    tokenizer : str or None
        A ``tokenizer.json`` or its directory, for models that bring none.
    """

    input: Literal["text"] = "text"
    prefix: str = ""
    max_length: Annotated[int, Field(ge=1)] | None = None
    padding_side: Literal["right", "left"] = "right"
    pooling: TextPooling = "mean"
    tokenizer: str | None = None


class AudioPreprocessing(Frozen):
    """How a network wants its sounds.

    Attributes
    ----------
    rate : int
        Samples a second; several channels are averaged.
    seconds : float or None
        Longer sounds are cut behind it, shorter ones filled up with silence; None keeps the
        length, which then has to be the same for all.
    scaling : {"standardize_each", "none"}
        Of a waveform, by its own mean and deviation.
    features : {"waveform", "mel", "log_mel"}
        What the network takes in: the waveform, the power in mel bands, or its logarithm.
    bands : int
        Mel bands, with Slaney's scale and filters of area 1 as librosa has them.
    window, hop : float
        Seconds of a frame, and from one to the next.
    mean, std : float
        Subtracted and divided after that.
    layout : {"nl", "ncl", "nlc", "nchw"}
        Order of axes: a waveform without or with a channel, before or behind time; bands
        before or behind time; or both as an image of one channel.
    pooling, batch_first
        As for images, over time.
    """

    input: Literal["audio"] = "audio"
    rate: Annotated[int, Field(ge=1)] = 16_000
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    scaling: Literal["standardize_each", "none"] = "none"
    features: Literal["waveform", "mel", "log_mel"] = "waveform"
    bands: Annotated[int, Field(ge=1)] = 40
    window: Positive = 0.025
    hop: Positive = 0.01
    mean: Finite = 0.0
    std: Positive = 1.0
    layout: Literal["nl", "ncl", "nlc", "nchw"] = "nl"
    pooling: Pooling = "mean"
    batch_first: bool | None = None

    @model_validator(mode="after")
    def _axes(self) -> AudioPreprocessing:
        if self.layout == "nl" and self.features != "waveform":
            raise ValueError("layout 'nl' has no bands; say 'ncl', 'nlc' or 'nchw'")
        return self


Preprocessing = Annotated[
    ImagePreprocessing
    | SeriesPreprocessing
    | TablePreprocessing
    | TextPreprocessing
    | AudioPreprocessing,
    Field(discriminator="input"),
]

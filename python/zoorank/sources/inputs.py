"""What a model's input tells of its preprocessing, where the manifest leaves that open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import ValidationError

from zoorank.errors import SourceError
from zoorank.frozen import Frozen, explain
from zoorank.messages import listing
from zoorank.sources.tokens import IDS, MASK, POSITIONS, TYPES
from zoorank.targets.base import Modality
from zoorank.transforms.specs import (
    AudioPreprocessing,
    ImagePreprocessing,
    Preprocessing,
    SeriesPreprocessing,
    TablePreprocessing,
    TextPreprocessing,
)

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T", bound=Frozen)
Refuse = Callable[[str], SourceError]  # builds the error that names the file
Shaped = ImagePreprocessing | SeriesPreprocessing | TablePreprocessing | AudioPreprocessing

# What exporters call the inputs, by the names that batches of tokens have.
_USUAL = {
    IDS: ("input_ids", "ids", "input_word_ids", "tokens"),
    MASK: ("attention_mask", "input_mask", "mask"),
    TYPES: ("token_type_ids", "segment_ids", "input_type_ids", "types"),
    POSITIONS: ("position_ids", "positions"),
}
ROLES = {"ids": IDS, "mask": MASK, "types": TYPES, "positions": POSITIONS}
_COLOURS = (1, 3)
_BARE: Mapping[str, Preprocessing] = {
    "image": ImagePreprocessing(),
    "series": SeriesPreprocessing(),
    "table": TablePreprocessing(),
    "text": TextPreprocessing(),
    "audio": AudioPreprocessing(),
}


@dataclass(frozen=True)
class Input:
    """What a graph is fed.

    Attributes
    ----------
    name : str
    dims : tuple of int or None
        None where any length will do.
    dtype : dtype
    """

    name: str
    dims: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        dims = ", ".join("any" if each is None else str(each) for each in self.dims)
        return f"{self.name!r}, {self.dtype} of shape ({dims})"


class Fed(NamedTuple):
    """How a model of one input is fed.

    Attributes
    ----------
    preprocessing : ImagePreprocessing, SeriesPreprocessing, ...
    axis : int or None
        Of the input's channels; None where it has none of their own.
    declared : int or None
        Axis of the channels of an output of which nothing else tells: the second, where the
        manifest itself says how to pool.
    batch_first : bool or None
        Whether samples lie along the first axis of every output, where the manifest says so.
    note : str
        What a reader of the table should know.
    """

    preprocessing: Shaped
    axis: int | None
    declared: int | None
    batch_first: bool | None
    note: str


def bare(modality: Modality, said: Preprocessing | None) -> Preprocessing:
    """What the manifest says of the input, or nothing but what the target holds."""
    return said or _BARE[modality]


def complete(said: Shaped, given: Input, refuse: Refuse, *, declared: bool) -> Fed:
    """Take from the shape of the input what the manifest leaves open.

    Parameters
    ----------
    said : ImagePreprocessing, SeriesPreprocessing, ...
    given : Input
    refuse : callable
    declared : bool
        Whether the manifest says anything at all.

    Raises
    ------
    SourceError
        Where nothing tells what the axes are, or what is said does not fit.
    """
    axis: int | None = None
    match said:
        case ImagePreprocessing():
            said = _image(said, given, refuse)
            axis = 1 if said.layout == "nchw" else -1
        case SeriesPreprocessing():
            said = _series(said, given, refuse)
            axis = {"ncl": 1, "nlc": -1}.get(said.layout)
        case AudioPreprocessing():
            _check_sounds(said, given, refuse, declared=declared)
            axis = {"ncl": 1, "nlc": -1, "nchw": 1}.get(said.layout)
        case _ if len(given.dims) != 2:
            raise refuse(f"its input is {given}, which is no table")
    pooled = 1 if "pooling" in said.model_fields_set else None
    note = "" if declared else f"no preprocessing is declared: {_guessed(said)}"
    return Fed(said, axis, pooled, said.batch_first, note)


def _guessed(said: Shaped) -> str:
    """How samples are fed where nobody says it."""
    if isinstance(said, ImagePreprocessing) and said.scaling == "auto":
        low, high = said.value_range
        return f"image samples of its input's shape, with values of {low:g} to {high:g}"
    return f"{said.input} samples of its input's shape"


def _image(image: ImagePreprocessing, given: Input, refuse: Refuse) -> ImagePreprocessing:
    """Take from the input's shape what the manifest leaves open."""
    if len(given.dims) != 4:
        raise refuse(f"its input is {given}, which is no image")
    own = image.model_fields_set
    first, last = (given.dims[axis] in _COLOURS for axis in (1, 3))
    layouts = {"nchw": first, "nhwc": last}
    found: dict[str, object] = {}
    if "layout" not in own:
        fitting = [layout for layout, fits in layouts.items() if fits]
        if len(fitting) != 1:
            raise refuse(
                f"its input is {given}, where the channels could be the second axis or the last: "
                "say preprocessing.layout = 'nchw' or 'nhwc'"
            )
        found["layout"] = fitting[0]
    layout = str(found.get("layout", image.layout))
    channels = given.dims[1 if layout == "nchw" else 3]
    sides = given.dims[2:4] if layout == "nchw" else given.dims[1:3]
    if "channels" not in own and channels in _COLOURS:
        found["channels"] = channels
    if "size" not in own and None not in sides:
        found["size"] = sides
    if "scaling" not in own and given.dtype.name == "uint8":
        found["scaling"] = "none"
    image = _completed(image, found, refuse)
    wanted = (image.channels, *(image.size or (None, None)))
    for is_, has in zip((channels, *sides), wanted, strict=True):
        if is_ is not None and has is not None and is_ != has:
            raise refuse(
                f"its input is {given}, which does not fit {wanted[0]} channels of {wanted[1]} by "
                f"{wanted[2]} pixels in the layout {image.layout!r}: mend preprocessing"
            )
    return image


def _series(series: SeriesPreprocessing, given: Input, refuse: Refuse) -> SeriesPreprocessing:
    """Take from the input's shape what the manifest leaves open."""
    own = series.model_fields_set
    found: dict[str, object] = {}
    if "layout" not in own:
        one = [
            layout
            for axis, layout in ((1, "ncl"), (2, "nlc"))
            if given.dims[axis : axis + 1] == (1,)
        ]
        if len(given.dims) == 2:
            found["layout"] = "nl"
        elif len(given.dims) == 3 and len(one) == 1:
            found["layout"] = one[0]
        else:
            raise refuse(
                f"its input is {given}, where the variables could be the second axis or the last: "
                "say preprocessing.layout = 'ncl' or 'nlc'"
            )
    layout = str(found.get("layout", series.layout))
    if len(given.dims) != len(layout):
        raise refuse(f"its input is {given}, which does not fit the layout {layout!r}")
    length = given.dims[layout.index("l")]
    channels = given.dims[layout.index("c")] if "c" in layout else None
    if "length" not in own and length is not None:
        found["length"] = length
    if "channels" not in own and channels is not None:
        found["channels"] = channels
    return _completed(series, found, refuse)


def _check_sounds(
    said: AudioPreprocessing, given: Input, refuse: Refuse, *, declared: bool
) -> None:
    """Refuse sounds of which nothing tells the rate, or that the input does not take."""
    if not declared:
        raise refuse(
            "takes sounds, and nothing says at which rate: say preprocessing = "
            "{ input = 'audio', rate = 16000 }"
        )
    if len(given.dims) != len(said.layout):
        raise refuse(f"its input is {given}, which does not fit the layout {said.layout!r}")


def _completed(preprocessing: T, found: Mapping[str, object], refuse: Refuse) -> T:
    """Add what was found, checked as if the manifest had said it."""
    said = preprocessing.model_dump(exclude_unset=True)
    try:
        return type(preprocessing).model_validate({**said, **found})
    except ValidationError as error:
        key, message = explain(error)
        place = ".".join(map(str, ("preprocessing", *key)))
        raise refuse(f"{place}: {message}") from None


def token_inputs(
    inputs: Sequence[Input], declared: Iterable[tuple[str, str]], refuse: Refuse
) -> dict[str, str]:
    """Tell what each input of a model for texts takes, as batches of tokens call it.

    Parameters
    ----------
    inputs : sequence of Input
    declared : iterable of (role, name)
        What the manifest says of inputs with names of their own.
    refuse : callable

    Raises
    ------
    SourceError
        When neither the names nor the manifest tell.
    """
    own = {name: ROLES[role] for role, name in declared}
    names = [each.name for each in inputs]
    absent = [name for name in own if name not in names]
    if absent:
        raise refuse(f"has no input {absent[0]!r}; it has {listing(names)}")
    usual = {name: role for role, every in _USUAL.items() for name in every}
    found = {name: own.get(name, usual.get(name.partition(":")[0], "")) for name in names}
    unknown = [name for name, role in found.items() if not role]
    if unknown or IDS not in found.values() or len(set(found.values())) < len(found):
        raise refuse(
            f"takes {listing(map(str, inputs))}: say which is which with "
            "inputs = { ids = 'NAME', mask = 'NAME', types = 'NAME' }"
        )
    return found

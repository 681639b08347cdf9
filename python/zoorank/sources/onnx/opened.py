"""How a graph is fed: what its inputs tell, and what the manifest says beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from zoorank.frozen import Frozen, explain
from zoorank.messages import brief, hint, listing
from zoorank.sources.base import Encoder, OpenOptions
from zoorank.sources.onnx.cuts import Places
from zoorank.sources.onnx.encoder import Feed, OnnxEncoder
from zoorank.sources.onnx.graph import Graph, Input
from zoorank.transforms import transform_of
from zoorank.transforms.base import ONLY
from zoorank.transforms.specs import (
    ImagePreprocessing,
    Preprocessing,
    SeriesPreprocessing,
    TablePreprocessing,
    TextPreprocessing,
)

if TYPE_CHECKING:
    from zoorank.sources.onnx import OnnxSource

T = TypeVar("T", bound=Frozen)

_COLOURS = (1, 3)
_BARE: Mapping[str, Preprocessing] = {
    "image": ImagePreprocessing(),
    "series": SeriesPreprocessing(),
    "table": TablePreprocessing(),
    "text": TextPreprocessing(),
}


def open_graph(source: OnnxSource, graph: Graph, options: OpenOptions) -> Encoder:
    """Make an encoder of a graph that was read.

    Raises
    ------
    SourceError
        When nothing tells how it is to be fed.
    """
    output = _output(source, graph)
    said = source.preprocessing or _BARE[options.modality]
    if isinstance(said, TextPreprocessing):
        from zoorank.sources.onnx.texts import open_texts

        return open_texts(source, graph, output, options)
    if len(graph.inputs) != 1:
        inputs = listing(map(str, graph.inputs)) or "none"
        raise source.file.refuse(
            f"takes {len(graph.inputs)} inputs ({inputs}); images, series and tables go into one"
        )
    (given,) = graph.inputs
    axis: int | None = None
    match said:
        case ImagePreprocessing():
            said = _image(said, given, source)
            axis = 1 if said.layout == "nchw" else -1
        case SeriesPreprocessing():
            said = _series(said, given, source)
            axis = {"ncl": 1, "nlc": -1}.get(said.layout)
        case _ if len(given.dims) != 2:
            raise source.file.refuse(f"its input is {given}, which is no table")
    declares_pooling = "pooling" in said.model_fields_set
    undeclared = f"no preprocessing is declared: {said.input} samples as its input has them"
    return OnnxEncoder(
        places=Places(graph, given.name, output),
        transform=transform_of(said),
        feed=Feed({given.name: ONLY}, given.dims[0], axis=1 if declares_pooling else None),
        pooling=said.pooling,
        axis=axis,
        options=options,
        note="" if source.preprocessing else undeclared,
    )


def _output(source: OnnxSource, graph: Graph) -> str:
    name = source.output
    if name is not None:
        if name not in graph.outputs:
            near = hint(name, graph.outputs)
            raise source.file.refuse(f"has no output {brief(name)}; {near}")
        return name
    if len(graph.outputs) > 1:
        raise source.file.refuse(
            f"gives {len(graph.outputs)} outputs ({listing(graph.outputs)}): say which one stands "
            "for the whole with output = 'NAME'"
        )
    only: str = graph.outputs[0]
    return only


def _image(image: ImagePreprocessing, given: Input, source: OnnxSource) -> ImagePreprocessing:
    """Take from the input's shape what the manifest leaves open."""
    if len(given.dims) != 4:
        raise source.file.refuse(f"its input is {given}, which is no image")
    own = image.model_fields_set
    first, last = (given.dims[axis] in _COLOURS for axis in (1, 3))
    layouts = {"nchw": first, "nhwc": last}
    found: dict[str, object] = {}
    if "layout" not in own:
        fitting = [layout for layout, fits in layouts.items() if fits]
        if len(fitting) != 1:
            raise source.file.refuse(
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
    image = _completed(image, found, source)
    wanted = (image.channels, *(image.size or (None, None)))
    for is_, has in zip((channels, *sides), wanted, strict=True):
        if is_ is not None and has is not None and is_ != has:
            raise source.file.refuse(
                f"its input is {given}, which does not fit {wanted[0]} channels of {wanted[1]} by "
                f"{wanted[2]} pixels in the layout {image.layout!r}: mend preprocessing"
            )
    return image


def _series(series: SeriesPreprocessing, given: Input, source: OnnxSource) -> SeriesPreprocessing:
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
            raise source.file.refuse(
                f"its input is {given}, where the variables could be the second axis or the last: "
                "say preprocessing.layout = 'ncl' or 'nlc'"
            )
    layout = str(found.get("layout", series.layout))
    if len(given.dims) != len(layout):
        raise source.file.refuse(f"its input is {given}, which does not fit the layout {layout!r}")
    length = given.dims[layout.index("l")]
    channels = given.dims[layout.index("c")] if "c" in layout else None
    if "length" not in own and length is not None:
        found["length"] = length
    if "channels" not in own and channels is not None:
        found["channels"] = channels
    return _completed(series, found, source)


def _completed(preprocessing: T, found: Mapping[str, object], source: OnnxSource) -> T:
    """Add what was found, checked as if the manifest had said it."""
    said = preprocessing.model_dump(exclude_unset=True)
    try:
        return type(preprocessing).model_validate({**said, **found})
    except ValidationError as error:
        key, message = explain(error)
        place = ".".join(map(str, ("preprocessing", *key)))
        raise source.file.refuse(f"{place}: {message}") from None

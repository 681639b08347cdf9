"""Models of Keras, loaded, and what tells how they are fed."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.base import Encoder, OpenOptions
from zoorank.sources.inputs import Input, Shaped, bare, complete
from zoorank.sources.keras.applications import own_preprocessing
from zoorank.sources.keras.archive import check_archive
from zoorank.sources.keras.calls import operations
from zoorank.sources.keras.encoder import KerasEncoder, as_numpy
from zoorank.transforms.specs import (
    AudioPreprocessing,
    ImagePreprocessing,
    SeriesPreprocessing,
    TextPreprocessing,
)

if TYPE_CHECKING:
    from zoorank.sources.keras import KerasSource

# Pixels of 0 to 255 are multiplied by less, or have a mean of more than its inverse.
_OF_BYTES = 1 / 16


def open_model(source: KerasSource, options: OpenOptions) -> Encoder:
    """Load a model and find out how to feed it.

    Raises
    ------
    SourceError
        When it cannot be loaded, or nothing tells how it is to be fed.
    """
    place = _device(options.device)
    with keras.device(place):
        model = _loaded(source)
    if len(model.inputs) != 1:
        raise _refusal(source, f"takes {len(model.inputs)} inputs; zoorank feeds one")
    if source.shuffled is not None:
        _shuffle(model, source.shuffled)
    shape, dtype = model.inputs[0].shape, np.dtype(model.inputs[0].dtype)
    given = Input(model.inputs[0].name, tuple(shape), dtype)
    said = bare(options.modality, source.preprocessing)
    if isinstance(said, TextPreprocessing | AudioPreprocessing):
        raise _refusal(source, "takes neither texts nor sounds")
    fed = complete(
        _with_range(model, _with_layout(model, _own(source, said, shape))),
        given,
        lambda reason: _refusal(source, reason),
        declared=bool(source.application) or source.preprocessing is not None,
    )
    return KerasEncoder(model, fed, place, shape[0], _name(source))


def _loaded(source: KerasSource) -> Any:
    if source.file is not None:
        check_archive(source.file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras, of what its own code does
            model = _built(source)
    except Exception as error:
        raise _refusal(source, f"cannot be loaded: {one_line(error, 200)}") from error
    for pin in source.pins:
        pin.check()
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise _refusal(source, "holds no model with an input")
    return model


def _built(source: KerasSource) -> Any:
    if source.file is not None:
        return keras.saving.load_model(source.file.path, compile=False, safe_mode=True)
    builder = getattr(keras.applications, source.application)
    if source.random is None:
        return builder(weights=str(source.pins[0].file.path))
    keras.utils.set_random_seed(source.random)
    return builder(weights=None)


def _own(source: KerasSource, said: Shaped, shape: Sequence[int | None]) -> Shaped:
    """Put what an application says of its input under what the manifest says."""
    if not source.application or not isinstance(said, ImagePreprocessing):
        return said
    builder = getattr(keras.applications, source.application)
    module = __import__(builder.__module__, fromlist=["preprocess_input"])
    height, width = shape[1] or 224, shape[2] or 224
    own = own_preprocessing(module, (height, width))
    return ImagePreprocessing.model_validate(
        {**own.model_dump(exclude_unset=True), **said.model_dump(exclude_unset=True)}
    )


def _with_layout(model: Any, said: Shaped) -> Shaped:
    """Set the order of axes, which Keras's layers declare, where the manifest does not."""
    first = any(
        getattr(each, "data_format", "") == "channels_first" for _, each in operations(model)
    )
    layout = None
    if isinstance(said, ImagePreprocessing):
        layout = "nchw" if first else "nhwc"
    elif isinstance(said, SeriesPreprocessing) and len(model.inputs[0].shape) == 3:
        layout = "ncl" if first else "nlc"
    if layout is None or "layout" in said.model_fields_set:
        return said
    return type(said).model_validate({**said.model_dump(exclude_unset=True), "layout": layout})


def _with_range(model: Any, said: Shaped) -> Shaped:
    """Let pixels be 0 to 255 where the model itself brings such into its range."""
    if not isinstance(said, ImagePreprocessing):
        return said
    if {"scaling", "value_range", "mean", "std"} & said.model_fields_set:
        return said
    for _, layer in operations(model):
        if isinstance(layer, keras.layers.Rescaling):
            takes_bytes = float(np.max(np.abs(layer.scale))) < _OF_BYTES
        elif isinstance(layer, keras.layers.Normalization):
            takes_bytes = float(np.max(as_numpy(layer.mean))) > 1 / _OF_BYTES
        elif getattr(layer, "weights", ()):
            break
        else:
            continue
        if takes_bytes:
            said = said.model_validate(
                {**said.model_dump(exclude_unset=True), "value_range": (0.0, 255.0)}
            )
        break
    return said


def _shuffle(model: Any, seed: int) -> None:
    for number, variable in enumerate(model.weights):
        if len(variable.shape) > 1:
            rng = np.random.default_rng([seed, zlib.crc32(f"{number}".encode())])
            values = as_numpy(variable.value)
            variable.assign(rng.permutation(values.ravel()).reshape(values.shape))


def _device(device: str) -> str:
    kind, _, number = device.partition(":")
    on_torch = keras.config.backend() == "torch"
    if on_torch:
        import torch

        there = torch.cuda.is_available()
    else:
        import jax

        there = jax.default_backend() == "gpu"
    if kind == "cpu" or (kind == "auto" and not there):
        return "cpu" if on_torch else "cpu:0"  # to torch the two are different places
    if not there:
        raise SourceError(f"no GPU for device {device!r}; say 'cpu'")
    return f"gpu:{number or 0}"


def _name(source: KerasSource) -> str:
    return source.file.written if source.file else source.application


def _refusal(source: KerasSource, reason: str) -> SourceError:
    return SourceError(f"{_name(source)}: {reason}")

"""A model of Keras as far as a cut, pooled, as a model of Keras."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.files import SourceFile
from zoorank.sources.keras.archive import check_archive
from zoorank.sources.keras.calls import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL = "encoder.keras"


def export(
    model: Any, place: Place, pool: Callable[[Any], Any], batch: Any, folder: Path
) -> tuple[Path, ...]:
    """Write the part of a model that a place needs, with the pooling there.

    Parameters
    ----------
    model : keras.Model
    place : Place
    pool : callable
        Makes one vector a sample of what is there.
    batch : tensor
        That the model takes.
    folder : Path

    Returns
    -------
    tuple of Path
        ``encoder.keras``, and ``encoder.onnx`` where Keras can write it.

    Raises
    ------
    SourceError
        For a place in a model whose layers are called by code of its own.
    """
    given = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
    try:
        with _quiet():
            found = _Walk(place).reached(model, given, "")
            prefix = keras.Model(given, pool(found))
            prefix.save(folder / MODEL)
            prefix(batch, training=False)  # before that, Keras writes no ONNX
    except SourceError:
        raise
    except Exception as error:  # Keras raises many kinds
        raise SourceError(f"Keras cannot write it: {one_line(error, 200)}") from error
    return (folder / MODEL, *_as_onnx(prefix, folder / "encoder.onnx"))


def runner(path: Path) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """What runs a written model on a batch.

    Raises
    ------
    SourceError
        When the file holds what could run code, or cannot be loaded.
    """
    file = SourceFile(path.name, path)
    check_archive(file)
    try:
        with _quiet():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise file.refuse(f"cannot be loaded: {one_line(error, 200)}") from error
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)

    def run(batch: NDArray[Any]) -> NDArray[np.float32]:
        with _quiet():
            given = keras.ops.convert_to_tensor(batch, dtype=dtype)
            encoding: NDArray[np.float32] = keras.ops.convert_to_numpy(model(given, training=False))
        return encoding

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of Keras, of what its own code does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Found(BaseException):
    """Ends the walk; no ``except Exception`` of Keras may catch it."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


class _Walk:
    """Calls the layers of a model one by one, into the models that it is made of, up to a place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._counts: dict[str, int] = {}

    def reached(self, model: Any, given: Any, prefix: str) -> Any:
        """What is at the place, made of the layers themselves and a new input."""
        try:
            self._through(model, given, prefix)
        except _Found as found:
            return found.tensor
        raise SourceError(f"{self._place.path} is in a part that is no graph of layers")

    def _through(self, model: Any, given: Any, prefix: str) -> Any:
        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return self._call(layer, f"{prefix}{layer.name}", args, kwargs)

        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                given = call(layer, given)
            return given
        return keras.models.clone_model(
            model, input_tensors=given, clone_function=lambda layer: layer, call_function=call
        )

    def _call(self, layer: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._counts[path] = self._counts.get(path, 0) + 1
        here = (path, self._counts[path]) == (self._place.path, self._place.call)
        if here and self._place.side == "input":
            raise _Found(keras.tree.flatten((args, kwargs))[0])
        if here and self._place.side == "linear":
            raise SourceError("what a layer gives before its activation is not exported")
        if isinstance(layer, keras.Model) and self._place.path.startswith(f"{path}/"):
            given, *_ = keras.tree.flatten(args)
            return self._through(layer, given, f"{path}/")
        output = layer(*args, **kwargs)
        if here:
            raise _Found(keras.tree.flatten(output)[0])
        return output


def _as_onnx(model: Any, path: Path) -> tuple[Path, ...]:
    """The model in ONNX; nothing where the backend of Keras cannot."""
    try:
        with _quiet():
            model.export(path, format="onnx", verbose=False)
    except Exception:  # noqa: BLE001  whatever it is, the model itself is written
        path.unlink(missing_ok=True)
        return ()
    return (path,)

"""Encodings for the user's own use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.encode import encode_source
from zoorank.encoding.passes import OnBatch, blamed
from zoorank.errors import SourceError, UsageError
from zoorank.partial import Partial, reported
from zoorank.sources.base import PENULTIMATE, Precision
from zoorank.sources.files import paths_of
from zoorank.sources.manifest import zoo_of
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target
from zoorank.targets.numpy_files import label_files
from zoorank.targets.paths import keep_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encode(
    source: Any,
    data: Any,
    *,
    cut: str | None = None,
    out: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    limit: int | None = None,
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
    on_batch: OnBatch | None = None,
) -> NDArray[np.float32]:
    """Encode data with one source, cut at one place.

    Parameters
    ----------
    source : str, path, Source or torch.nn.Module
        As for :func:`zoorank.rank`, but one.
    data : path, str, (X, y) or dict
        As for :func:`zoorank.rank`.
    cut : str, optional
        Where to cut; by default where the reference or the manifest says, else penultimate.
    out : path, optional
        A ``.npy`` file for the encodings; the labels go beside it, to ``NAME_labels.npy``.
    batch_size : int, optional
        Samples in a forward pass.
    device : {"auto", "cpu", "cuda"}
    precision : {"float32", "bf16"}
    limit : int, optional
        Use at most this many samples, drawn by class.
    allow_code : path or sequence of path
        Directories whose modules a manifest may name.
    allow_packages : str or sequence of str
        Installed packages whose networks a manifest may build with any arguments.
    on_batch : callable, optional
        Told ``(done, total)`` samples.

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        float32, in the order of the samples.

    Raises
    ------
    UsageError, DataError
        When an argument is wrong, ``out`` is a file that is read, or the data cannot be.
    SourceError
        When the source cannot be loaded, cut or fed.
    StoreError
        When ``out`` cannot be written.

    Examples
    --------
    >>> import zoorank
    >>> from torch import nn
    >>> from zoorank.transforms.specs import TablePreprocessing
    >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> zoorank.encode((network, TablePreprocessing()), "sklearn:iris", cut="1").shape
    (150, 8)
    """
    zoo = zoo_of(source, allow_code=allow_code, allow_packages=allow_packages)
    if len(zoo.models) > 1:
        of = f", such as {zoo.path}:{zoo.models[0].name}" if zoo.path else ""
        raise UsageError(f"{len(zoo.models)} sources; encode takes one{of}")
    (model,) = zoo.models
    cuts = (cut,) if cut is not None else zoo.cuts_of(model)
    if len(cuts) > 1 or cuts[0] == "all":
        raise UsageError(f"cuts {', '.join(cuts)}; name one, such as {PENULTIMATE}")
    place = None if out is None else _npy(Path(out))
    with blamed():
        model = model.resolve(lambda _: None)
    written = () if place is None else (place, place.with_name(f"{place.stem}_labels.npy"))
    keep_inputs(written, (*_files_of(data), *paths_of(model)))
    target = load_target(data, limit=limit)
    with TemporaryDirectory() as folder:
        encoded = encode_source(
            model,
            target,
            cuts=cuts,
            store=EncodingStore(folder),
            batch_size=batch_size or zoo.batch_size,
            device=device,
            precision=precision,
            on_batch=on_batch,
            keep="memory",
        )
        if not encoded.encodings:
            raise SourceError("; ".join(encoded.refused.values()))
        X = np.array(encoded.encodings[0].load(), dtype=np.float32)
    for path, array in zip(written, (X, target.labels), strict=False):
        _write(path, array)
    return X


def _files_of(data: Any) -> list[Path]:
    """Files that a path to data may lead to, of those that an encoding could be called like."""
    if not isinstance(data, str | os.PathLike):
        return []
    place = Path(data)
    samples = place / "X.npy" if place.is_dir() else place
    return [samples, *label_files(samples)]


def _npy(path: Path) -> Path:
    if path.suffix != ".npy":
        raise UsageError(f"{path}: encodings are written as .npy")
    if not path.parent.is_dir():
        raise UsageError(f"no directory {path.parent} to write {path.name} to")
    return path


def _write(path: Path, array: NDArray[Any]) -> None:
    with reported(path.parent, array.nbytes), Partial(path) as partial:
        np.save(partial.stream, array, allow_pickle=False)
        partial.publish()

"""An exported encoder, read again and run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from zoorank.errors import DataError
from zoorank.exporting.record import Exported, Vectors, read_transform
from zoorank.frozen import explain
from zoorank.sources.base import Cut, Entry, OpenOptions
from zoorank.transforms.base import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Run = Callable[[Batch], NDArray[np.float32]]

RECORD = "encoder.json"


class Loaded:
    """An exported encoder, read again.

    Parameters
    ----------
    folder : Path
    record : Exported

    Attributes
    ----------
    transform : Transform
        Samples to batches.
    """

    def __init__(self, folder: Path, record: Exported) -> None:
        self.record = record
        self._path = folder / record.files[0]
        self._run: Run | None = None
        if isinstance(record.preprocessing, Vectors):
            self.transform, self._run = _vectors(folder, record.preprocessing)
        else:
            self.transform = read_transform(record, folder)

    def encode(self, samples: Sequence[Any]) -> NDArray[np.float32]:
        """Encode samples: arrays, texts, or paths or bytes of images.

        Returns
        -------
        ndarray of shape (n_samples, dim)
        """
        prepared = [self.transform.prepare(sample) for sample in samples]
        if self._run is None:
            self._run = _runner(self._path, self.record.inputs)
        size = self.record.batch_size or max(1, len(prepared))
        encoded = []
        for start in range(0, len(prepared), size):
            part = prepared[start : start + size]
            missing = [part[-1]] * (size - len(part) if self.record.batch_size else 0)
            batch = self.transform.collate([*part, *missing])
            encoded.append(np.asarray(self._run(batch), dtype=np.float32)[: len(part)])
        return np.concatenate(encoded or [np.empty((0, self.record.dim), np.float32)])


def load(folder: str | os.PathLike[str]) -> Loaded:
    """Read what :func:`~zoorank.exporting.export.export` wrote.

    Raises
    ------
    DataError
        When the folder holds nothing of the kind.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from torch import nn
    >>> from zoorank.exporting.export import export
    >>> from zoorank.transforms.specs import TablePreprocessing
    >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), TablePreprocessing()
    >>> with TemporaryDirectory() as folder:
    ...     _ = export(network, "sklearn:iris", folder, cut="1")
    ...     load(folder).encode([[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]]).shape
    (2, 8)
    """
    path = Path(folder) / RECORD
    try:
        record = Exported.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        key, message = explain(error)
        where = ".".join(map(str, key)) or "it"
        raise DataError(f"{path} is no record of an encoder: {where}: {message}") from error
    except ValueError as error:
        raise DataError(f"{path} is no record of an encoder: {error}") from error
    if any(Path(name).name != name for name in record.names):
        raise DataError(f"{path} names files outside its folder")
    return Loaded(Path(folder), record)


def _runner(path: Path, inputs: Sequence[str]) -> Run:
    """What runs a file on a batch."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(os.fspath(path))
        names = [each.name for each in session.get_inputs()]
        # What the part up to the cut does not look at is no input of the file.
        given = dict(zip(names, inputs, strict=True)) if len(names) == len(inputs) else None
        given = {name: name for name in names} if given is None else given
        return lambda batch: session.run(
            None, {name: batch.inputs[own] for name, own in given.items()}
        )[0]
    if path.suffix == ".keras":
        from zoorank.sources.keras.export import runner as runner_of_keras

        run = runner_of_keras(path)
        return lambda batch: run(batch.only)
    if path.suffix != ".pt2":
        raise DataError(f"{path}: nothing here runs files of this kind")
    from zoorank.sources.exported.program import runner

    program = runner(path)
    return lambda batch: program(*(batch.inputs[name] for name in inputs))


def _vectors(folder: Path, said: Vectors) -> tuple[Any, Run]:
    """Open word vectors, whose transform belongs to them."""
    from zoorank.sources.vectors import sources

    entry = Entry(
        preprocessing=said.text,
        folder=folder,
        settings={} if said.words is None else {"words": said.words},
    )
    (source,) = sources(os.fspath(folder / said.file), None, entry)
    encoder = source.open(OpenOptions("text"))

    def run(batch: Batch) -> NDArray[np.float32]:
        cuts = [cut for cut in encoder.cuts(batch, ("vectors",)) if isinstance(cut, Cut)]
        encoding: NDArray[np.float32] = encoder.encode(batch, cuts)["vectors"]
        return encoding

    return encoder.transform, run

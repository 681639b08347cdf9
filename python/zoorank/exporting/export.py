"""Write the winner of a ranking for use elsewhere: cut, pooled, with its preprocessing."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.passes import Feed, to_host
from zoorank.encoding.trial import calibrate, tried
from zoorank.errors import DataError, SourceError, UsageError
from zoorank.ranking.again import load_again
from zoorank.ranking.files import prepare, write_text
from zoorank.ranking.ranking import Ranking
from zoorank.sources.base import PENULTIMATE, Exportable, OpenOptions, Source
from zoorank.sources.manifest import load_zoo, zoo_of
from zoorank.targets import load_target
from zoorank.targets.base import Target
from zoorank.transforms import transform_of
from zoorank.transforms.base import Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
RECORD = "encoder.json"
CHECKED = 4  # samples that the files are compared with the source on
TOLERANCE = 1e-4  # of the largest number of an encoding: runtimes sum in orders of their own


@dataclass(frozen=True)
class Exported:
    """What was written, and how it is fed.

    Attributes
    ----------
    source, cut : str
    dim : int
        Numbers in an encoding.
    files : tuple of str
        Names of the files in the folder; the first is in the source's own framework.
    preprocessing : mapping
        As a manifest says it.
    statistics : mapping of str to (float or list of float)
        Of the target, that values are scaled by, where the preprocessing asks for them.
    batch_size : int or None
        The only number of samples that the files take at once; None where any will do.
    licence : str
        Of the weights, where it is known.
    deviation : float
        The largest difference from the source's own encodings, of some samples, over their
        largest number.
    """

    source: str
    cut: str
    dim: int
    files: tuple[str, ...]
    preprocessing: dict[str, Any]
    statistics: dict[str, Any]
    batch_size: int | None
    licence: str
    deviation: float


def export(
    source: Any,
    data: Any,
    out: str | os.PathLike[str],
    *,
    cut: str | None = None,
    device: str = "cpu",
    limit: int | None = None,
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
) -> Exported:
    """Write a source, cut at one place, with its preprocessing.

    Parameters
    ----------
    source : str, path, Source or torch.nn.Module
        As for :func:`zoorank.encode`; or a directory with the ``ranking.json`` of a ranking,
        which means its winner.
    data : path, str, (X, y), dict or None
        The target; None takes that of the ranking. What the preprocessing needs to know of it,
        such as its mean, is written too.
    out : path
        A directory for the files.
    cut : str, optional
        Where to cut; by default that of the winner, of the reference, else penultimate.
    device : {"auto", "cpu", "cuda"}
    limit : int, optional
        Use at most this many samples of the target.
    allow_code : path or sequence of path
        Directories whose modules a manifest may name.
    allow_packages : str or sequence of str
        Installed packages whose networks a manifest may build with any arguments.

    Returns
    -------
    Exported
        What ``encoder.json`` holds; :func:`load` reads the folder again.

    Raises
    ------
    UsageError, DataError
        When an argument is wrong, or the data cannot be read.
    SourceError
        When the source cannot be loaded, cut or exported, or the files give other encodings.
    StoreError
        When the directory cannot be written to.
    """
    ranking = _ranking(source)
    if ranking is None:
        model, wanted = _named(source, cut, allow_code, allow_packages)
    else:
        model, wanted = _winner(ranking, source, cut, allow_code, allow_packages)
    if data is not None:
        target = load_target(data, limit=limit)
    elif ranking is not None:
        target = load_again(ranking)
    else:
        raise UsageError("no target: its samples are what the files are compared on; give data")
    folder = prepare(out)
    model = model.resolve(lambda _: None)
    with model.open(OpenOptions(target.modality, device)) as encoder:
        if not isinstance(encoder, Exportable):
            kind = type(encoder).__name__.removesuffix("Encoder").lower()
            raise SourceError(f"sources of the kind {kind} are not exported yet")
        transform = encoder.transform.fitted(target)
        preprocessing, statistics = described(transform)
        feed = Feed(encoder, transform, target)
        calibrate(feed)
        trial = tried(feed, [wanted])
        if not trial.cuts:
            raise SourceError("; ".join(trial.refused.values()))
        chosen = trial.cuts[0]
        rows = range(min(CHECKED, len(target)))
        batch = transform.collate(feed.prepared(rows))
        expected = to_host(encoder.encode(batch, [chosen])[chosen.name])
        files = encoder.export(chosen, batch, folder)
    found = Exported(
        source=model.name,
        cut=chosen.name,
        dim=trial.dims[chosen.name],
        files=tuple(path.name for path in files),
        preprocessing=preprocessing,
        statistics=statistics,
        batch_size=None,
        licence=model.known().licence,
        deviation=0.0,
    )
    if not _takes_one(Loaded(folder, found), target, expected):
        found = replace(found, batch_size=len(rows))
    deviations = [
        _deviation(Loaded(folder, replace(found, files=(name,))), target, rows, expected)
        for name in found.files
    ]
    found = replace(found, deviation=float(f"{max(deviations):.3g}"))
    if found.deviation > TOLERANCE:
        raise SourceError(f"the files give other encodings than the source, by {found.deviation}")
    record = {"format": FORMAT, **asdict(found)}
    write_text(folder / RECORD, json.dumps(record, indent=2, allow_nan=False) + "\n")
    return found


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
        self.transform = _transform(record)
        self._path = folder / record.files[0]
        self._run: Any = None

    def encode(self, samples: Sequence[Any]) -> NDArray[np.float32]:
        """Encode samples: arrays, or paths or bytes of images.

        Returns
        -------
        ndarray of shape (n_samples, dim)
        """
        prepared = [self.transform.prepare(sample) for sample in samples]
        if self._run is None:
            self._run = _runner(self._path)
        size = self.record.batch_size or max(1, len(prepared))
        encoded = []
        for start in range(0, len(prepared), size):
            part = prepared[start : start + size]
            missing = [part[-1]] * (size - len(part) if self.record.batch_size else 0)
            batch = self.transform.collate([*part, *missing])
            encoded.append(np.asarray(self._run(batch.only), dtype=np.float32)[: len(part)])
        return np.concatenate(encoded or [np.empty((0, self.record.dim), np.float32)])


def load(folder: str | os.PathLike[str]) -> Loaded:
    """Read what :func:`export` wrote.

    Raises
    ------
    DataError
        When the folder holds nothing of the kind.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from torch import nn
    >>> from zoorank.transforms.specs import TablePreprocessing
    >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), TablePreprocessing()
    >>> with TemporaryDirectory() as folder:
    ...     _ = export(network, "sklearn:iris", folder, cut="1")
    ...     load(folder).encode([[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]]).shape
    (2, 8)
    """
    path = Path(folder) / RECORD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        record = Exported(**{**values, "files": tuple(values["files"])})
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is no record of an exported encoder: {error}") from error
    if any(Path(name).name != name for name in record.files) or not record.files:
        raise DataError(f"{path} names files outside its folder")
    return Loaded(Path(folder), record)


def _ranking(source: Any) -> Ranking | None:
    """The ranking in a directory; None for what is none."""
    if not isinstance(source, str | os.PathLike) or not (Path(source) / "ranking.json").is_file():
        return None
    return Ranking.from_json(Path(source) / "ranking.json")


def _winner(
    ranking: Ranking, place: Any, cut: str | None, allow_code: Any, allow_packages: Any
) -> tuple[Source, str]:
    best, manifest = ranking.best, ranking.provenance.manifest
    if best is None or best.cut is None:
        raise UsageError(f"{place} has no winner: no source of it could be scored")
    zoo = (
        zoo_of(best.model, allow_code=allow_code, allow_packages=allow_packages)
        if manifest is None
        else load_zoo(manifest, allow_code=allow_code, allow_packages=allow_packages)
    )
    models = [model for model in zoo.models if model.name == best.model]
    if not models:
        raise UsageError(f"{best.model!r} is not in {manifest} any more; name the source")
    return models[0], cut or best.cut


def _named(
    source: Any, cut: str | None, allow_code: Any, allow_packages: Any
) -> tuple[Source, str]:
    zoo = zoo_of(source, allow_code=allow_code, allow_packages=allow_packages)
    if len(zoo.models) > 1:
        raise UsageError(f"{len(zoo.models)} sources; export takes one")
    (model,) = zoo.models
    cuts = (cut,) if cut is not None else zoo.cuts_of(model)
    if len(cuts) > 1 or cuts[0] == "all":
        raise UsageError(f"cuts {', '.join(cuts)}; name one, such as {PENULTIMATE}")
    return model, cuts[0]


def described(transform: Transform) -> tuple[dict[str, Any], dict[str, Any]]:
    """A transform as its preprocessing and what it knows of the target.

    Raises
    ------
    SourceError
        For a transform that a framework brings.
    """
    spec = getattr(transform, "spec", None)
    if spec is None or not hasattr(spec, "input") or spec.input == "text":
        raise SourceError(
            "its preprocessing is a framework's own; say preprocessing in a manifest to export it"
        )
    known = {name: getattr(transform, name, None) for name in ("offset", "width")}
    statistics = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in known.items()
        if value is not None
    }
    return spec.model_dump(mode="json"), statistics


def _transform(record: Exported) -> Transform:
    from pydantic import TypeAdapter

    from zoorank.transforms.specs import Preprocessing

    adapter: TypeAdapter[Preprocessing] = TypeAdapter(Preprocessing)
    transform = transform_of(adapter.validate_python(record.preprocessing))
    known = {
        name: np.array(value) if isinstance(value, list) else value
        for name, value in record.statistics.items()
    }
    return replace(transform, **known) if known else transform  # type: ignore[type-var]


def _runner(path: Path) -> Any:
    """What runs a file on a batch, an array in and an array out."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(os.fspath(path))
        name = session.get_inputs()[0].name
        return lambda batch: session.run(None, {name: batch})[0]
    from zoorank.sources.exported.program import runner

    return runner(path)


def _takes_one(loaded: Loaded, target: Target, expected: NDArray[np.float32]) -> bool:
    """Whether a file takes another number of samples than it was traced with, and rightly."""
    try:
        return _deviation(loaded, target, range(1), expected[:1]) <= TOLERANCE
    except Exception:  # noqa: BLE001  every runtime has errors of its own
        return False


def _deviation(loaded: Loaded, target: Target, rows: range, expected: NDArray[np.float32]) -> float:
    """The largest difference from expected encodings over the largest of their numbers."""
    found = loaded.encode(list(target.take(rows)))
    if found.shape != expected.shape:
        raise SourceError(f"an exported file gives {found.shape} instead of {expected.shape}")
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-12))

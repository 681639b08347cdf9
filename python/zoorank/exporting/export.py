"""Write the winner of a ranking for use elsewhere: cut, pooled, with its preprocessing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.passes import Feed, as_ndarray, blamed
from zoorank.encoding.trial import tried
from zoorank.errors import SourceError, UsageError
from zoorank.exporting.load import RECORD, Loaded, load
from zoorank.exporting.record import (
    Exported,
    Processor,
    Statistics,
    Tokens,
    Vectors,
    write_transform,
)
from zoorank.partial import write_whole
from zoorank.ranking.files import prepare
from zoorank.ranking.provenance import load_again
from zoorank.ranking.ranking import Ranking
from zoorank.sources.base import PENULTIMATE, Encoder, Exportable, OpenOptions, Source
from zoorank.sources.files import paths_of
from zoorank.sources.manifest import load_zoo, zoo_of
from zoorank.sources.vectors.encoder import VectorsEncoder
from zoorank.targets import load_target
from zoorank.targets.base import Target
from zoorank.targets.paths import keep_inputs
from zoorank.transforms.base import Transform
from zoorank.transforms.specs import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Exported", "export", "load"]

CHECKED = 4  # samples that the files are compared with the source on
TOLERANCE = 1e-4  # of the largest number of an encoding: runtimes sum in orders of their own


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
        What ``encoder.json`` holds; :func:`~zoorank.exporting.load.load` reads the folder again.

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
    target = _target(ranking, data, limit)
    folder = prepare(out)
    with blamed():
        model = model.resolve(lambda _: None)
    # Files get the names that they had, or those of other exports: they must not meet.
    keep_inputs([folder], [path.parent for path in paths_of(model)])
    with blamed():
        encoder = model.open(OpenOptions(target.modality, device))
    with encoder:
        if not isinstance(encoder, Exportable):
            kind = type(encoder).__name__.removesuffix("Encoder").lower()
            raise SourceError(f"encoders of the kind {kind} cannot be exported")
        transform = encoder.transform.fitted(target)
        feed = Feed(encoder, transform, target)
        trial = tried(feed, [wanted])
        if not trial.cuts:
            raise SourceError("; ".join(trial.refused.values()))
        chosen = trial.cuts[0]
        rows = range(min(CHECKED, len(target)))
        batch = transform.collate(feed.prepared(rows))
        if batch.words is not None:
            raise SourceError("it gives one row a word; encoders of whole texts are exported")
        expected = as_ndarray(encoder.encode(batch, [chosen])[chosen.name])
        files = encoder.export(chosen, batch, folder)
        preprocessing, statistics = _transform(encoder, transform, folder)
    found = Exported(
        source=model.name,
        cut=chosen.name,
        dim=trial.dims[chosen.name],
        files=tuple(path.name for path in files),
        inputs=tuple(batch.inputs),
        preprocessing=preprocessing,
        statistics=statistics,
        licence=model.known().licence,
    )
    if not _takes_one(Loaded(folder, found), target, expected):
        found = found.model_copy(update={"batch_size": len(rows)})
    runs = () if isinstance(found.preprocessing, Vectors) else found.files
    deviations = [
        _deviation(
            Loaded(folder, found.model_copy(update={"files": (name,)})), target, rows, expected
        )
        for name in runs or found.files[:1]
    ]
    found = found.model_copy(update={"deviation": float(f"{max(deviations):.3g}")})
    if found.deviation > TOLERANCE:
        raise SourceError(f"the files give other encodings than the source, by {found.deviation}")
    write_whole(folder / RECORD, f"{found.model_dump_json(indent=2)}\n".encode())
    return found


def _ranking(source: Any) -> Ranking | None:
    """The ranking in a directory; None for what is none."""
    if not isinstance(source, str | os.PathLike) or not (Path(source) / "ranking.json").is_file():
        return None
    return Ranking.from_json(Path(source) / "ranking.json")


def _target(ranking: Ranking | None, data: Any, limit: int | None) -> Target:
    """The data that are given, else those that the ranking is of."""
    if data is not None:
        return load_target(data, limit=limit)
    if ranking is None:
        raise UsageError("no target: its samples are what the files are compared on; give data")
    return load_again(ranking)


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


def _transform(
    encoder: Encoder, transform: Transform, folder: Path
) -> tuple[Preprocessing | Tokens | Processor | Vectors, Statistics]:
    """How samples are prepared, as the record says it."""
    if not isinstance(encoder, VectorsEncoder):
        return write_transform(transform, folder)
    file, words, text = encoder.written
    return Vectors(file=file, words=words, text=text), Statistics()


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

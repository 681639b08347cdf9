"""Where the sources of a zoo can be cut."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from zoorank.encoding.passes import Feed, blamed
from zoorank.errors import SourceError, UsageError
from zoorank.frozen import explain
from zoorank.sources.base import ALL, Cut, OpenOptions, Source, Trust
from zoorank.sources.manifest import zoo_of
from zoorank.sources.references import is_known_kind
from zoorank.sources.torch.source import RandomWeights, TorchSource
from zoorank.sources.trust import trusted
from zoorank.targets import load_target
from zoorank.targets.base import Modality, Target
from zoorank.transforms.specs import (
    ImagePreprocessing,
    Preprocessing,
    SeriesPreprocessing,
    TablePreprocessing,
)

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

MODALITIES: dict[int, Modality] = {1: "table", 2: "series", 3: "image"}
_TEXTS = ("A short text.", "And one that is somewhat longer than the other.") * 2
_SHAPES: dict[Modality, tuple[int, ...]] = {"image": (3, 224, 224), "series": (1, 256)}
_USUAL: tuple[Modality, ...] = ("image", "text", "audio", "series")  # in this order


@dataclass(frozen=True)
class SourceCuts:
    """The cut points of one source.

    Attributes
    ----------
    model : str
    cuts : tuple of Cut
        In the order in which they run; empty for a source that cannot be used.
    note : str
        Why there are none.
    """

    model: str
    cuts: tuple[Cut, ...]
    note: str = ""


def cuts(
    models: Any,
    data: Any = None,
    *,
    shape: Sequence[int] | None = None,
    allow_code: Paths = (),
    allow_packages: str | Sequence[str] = (),
) -> tuple[SourceCuts, ...]:
    """List where sources can be cut, with what each cut costs.

    Parameters
    ----------
    models : str, path, Source, torch.nn.Module, or sequence of these
        As for :func:`zoorank.rank`; also ``ZOO.toml:NAME`` for one source of a manifest, or
        ``MODULE:FACTORY`` for a network of torch outside any zoo, built without arguments.
    data : optional
        Target whose samples are fed to the sources; None takes the manifest's, else samples
        of a usual shape.
    shape : sequence of int, optional
        Feed samples of this shape instead: ``(channels, height, width)``,
        ``(variables, length)`` or ``(columns,)``.
    allow_code : path or sequence of path
        Directories whose modules may be named as factories. Their code is run.
    allow_packages : str or sequence of str
        Installed packages whose networks may be built, beside those that zoorank knows.

    Returns
    -------
    tuple of SourceCuts

    Raises
    ------
    UsageError
        If the manifest, the name or the shape is wrong.
    DataError
        If the target cannot be read.

    Examples
    --------
    >>> import zoorank
    >>> from torch import nn
    >>> from zoorank.transforms.specs import TablePreprocessing
    >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> (found,) = zoorank.cuts((network, TablePreprocessing()), shape=(4,))
    >>> [(cut.name, cut.shape, cut.parameters_kept) for cut in found.cuts]
    [('1', (8,), 40), ('penultimate', (8,), 40)]
    """
    factory = _factory(models)
    if factory is not None:
        blank = _blank(shape or _SHAPES["image"])
        return (_cuts(_bare(factory, blank, trusted(allow_code, allow_packages)), blank),)
    zoo = zoo_of(models, allow_code=allow_code, allow_packages=allow_packages)
    given = zoo.data if data is None else data
    target: Target | None = None
    if shape is not None:
        target = _blank(shape)
    elif given is not None:
        target = load_target(given)
    return tuple(_cuts_of(source, target) for source in zoo.models)


def _factory(models: Any) -> str | None:
    """The text of a factory, which is neither a file nor a reference."""
    if not isinstance(models, str) or Path(models).exists() or models.endswith(".toml"):
        return None
    path, _, _ = models.rpartition(":")
    if path.endswith(".toml") or is_known_kind(models.partition(":")[0]):
        return None
    if re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", models):
        return models
    raise UsageError(
        f"{models!r} is no manifest; allowed: ZOO.toml, ZOO.toml:MODEL, MODULE:FACTORY, or a "
        "reference such as timm:resnet18.a1_in1k"
    )


def _cuts_of(source: Source, target: Target | None) -> SourceCuts:
    """Cut a source where a target, or the first kind of usual samples that it takes, tells."""
    try:
        with blamed():
            source = source.resolve(lambda _: None)
    except SourceError as error:
        return SourceCuts(source.name, (), str(error))
    if target is not None:
        return _cuts(source, target)
    reasons = []
    for modality in _USUAL:
        if modality in source.modalities:
            found = _cuts(source, _usual(modality))
            if found.cuts:
                return found
            reasons.append(f"as {modality}: {found.note.removeprefix(f'{source.name}: ')}")
    tried = "; ".join(["no usual sample fits it: give data, or a shape", *reasons])
    return SourceCuts(source.name, (), found.note if len(reasons) == 1 else tried)


def _usual(modality: Modality) -> Target:
    """Samples as most sources take them; columns of a table have no usual number."""
    if modality in _SHAPES:
        return _blank(_SHAPES[modality])
    second = np.sin(np.arange(16_000, dtype=np.float32))
    samples = {
        "text": list(_TEXTS),
        "audio": [{"array": second, "sampling_rate": 16_000}] * 4,
    }
    return load_target((samples[modality], [0, 0, 1, 1]), modality=modality)


def _blank(shape: Sequence[int]) -> Target:
    """A target of a given shape for networks that are only to be traced."""
    if len(shape) not in MODALITIES or min(shape) < 1:
        raise UsageError(
            f"shape {','.join(map(str, shape))!r} is neither channels,height,width nor "
            "variables,length nor columns, all at least 1"
        )
    ramp = np.linspace(0, 1, 4 * int(np.prod(shape)), dtype=np.float32)
    return load_target((ramp.reshape(4, *shape), [0, 0, 1, 1]), modality=MODALITIES[len(shape)])


def _bare(factory: str, target: Target, trust: Trust) -> Source:
    """A network of torch outside any zoo, fed samples as they are and with random weights."""
    try:
        return TorchSource(
            name=factory,
            factory=factory,
            weights=RandomWeights(),
            preprocessing=_preprocessing(target),
            trust=trust,
        )
    except ValidationError as error:
        key, message = explain(error)
        raise UsageError(f"{factory}: {'.'.join(map(str, key))}: {message}") from None


def _preprocessing(target: Target) -> Preprocessing:
    if target.modality == "table":
        return TablePreprocessing()
    channels = target.X[0].shape[0]
    if target.modality == "series":
        return SeriesPreprocessing(channels=channels)
    return ImagePreprocessing(channels=channels)


def _cuts(source: Source, target: Target) -> SourceCuts:
    try:
        with blamed():
            encoder = source.open(OpenOptions(target.modality))
        with encoder:
            feed = Feed(encoder, encoder.transform.fitted(target), target)
            _, found = feed.cuts(range(2), (ALL,))
    except SourceError as error:
        return SourceCuts(source.name, (), str(error))
    return SourceCuts(source.name, tuple(cut for cut in found if isinstance(cut, Cut)))

"""Where the sources of a zoo can be cut."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import SourceError, UsageError
from zoorank.messages import hint

if TYPE_CHECKING:
    from zoorank.sources.base import Trust
    from zoorank.sources.specs import ModelSpec, Zoo
    from zoorank.sources.torch.cuts import Cut
    from zoorank.targets.base import Target

KINDS = {1: "table", 2: "series", 3: "image"}


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


def cut_points(
    models: str | os.PathLike[str],
    *,
    data: Any = None,
    shape: Sequence[int] | None = None,
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
) -> tuple[SourceCuts, ...]:
    """List where sources can be cut, with what each cut costs.

    Parameters
    ----------
    models : path or str
        ``ZOO.toml`` for all sources of a manifest, ``ZOO.toml:NAME`` for one, or
        ``MODULE:FACTORY`` for a network outside any zoo, built without arguments.
    data : optional
        Target whose samples are fed to the sources; None takes the manifest's.
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
    """
    from zoorank.sources.manifest import load_zoo
    from zoorank.sources.trust import trusted
    from zoorank.targets import load_target

    path, name = _split(os.fspath(models))
    if path is None:
        target = _blank(shape or (3, 224, 224))
        trust = trusted(allow_code, allow_packages)
        return (_cuts(_bare(name, target, trust), target),)
    zoo = load_zoo(path, allow_code=allow_code, allow_packages=allow_packages)
    if shape is None and data is None and zoo.data is None:
        raise UsageError(f"no sample to feed: give data, a shape, or a `data` entry in {path}")
    specs = [_named(zoo, name)] if name else zoo.models
    data = zoo.data if data is None else data
    target = _blank(shape) if shape is not None else load_target(data)
    return tuple(_cuts(spec, target) for spec in specs)


def _split(text: str) -> tuple[Path | None, str]:
    """Tell a manifest, a model of one, and a factory apart."""
    if text.endswith(".toml") or Path(text).exists():
        return Path(text), ""
    path, _, name = text.rpartition(":")
    if path.endswith(".toml") or Path(path).is_file():
        return Path(path), name
    if re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", text):
        return None, text
    raise UsageError(f"{text!r} is no manifest; allowed: ZOO.toml, ZOO.toml:MODEL, MODULE:FACTORY")


def _named(zoo: Zoo, name: str) -> ModelSpec:
    names = [spec.name for spec in zoo.models]
    if name not in names:
        raise UsageError(f"{zoo.path} has no model {name!r}; {hint(name, names)}")
    return zoo.models[names.index(name)]


def _blank(shape: Sequence[int]) -> Target:
    """A target of a given shape for networks that are only to be traced."""
    from zoorank.targets import load_target

    if len(shape) not in KINDS or min(shape) < 1:
        raise UsageError(
            f"shape {','.join(map(str, shape))!r} is neither channels,height,width nor "
            "variables,length nor columns, all at least 1"
        )
    ramp = np.linspace(0, 1, 4 * int(np.prod(shape)), dtype=np.float32)
    kind: Any = KINDS[len(shape)]
    return load_target((ramp.reshape(4, *shape), [0, 0, 1, 1]), modality=kind)


def _bare(factory: str, target: Target, trust: Trust) -> ModelSpec:
    from pydantic import ValidationError

    from zoorank.frozen import explain
    from zoorank.sources.specs import ModelSpec

    preprocessing: dict[str, Any] = {"input": target.modality}
    if target.modality != "table":
        preprocessing["channels"] = target.X[0].shape[0]
    entry = {
        "name": factory,
        "factory": factory,
        "weights": {"random": {}},
        "preprocessing": preprocessing,
        "trust": trust,
    }
    try:
        return ModelSpec.model_validate(entry)
    except ValidationError as error:
        key, message = explain(error)
        raise UsageError(f"{factory}: {'.'.join(map(str, key))}: {message}") from None


def _cuts(spec: ModelSpec, target: Target) -> SourceCuts:
    from zoorank.sources.torch.cuts import list_cuts
    from zoorank.sources.torch.load import load_model
    from zoorank.transforms.preprocess import prepare

    try:
        example = prepare(spec.preprocessing, target, range(2))
        return SourceCuts(spec.name, list_cuts(load_model(spec), example))
    except SourceError as error:
        return SourceCuts(spec.name, (), str(error))

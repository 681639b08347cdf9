"""What a ranking records so that anyone can repeat it, and its target loaded again."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import wraps
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from zoorank import engine
from zoorank.engine.environment import check_environment
from zoorank.errors import DataError
from zoorank.sources.base import Json
from zoorank.targets import is_named, load_target
from zoorank.targets.base import Target

if TYPE_CHECKING:
    from typing_extensions import Self

    from zoorank.ranking.ranking import Ranking

P = ParamSpec("P")
R = TypeVar("R")

# Extras that are for building and testing.
_FOR_DEVELOPERS = ("bench", "dev", "docs", "test")
_REQUIREMENT = re.compile(r"([\w.-]+)[^;]*;.*extra == [\"']([\w-]+)[\"']")


@dataclass(frozen=True)
class Provenance:
    """How to repeat a ranking: what ran, on what, with which inputs.

    Attributes
    ----------
    command : str
        The command line, or the call from Python.
    directory : str
        Where it ran, which relative paths start from.
    started : str
        Time of the start, ISO 8601, UTC.
    manifest, manifest_sha256 : str or None
        The zoo's file and the sha256 of its content; None for a zoo made in
        Python.
    weights : mapping of str to (str or None)
        sha256 of the weights of each source; None where they are random or
        could not be read.
    settings : mapping
        Arguments of the run, defaults included.
    versions : mapping of str to (str or None)
        zoorank, python, the platform, numpy and what is installed of the frameworks.
    engine : mapping
        ``zoorank.build_info()``: instruction set, threads, CUDA.
    """

    command: str
    directory: str
    started: str
    manifest: str | None
    manifest_sha256: str | None
    weights: Mapping[str, str | None]
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]
    engine: Mapping[str, Json]

    @classmethod
    def of(
        cls,
        *,
        command: str,
        started: datetime,
        manifest: Path | None,
        settings: Mapping[str, object],
    ) -> Self:
        """All about a run that has begun but its weights: when it ends, files may be gone."""
        directory = ""
        with suppress(OSError):
            directory = str(Path.cwd())
        content = None if manifest is None else manifest.read_bytes()
        return cls(
            command=command,
            directory=directory,
            started=started.astimezone(timezone.utc).isoformat(timespec="seconds"),
            manifest=None if manifest is None else str(manifest),
            manifest_sha256=None if content is None else hashlib.sha256(content).hexdigest(),
            weights={},
            settings=_plain(settings),
            versions={**_versions(), **{name: has for name, has in _optional().items() if has}},
            engine=_plain(engine.build_info()),
        )


def load_again(ranking: Ranking, data: str | None = None) -> Target:
    """Load the target of a ranking as it was loaded then.

    Parameters
    ----------
    ranking : Ranking
    data : str, optional
        Where it is now; by default where it was.

    Raises
    ------
    DataError
        If it is not there, or holds other data now, or was made of arrays.
    """
    settings = ranking.provenance.settings
    limit = settings.get("limit")
    place = data or ranking.target.source.removesuffix(f" (limit {limit})")
    if place == "arrays":
        raise DataError("its target was made of arrays in Python; say where the same data are")
    if data is None and not is_named(place):
        place = str(Path(ranking.provenance.directory, os.path.expanduser(place)))
    target = load_target(
        place,
        limit=limit,
        modality=ranking.target.modality,
        input_column=settings.get("input_column") or (),
        label_column=settings.get("label_column"),
        group_column=settings.get("group_column"),
        split=settings.get("split") or "train",
        task=settings.get("task"),
    )
    if target.fingerprint != ranking.target.fingerprint:
        raise DataError(f"{place} holds other data now than those that were ranked for")
    return target


@dataclass(frozen=True)
class Environment:
    """What an installation can do.

    Attributes
    ----------
    versions : mapping of str to str
        Of Python, the platform, zoorank and NumPy.
    engine : mapping
        ``zoorank.build_info()``.
    optional : mapping of str to (str or None)
        Versions of the packages that extras bring; None for one that is not installed.
    """

    versions: Mapping[str, str | None]
    engine: Mapping[str, Json]
    optional: Mapping[str, str | None]


def environment() -> Environment:
    """Look at what is installed.

    Raises
    ------
    UsageError
        If an environment variable of the engine's is wrong.
    """
    check_environment(computes=False)
    return Environment(_versions(), _plain(engine.build_info()), _optional())


def _versions() -> dict[str, str | None]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: installed(name) for name in ("zoorank", "numpy")},
    }


def _optional() -> dict[str, str | None]:
    """Versions of what extras bring."""
    try:
        found = map(_REQUIREMENT.match, requires("zoorank") or ())
    except PackageNotFoundError:  # a source tree without an installation
        return {}
    names = {each[1] for each in found if each and each[2] not in _FOR_DEVELOPERS}
    return {name: installed(name) for name in sorted(names - {"zoorank"})}


def installed(distribution: str) -> str | None:
    """Version of an installed distribution, without importing it."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def describe_call(function: Callable[P, R]) -> Callable[P, R]:
    """Give a function the text of its call as ``command``, unless the caller gives one.

    Examples
    --------
    >>> @describe_call
    ... def rank(zoo, limit=None, command=""):
    ...     return command
    >>> rank("zoo.toml", limit=None)
    "zoorank.rank(zoo='zoo.toml')"
    """
    signature = inspect.signature(function)

    @wraps(function)
    def described(*args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs.get("command"):
            given = signature.bind(*args, **kwargs).arguments
            shown = (
                f"{name}={_short(value)}"
                for name, value in given.items()
                if value is not signature.parameters[name].default
            )
            kwargs["command"] = f"zoorank.{function.__name__}({', '.join(shown)})"
        return function(*args, **kwargs)

    return described


def _short(value: object) -> str:
    """Its repr where that could be typed again; else only what it is."""
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    text = repr(value)
    return text if len(text) <= 200 else f"<{type(value).__name__}>"


def _plain(values: Mapping[str, object]) -> dict[str, Json]:
    """The values as JSON knows them, so that a ranking equals what is read back."""
    plain: dict[str, Json] = json.loads(json.dumps(dict(values), default=str))
    return plain

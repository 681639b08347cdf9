"""Read a zoo manifest (TOML) into frozen records, or say in one line why not.

`zoo_of` makes a zoo of whatever names sources: manifests, references, networks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from zoorank.errors import ManifestError, UsageError
from zoorank.frozen import Fault, Faults, Frozen, Key, custom, find_faults, join
from zoorank.messages import brief, guess, hint
from zoorank.sources.base import PENULTIMATE, Entry, EntryError, Source, Trust
from zoorank.sources.files import SourceFile
from zoorank.sources.references import (
    build,
    is_pair,
    looks_like_reference,
    parse_reference,
    sources_of,
)
from zoorank.sources.specs import Cuts, SourceEntry
from zoorank.sources.toml import NotTomlError, find_line, parse
from zoorank.sources.torch.source import FactoryName, FamilyEntry, ModelEntry, TorchSource
from zoorank.sources.trust import trusted
from zoorank.targets import expand_data
from zoorank.targets.paths import expand
from zoorank.transforms.specs import Preprocessing

T = TypeVar("T", bound=Frozen)
P = TypeVar("P", str, Path)

_INHERITED = ("factory", "preprocessing")
_LARGEST = 4 * 2**20  # bytes; ten thousand models take a third of it


@dataclass(frozen=True)
class Zoo:
    """Sources to rank, in the order of their manifest.

    Attributes
    ----------
    models : tuple of Source
        Each with a name of its own.
    path : Path or None
        The manifest.
    data : str or None
        Target to rank for when none is given; a path is absolute.
    cuts : tuple of str or None
        Cuts of the sources that name none.
    batch_size : int or None
        None leaves it to each source.
    """

    models: tuple[Source, ...]
    path: Path | None = None
    data: str | None = None
    cuts: tuple[str, ...] | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("there is no model to rank; name one or more")
        names = [model.name for model in self.models]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise UsageError(f"two models are called {brief(name)}; give one another name")

    def cuts_of(self, model: Source) -> Sequence[str]:
        """Cuts to rank a model at: its own, else the zoo's, else the penultimate one."""
        return model.cuts or self.cuts or (PENULTIMATE,)


_Tables = Annotated[tuple[dict[str, Any], ...], Field(fail_fast=True)]


class _Manifest(Frozen):
    """The top level of the file, its entries still unread."""

    data: Annotated[str, Field(min_length=1)] | None = None
    cuts: Cuts | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    factory: FactoryName | None = None
    preprocessing: Preprocessing | None = None
    model: _Tables = ()
    family: _Tables = ()

    @field_validator("model", "family", mode="before")
    @classmethod
    def _array_of_tables(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, list):
            raise custom(f"must be an array of tables: write [[{info.field_name}]]")
        return value


def load_zoo(
    path: str | os.PathLike[str],
    *,
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
) -> Zoo:
    """Read a manifest and check all of it, without importing or loading any model.

    Parameters
    ----------
    path : path-like
        The manifest. Paths in it are relative to its folder and may use ``${NAME}``.
    allow_code : path-like or sequence of path-like
        Directories that factories may be imported from. Their code is run.
    allow_packages : str or sequence of str
        Installed packages, as Python imports them, whose networks may be built with any
        arguments, beside those that zoorank knows.

    Returns
    -------
    Zoo

    Raises
    ------
    ManifestError
        Naming the file, the line, the entry and the key.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> manifest = '''
    ... cuts = ["all"]
    ... preprocessing = { input = "image", size = 224, channels = 3 }
    ... [[model]]
    ... name = "resnet18"
    ... factory = "torchvision.models:resnet18"
    ... weights.file = "resnet18.safetensors"
    ... [[model]]
    ... name = "untrained"
    ... factory = "torchvision.models:resnet18"
    ... weights.random = { seed = 0 }
    ... cuts = ["layer3", "penultimate"]
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "zoo.toml").write_text(manifest)
    ...     zoo = load_zoo(f"{folder}/zoo.toml")
    >>> [(model.name, zoo.cuts_of(model)) for model in zoo.models]
    [('resnet18', ('all',)), ('untrained', ('layer3', 'penultimate'))]
    """
    return _load(Path(path), trusted(allow_code, allow_packages))


def _load(path: Path, trust: Trust) -> Zoo:
    text = _read(path)
    try:
        content = parse(text)
    except NotTomlError as error:
        raise ManifestError(f"{path}: not valid TOML: {error}") from None
    reader = _Reader(path, text)
    top = reader.check(_Manifest, content, entry=None)
    models = tuple(reader.models(top, trust))
    data = None if top.data is None else reader.absolute(expand_data, top.data, None, "data")
    if not models:
        raise ManifestError(f"{path}: names no model; add a [[model]] or a [[family]]")
    return Zoo(
        models=models,
        path=path.resolve(),
        data=data,
        cuts=top.cuts,
        batch_size=top.batch_size,
    )


def zoo_of(
    models: Any,
    *,
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
) -> Zoo:
    """Give the sources that an argument of the command, or of a function, stands for.

    Parameters
    ----------
    models : Zoo, path-like, str, Source, torch.nn.Module, or sequence of these
        A zoo as it is; a manifest, or one model of it as ``ZOO.toml:MODEL``; a reference; or
        several of these, with one manifest at most, whose data and cuts are then those of the
        whole.
    allow_code, allow_packages
        As for `load_zoo`.

    Returns
    -------
    Zoo

    Raises
    ------
    UsageError
        When one of them is wrong, or two have the same name.

    Examples
    --------
    >>> zoo = zoo_of(["vectors:glove.txt", "onnx:minilm.onnx::logits"])
    >>> [(model.name, zoo.cuts_of(model)) for model in zoo.models]
    [('vectors:glove.txt', ('penultimate',)), ('onnx:minilm.onnx::logits', ('logits',))]
    """
    trust = trusted(allow_code, allow_packages)
    zoos: list[Zoo] = []
    found: list[Source] = []
    for each in models if _are_several(models) else (models,):
        if isinstance(each, Zoo) or _is_path(each):
            zoos.append(each if isinstance(each, Zoo) else _named(os.fspath(each), trust))
            found += zoos[-1].models
        else:
            found += sources_of(each, Entry(trust=trust))
    if len(zoos) > 1:
        raise UsageError(f"{len(zoos)} manifests; name one, with references beside it")
    return replace(zoos[0], models=tuple(found)) if zoos else Zoo(tuple(found))


def _named(path: str, trust: Trust) -> Zoo:
    """A manifest, or of ``ZOO.toml:MODEL`` that model alone."""
    manifest, _, name = path.rpartition(":")
    if not manifest.endswith(".toml") or Path(path).exists():
        return _load(Path(path), trust)
    zoo = _load(Path(manifest), trust)
    names = [model.name for model in zoo.models]
    if name not in names:
        raise UsageError(f"{manifest} has no model {name!r}; {hint(name, names)}")
    return replace(zoo, models=(zoo.models[names.index(name)],))


def _are_several(models: Any) -> bool:
    return isinstance(models, list | tuple) and not is_pair(models)


def _is_path(model: Any) -> bool:
    if isinstance(model, str):
        return model.endswith(".toml") or not looks_like_reference(model) or Path(model).is_file()
    return isinstance(model, os.PathLike)


def _read(path: Path) -> str:
    if path.is_dir():
        raise ManifestError(f"{path} is a directory; name a manifest (.toml) in it")
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ManifestError(f"{path} is no regular file")
        if found.st_size > _LARGEST:
            raise ManifestError(f"{path} holds more than {_LARGEST:,} bytes: it is no manifest")
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ManifestError(_absent(path)) from None
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text (byte {error.start})") from None


def _absent(path: Path) -> str:
    folder = path.parent
    others = sorted(p.name for p in folder.glob("*.toml")) if folder.is_dir() else []
    if near := guess(path.name, others):
        return f"manifest {path} does not exist; {near.rstrip()}"
    if path.suffix == ".toml" or path.is_absolute() or len(path.parts) > 2:
        return f"manifest {path} does not exist"
    # Most often the name of a model, typed without its kind.
    kind = "timm" if len(path.parts) == 1 else "hf"
    return f"{path} does not exist; a model by name needs its kind, such as {kind}:{path}"


class _Entry(NamedTuple):
    """A place in the manifest that an error can name."""

    table: str
    number: int
    name: object

    def __str__(self) -> str:
        name = f" {brief(self.name)}" if isinstance(self.name, str) else ""
        return f"{self.table} {self.number}{name}"


class _Reader:
    """Checks the entries of one file, and knows where in it they are."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.folder = path.resolve().parent

    def models(self, top: _Manifest, trust: Trust) -> Iterator[Source]:
        """Read the models, then the families, and refuse a name that is used twice."""
        defaults = {key: value for key in _INHERITED if (value := getattr(top, key)) is not None}
        owners: dict[str, _Entry] = {}
        for table, entries in (("model", top.model), ("family", top.family)):
            for number, values in enumerate(entries, start=1):
                entry = _Entry(table, number, values.get("name", values.get("source")))
                for model in self._expand(entry, values, defaults, trust):
                    if model.name in owners:
                        taken = f"{brief(model.name)} is already the name of {owners[model.name]}"
                        raise self.error(entry, ("name",), taken)
                    owners[model.name] = entry
                    yield model

    def _expand(
        self, entry: _Entry, own: dict[str, Any], defaults: dict[str, Any], trust: Trust
    ) -> Iterator[Source]:
        values = {**defaults, **own}
        if entry.table == "family":
            models = self._family(entry, values)
        elif "source" in own:
            if "factory" in own:
                raise self.error(entry, ("factory",), "is none of a model that names its source")
            values.pop("factory", None)
            yield from self._named(entry, values, trust)
            return
        else:
            models = iter((self.check(ModelEntry, values, entry),))
        for model in models:
            yield TorchSource.model_construct(**dict(model), trust=trust)

    def _family(self, entry: _Entry, values: dict[str, Any]) -> Iterator[ModelEntry]:
        family = self.check(FamilyEntry, values, entry)
        pattern = self.absolute(expand, family.files, entry, "files")
        root = Path(pattern.anchor)
        files = sorted(root.glob(str(pattern.relative_to(root))))
        if not files:
            raise self.error(entry, ("files",), f"no file matches {brief(family.files)}")
        shared = {key: value for key, value in values.items() if key not in ("files", "name")}
        for file in files:
            name = family.name.replace("{stem}", file.stem)
            weights = {"file": SourceFile(file.name, file)}
            model = {**shared, "name": name, "weights": weights}
            if family.trained_on is not None:
                model["trained_on"] = shared["trained_on"].replace("{stem}", file.stem)
            yield self.check(ModelEntry, model, entry)

    def _named(self, entry: _Entry, values: dict[str, Any], trust: Trust) -> Sequence[Source]:
        """Read a model that is named by its reference; keys that are left are its kind's."""
        shared = {key: each for key, each in values.items() if key in SourceEntry.model_fields}
        read = self.check(SourceEntry, shared, entry)
        said = Entry(
            name=read.name,
            preprocessing=read.preprocessing,
            cuts=read.cuts,
            trained_on=read.trained_on,
            licence=read.licence,
            sha256=read.sha256,
            settings={key: each for key, each in values.items() if key not in shared},
            folder=self.folder,
            trust=trust,
        )
        try:
            return build(parse_reference(read.source), said)
        except EntryError as error:
            raise self.error(entry, (error.key,), str(error)) from None
        except ValidationError as error:
            raise self._refuse(entry, find_faults(error, SourceEntry.model_fields)) from None

    def absolute(
        self, expanded: Callable[[str, Path], P], text: str, entry: _Entry | None, key: str
    ) -> P:
        try:
            return expanded(text, self.folder)
        except ValueError as error:
            raise self.error(entry, (key,), str(error)) from None

    def check(self, record: type[T], values: Any, entry: _Entry | None) -> T:
        try:
            return record.model_validate(values, context={"folder": self.folder})
        except ValidationError as error:
            raise self._refuse(entry, find_faults(error)) from None

    def error(self, entry: _Entry | None, key: Key, message: str) -> ManifestError:
        return self._refuse(entry, Faults((Fault(key, message, key),)))

    def _refuse(self, entry: _Entry | None, faults: Faults) -> ManifestError:
        first, *others = faults.first
        where = [str(self.path), *self._line(entry, first), *([str(entry)] if entry else [])]
        clauses = [", ".join([*self._line(entry, each), str(each)]) for each in others]
        between = ", " if first.key else ": "
        text = join([str(first), *clauses], faults.others)
        return ManifestError(f"{', '.join(where)}{between}{text}")

    def _line(self, entry: _Entry | None, fault: Fault) -> list[str]:
        above = (entry.table, entry.number - 1) if entry else ()
        line = find_line(self.text, (*above, *fault.place))
        return [f"line {line}"] if line else []

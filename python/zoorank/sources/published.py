"""What sources that a library publishes have in common: entry, files, packages and cards."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SerializeAsAny, ValidationError, ValidationInfo, field_validator

from zoorank.errors import SourceError
from zoorank.frozen import Frozen, custom, explain
from zoorank.messages import brief, failed_import, missing_package
from zoorank.sources.base import Entry, EntryError, Json, Known, OpenOptions
from zoorank.sources.files import Pin, SourceFile, size_of
from zoorank.sources.weights import FILES, WeightsSource
from zoorank.targets.base import Modality
from zoorank.targets.paths import expand
from zoorank.transforms.specs import ImagePreprocessing, TextPreprocessing

if TYPE_CHECKING:
    from zoorank.sources.torch.pooling import DeclaredPooling

Spec = TypeVar("Spec", ImagePreprocessing, TextPreprocessing)

CARD = "README.md"
_WILD = frozenset("*?[")
_SPDX = {
    "afl-3.0": "AFL-3.0",
    "agpl-3.0": "AGPL-3.0-only",
    "apache-2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-3-clause-clear": "BSD-3-Clause-Clear",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "mit": "MIT",
    "mpl-2.0": "MPL-2.0",
    "unlicense": "Unlicense",
    "wtfpl": "WTFPL",
}


@dataclass(frozen=True)
class Published:
    """A source whose network, weights and preprocessing a library describes.

    Attributes
    ----------
    name : str
        What the table calls it.
    entry : Entry
    weights : tuple of Pin
        Files of its weights; empty until it is resolved.
    beside : tuple of Pin
        The other files that its encodings depend on: configuration, tokenizer and so on.
    """

    name: str
    entry: Entry
    weights: tuple[Pin, ...] = ()
    beside: tuple[Pin, ...] = ()

    @property
    def modalities(self) -> frozenset[Modality]:
        """What it takes in: images, where a kind says nothing else."""
        return frozenset({"image"})

    @property
    def cuts(self) -> tuple[str, ...] | None:
        """Where its manifest cuts it."""
        return self.entry.cuts

    def size(self) -> int | None:
        """Bytes in its folder, where it was named by one."""
        folder = getattr(self, "folder", None)
        return None if folder is None else size_of(folder)

    @property
    def trained_on(self) -> str | None:
        """Labelled data that it was trained on, if the manifest says so."""
        return self.entry.trained_on

    def known(self) -> Known:
        """What is published about it; a licence that the manifest gives stands over it."""
        said = self.published()
        return replace(said, licence=self.entry.licence or said.licence)

    def published(self) -> Known:
        """What its library or its model card says of it."""
        return Known()

    def digests(self) -> Mapping[str, Json]:
        """SHA-256 of the weights, and of the files beside them together."""
        return {"weights": combine(self.weights), "beside": combine(self.beside)}

    def check_modality(self, options: OpenOptions) -> None:
        """Refuse a target of which the source takes no samples."""
        if options.modality not in self.modalities:
            takes = " or ".join(sorted(self.modalities))
            raise SourceError(f"takes {takes} samples; the target holds {options.modality} samples")

    def check_files(self) -> None:
        """Refuse what a library has read from files that changed since they were hashed."""
        for each in (*self.weights, *self.beside):
            each.check()


def pin(files: Iterable[Path | SourceFile], entry: Entry | None = None) -> tuple[Pin, ...]:
    """Hash files, and compare with the digest that a manifest expects of their only one.

    Raises
    ------
    SourceError
        When one cannot be read, or has not the digest expected.
    """
    every = [SourceFile(each.name, each) if isinstance(each, Path) else each for each in files]
    expected = None if entry is None else entry.sha256
    if expected is not None and len(every) != 1:
        raise SourceError(f"sha256 is given, but the weights are {len(every)} files")
    return tuple(file.pin(expected) for file in every)


def combine(files: Sequence[Pin]) -> str:
    """SHA-256 of the one file, or of the names and digests of several."""
    if len(files) == 1:
        return files[0].sha256
    lines = sorted(f"{each.sha256}  {each.path.name}\n" for each in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_pattern(identifier: str) -> bool:
    """Whether an identifier stands for several names.

    Examples
    --------
    >>> is_pattern("mobilenetv3_*"), is_pattern("resnet18.a1_in1k")
    (True, False)
    """
    return not _WILD.isdisjoint(identifier)


class OwnWeights(Frozen):
    """Keys of an entry that names weights of its own for a published network.

    Attributes
    ----------
    weights : WeightsSource or None
        ``weights.file`` or ``weights.package``; None for the published ones.
    """

    weights: SerializeAsAny[WeightsSource] | None = None

    @field_validator("weights", mode="before")
    @classmethod
    def _file_or_package(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None or isinstance(value, WeightsSource):
            return value
        if not isinstance(value, Mapping) or list(value) not in (["file"], ["package"]):
            raise custom("needs exactly one of file, package")
        ((kind, said),) = value.items()
        try:
            return FILES[kind].model_validate(said, context=info.context)
        except ValidationError as error:
            key, message = explain(error)
            raise custom(f"{'.'.join(map(str, (kind, *key)))}: {message}") from None


def own_weights(entry: Entry) -> WeightsSource | None:
    """The weights that an entry names instead of the published ones.

    Raises
    ------
    ValidationError
        When the entry has other keys, or the key ``weights`` says something else.
    """
    context = {"folder": entry.folder}
    return OwnWeights.model_validate(dict(entry.settings), context=context).weights


def override(described: Spec, entry: Entry) -> Spec:
    """What the manifest says of the preprocessing, over what the model's description says.

    Parameters
    ----------
    described : ImagePreprocessing or TextPreprocessing
        As the library describes it.
    entry : Entry
        Fields of its preprocessing that were set win.

    Raises
    ------
    SourceError
        When the two are of different kinds, or do not fit together.

    Examples
    --------
    >>> own = ImagePreprocessing(size=224, resize=256, fit="crop")
    >>> override(own, Entry(preprocessing=ImagePreprocessing(size=112))).crop_pct
    0.875
    """
    said = entry.preprocessing
    if said is None:
        return described
    if said.input != described.input:
        raise SourceError(
            f"preprocessing.input is {said.input!r}, but the model takes {described.input!r}"
        )
    fields: dict[str, Any] = described.model_dump(exclude_unset=True)
    set_here = said.model_dump(exclude_unset=True)
    if {"resize", "crop_pct"} & set(set_here) or set_here.get("fit", "crop") != "crop":
        fields = {key: fields[key] for key in fields if key not in ("resize", "crop_pct")}
    elif fields.get("resize") and "size" in set_here:
        # The same part of an image is kept, whatever its size.
        fields["crop_pct"] = _kept_part(fields["size"], fields.pop("resize"))
    try:
        return type(described).model_validate({**fields, **set_here})
    except ValidationError as error:
        faulty: tuple[tuple[str | int, ...], str] = explain(error)
        place = ".".join(map(str, ("preprocessing", *faulty[0])))
        raise SourceError(f"{place}: {faulty[1]}") from None


def _kept_part(size: tuple[int, int], before: int | tuple[int, int]) -> float:
    """Size over what an image is resized to before the crop."""
    sides = before if isinstance(before, tuple) else (before, before)
    return min(1.0, *(kept / whole for kept, whole in zip(size, sides, strict=True)))


def said_pooling(entry: Entry) -> Any:
    """The pooling that a manifest says; None where it says none."""
    said = entry.preprocessing
    return said.pooling if said is not None and "pooling" in said.model_fields_set else None


def image_pooler(entry: Entry) -> DeclaredPooling:
    """How a network's maps or tokens become one vector an image: the mean, or as is said."""
    from zoorank.sources.torch.pooling import DeclaredPooling

    return DeclaredPooling(said_pooling(entry), layout="nchw")


def package(module: str, extra: str) -> ModuleType:
    """Import a library that an extra brings.

    Raises
    ------
    SourceError
        Naming the extra where it is not installed, or what its import fails with.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        said = (
            missing_package(error, extra) or f"{module} cannot be imported: {failed_import(error)}"
        )
        raise SourceError(said) from error
    except Exception as error:  # an import runs a library's code: anything may come
        raise SourceError(f"{module} cannot be imported: {failed_import(error)}") from error


def versions(*packages: str) -> dict[str, Json]:
    """Versions of installed packages that encodings depend on."""
    return {name: metadata.version(name) for name in packages}


def find_folder(identifier: str, entry: Entry, *files: str) -> Path | None:
    """Find the directory that an identifier names, relative to the entry's folder.

    Parameters
    ----------
    identifier : str
        With ``~`` and ``${NAME}``.
    entry : Entry
    *files : str
        A directory has to hold one of these.

    Raises
    ------
    EntryError
        For a variable that is not set.
    SourceError
        When the identifier can only be a path, and there is no such directory or file in it.
    """
    try:
        folder = expand(identifier, entry.folder)
    except ValueError as error:
        raise EntryError(str(error)) from None
    if any((folder / file).is_file() for file in files):
        return folder
    if identifier.startswith((".", "/", "~", "$")):
        why = f"holds no {' or '.join(files)}" if folder.is_dir() else "is no directory"
        raise SourceError(f"{brief(identifier)} {why}")
    return None


def card(folder: Path) -> Known:
    """What a model card says of licence, training data and accuracy; nothing without a card."""
    file = folder / CARD
    if not file.is_file():
        return Known()
    from huggingface_hub import ModelCard

    try:
        text = file.read_text(encoding="utf-8")
        data: Any = ModelCard(text, ignore_metadata_errors=True).data
    except Exception:  # noqa: BLE001  a card is prose: what cannot be read says nothing
        return Known()
    datasets = data.get("datasets") or ()
    named = [datasets] if isinstance(datasets, str) else [str(each) for each in datasets]
    accuracy, benchmark = None, ""
    for each in data.eval_results or ():
        if "imagenet" in str(each.dataset_name).lower() and "acc" in str(each.metric_type):
            accuracy = _share(each.metric_value)
            benchmark = f"{each.dataset_name} {each.metric_type}"
            break
    return Known(
        accuracy=accuracy,
        benchmark=benchmark if accuracy is not None else "",
        licence=spdx(str(data.get("license") or "")),
        training_data=", ".join(named),
        origin=f"its model card, {file.name}",
    )


def spdx(licence: str) -> str:
    """The SPDX name of a licence as hubs write it; as it is where there is none.

    Examples
    --------
    >>> [spdx(each) for each in ("apache-2.0", "mit", "cc-by-nc-4.0", "gemma", "other")]
    ['Apache-2.0', 'MIT', 'CC-BY-NC-4.0', 'gemma', '']
    """
    if licence in ("other", "unknown"):
        return ""
    return _SPDX.get(licence, licence.upper() if licence.startswith("cc") else licence)


def _share(value: Any) -> float | None:
    """A share of 1, of a number that may be percent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value / 100 if value > 1 else float(value), 6)

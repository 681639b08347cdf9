"""``timm:``: networks of timm with their weights, from its hub, its caches or a directory."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoorank.errors import SourceError
from zoorank.messages import brief, guess, inert, reason
from zoorank.sources.base import Encoder, Entry, EntryError, Events, Json, Known, OpenOptions
from zoorank.sources.files import SourceFile
from zoorank.sources.hub import cached_checkpoint, checkpoint, find_cached, snapshot
from zoorank.sources.published import (
    CARD,
    Published,
    card,
    find_folder,
    image_pooler,
    is_pattern,
    override,
    own_weights,
    package,
    pin,
    spdx,
    versions,
)
from zoorank.transforms.specs import ImagePreprocessing

if TYPE_CHECKING:
    from torch import nn

    from zoorank.sources.torch.match import Filled

KIND = "timm"
CONFIG = "config.json"

# In this order, as timm itself looks for them.
_FILES = (
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
)

# Parts of timm's tags, and the data that they stand for.
_DATA = {
    "in1k": "ImageNet-1k",
    "in12k": "ImageNet-12k",
    "in21k": "ImageNet-21k",
    "in22k": "ImageNet-22k",
    "laion2b": "LAION-2B",
    "laion400m": "LAION-400M",
    "openai": "OpenAI's WIT-400M",
    "datacompxl": "DataComp-XL",
    "dfn2b": "DFN-2B",
    "dfn5b": "DFN-5B",
    "metaclip_2pt5b": "MetaCLIP-2.5B",
    "metaclip_400m": "MetaCLIP-400M",
    "webli": "WebLI",
    "jft": "JFT-300M",
    "lvd142m": "LVD-142M",
    "lvd1689m": "LVD-1689M",
    "sat493m": "SAT-493M",
    "ig1b": "1 billion images of Instagram",
    "yfcc100m": "YFCC-100M",
    "m30m": "Merged-30M",
    "m38m": "Merged-38M",
    "merged2b": "Merged-2B",
}


_OF_THE_HUB = re.compile(r"^hf[-_]hub:")


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[TimmSource, ...]:
    """Name networks of timm.

    Parameters
    ----------
    identifier : str
        A model of ``timm.list_pretrained()``, a pattern of them, a directory as timm's
        ``save_for_hf`` writes it, or a repository of the hub, ``organisation/name``.
    revision : str or None
        Of the repository of the hub that holds the weights.
    entry : Entry
        Its key ``weights`` names a file instead of the published weights.

    Raises
    ------
    EntryError, ValidationError
        When a pattern fits no model, a path is no such directory, or the entry has other keys.
    """
    own_weights(entry)
    identifier = _OF_THE_HUB.sub("", identifier)  # as timm itself calls a repository of it
    names = [identifier]
    folder = None
    if is_pattern(identifier):
        names = package(KIND, KIND).list_pretrained(identifier)
        if not names:
            raise EntryError(f"timm has no model with weights that fits {identifier!r}")
    else:
        folder = find_folder(identifier, entry, CONFIG)
    suffix = f"@{revision}" if revision else ""
    return tuple(
        TimmSource(
            entry.name or f"{KIND}:{name}{suffix}",
            entry,
            model=name,
            revision=revision,
            folder=folder,
        )
        for name in names
    )


@dataclass(frozen=True)
class TimmSource(Published):
    """A network of timm.

    Attributes
    ----------
    model : str
        As timm names it, a repository of the hub, or a directory as the user named it.
    revision : str or None
        Of its repository.
    folder : Path or None
        With its configuration and weights: a directory, or once resolved a commit of the hub.
    """

    model: str = ""
    revision: str | None = None
    folder: Path | None = None

    def resolve(self, events: Events) -> TimmSource:
        """Find configuration and weights, fetching only what no cache has."""
        package(KIND, KIND)
        own = own_weights(self.entry)
        folder = self.folder
        if folder is None and "/" in self.model:
            folder = snapshot(self.model, self.revision, _choose, _lacks_any, events)
        file: Path | SourceFile | None = own.locate() if own else None
        if file is None:
            file = self._published(events) if folder is None else folder / _first(folder)
        described = [folder / CONFIG] if folder else []
        return replace(self, folder=folder, weights=pin([file], self.entry), beside=pin(described))

    def _published(self, events: Events) -> Path:
        """The file of the weights of a model that timm lists."""
        config = _listed(self.model)
        if config.hf_hub_id:
            names = [config.hf_hub_filename] if config.hf_hub_filename else list(_FILES[:2])
            cached = find_cached(config.hf_hub_id, self.revision)
            found = cached_checkpoint(config.url) if config.url and not self.revision else None
            if found and not (cached and any((cached / name).is_file() for name in names)):
                return found
            wanted = _Names(tuple(names))
            folder = snapshot(config.hf_hub_id, self.revision, wanted, wanted.lacks, events)
            return next(folder / name for name in names if (folder / name).is_file())
        if config.url:
            return checkpoint(config.url, events)
        raise SourceError(f"timm has no weights for {self.model!r}")

    def identity(self) -> Mapping[str, Json]:
        """Network, weights, preprocessing and the versions of torch and timm."""
        return {
            "kind": KIND,
            "model": self._described().architecture,
            **self.digests(),
            "preprocessing": self.preprocessing.model_dump(mode="json"),
            **versions("torch", "timm"),
        }

    def published(self) -> Known:
        """Licence and training data as timm says them, and accuracy as its notes print it."""
        if self.folder is not None:
            said = card(self.folder)
            return replace(said, licence=said.licence or spdx(self._described().license or ""))
        if own_weights(self.entry):
            return Known()
        config = _listed(self.model)
        top1, origin = _accuracy(self.model, config)
        return Known(
            accuracy=top1,
            benchmark="" if top1 is None else "ImageNet-1k top-1",
            licence=spdx(config.license or ""),
            training_data=training_data(config.tag or ""),
            origin=origin or f"timm {versions('timm')['timm']}",
        )

    @property
    def preprocessing(self) -> ImagePreprocessing:
        """What timm evaluates the weights with, and what the manifest says over it."""
        return override(describe(self._described()), self.entry)

    def _described(self) -> Any:
        return _listed(self.model) if self.folder is None else _read(self.folder)[0]

    def open(self, options: OpenOptions) -> Encoder:
        """Build the network and load its weights."""
        from zoorank.sources.torch.encoder import TorchEncoder
        from zoorank.transforms.image import ImageTransform

        source = self if self.weights else self.resolve(lambda _: None)
        source.check_modality(options)
        module, filled = source.build()
        return TorchEncoder(
            module,
            ImageTransform(source.preprocessing),
            options,
            pooler=image_pooler(self.entry),
            fresh=filled.fresh,
            notes=filled.notes,
        )

    def build(self) -> tuple[nn.Module, Filled]:
        """The network with its weights, and which parameters these do not hold."""
        from zoorank.sources.torch.timm_weights import load

        (file,) = self.weights
        arguments = {} if self.folder is None else _read(self.folder)[1]
        is_own = own_weights(self.entry) is not None
        module: Any
        module, filled = load(self._described(), file, arguments, is_own=is_own)
        self.check_files()
        module.pretrained_cfg = module.default_cfg = {}  # which may hold the weights once more
        network: nn.Module = module.eval().requires_grad_(False)
        return network, filled


def describe(config: Any) -> ImagePreprocessing:
    """Turn a ``pretrained_cfg`` of timm into a specification.

    Parameters
    ----------
    config : timm.models.PretrainedCfg

    Raises
    ------
    SourceError
        When the network takes other channels than grey or colours, or images are padded.
    """
    channels, *size = config.input_size
    if channels not in (1, 3):
        raise SourceError(f"it takes {brief(channels)} channels; images have 1 or 3")
    if config.crop_mode not in ("center", "squash"):
        mode = inert(config.crop_mode, 200)
        raise SourceError(f"its images are cropped in a way that is not known: {mode}")
    if config.crop_pct > 1:
        raise SourceError(
            f"its images are padded, to {config.crop_pct:g} times what they are resized to; say "
            "preprocessing without crop_pct in a manifest"
        )
    before: dict[str, Any] = {"crop_pct": config.crop_pct}
    if config.crop_mode == "squash":
        before = {"resize": [int(side / config.crop_pct) for side in size]}
    interpolation = config.interpolation
    return ImagePreprocessing(
        size=tuple(size),
        fit="crop",
        **before,
        interpolation="bilinear" if interpolation == "random" else interpolation,
        channels=channels,
        mean=tuple(config.mean),
        std=tuple(config.std),
    )


def training_data(tag: str) -> str:
    """Say which data a tag of timm stands for.

    Examples
    --------
    >>> training_data("laion2b_ft_in12k_in1k")
    'LAION-2B, then ImageNet-12k, then ImageNet-1k'
    """
    found = re.findall("|".join(sorted(_DATA, key=len, reverse=True)), tag)
    return ", then ".join(dict.fromkeys(_DATA[each] for each in found))


@dataclass(frozen=True)
class _Names:
    """The first of some files of a repository, and its card."""

    names: tuple[str, ...]

    def __call__(self, files: Sequence[str]) -> Iterator[str]:
        yield from [name for name in self.names if name in files][:1]
        yield from [name for name in (CONFIG, CARD) if name in files]

    def lacks(self, folder: Path) -> str:
        there = any((folder / name).is_file() for name in self.names)
        return "" if there else " or ".join(self.names)


_choose = _Names(_FILES)


def _lacks_any(folder: Path) -> str:
    return _choose.lacks(folder) if (folder / CONFIG).is_file() else CONFIG


def _first(folder: Path) -> str:
    for name in _FILES:
        if (folder / name).is_file():
            return name
    raise SourceError(f"{folder} holds no weights; looked for {', '.join(_FILES[:4])}")


def _listed(model: str) -> Any:
    """The configuration of a model that timm lists."""
    timm = package(KIND, KIND)
    try:
        config = timm.models.get_pretrained_cfg(model)
    except RuntimeError:  # it has the architecture, but not with this tag
        config = None
    if config is None:
        names = timm.list_pretrained()
        near = guess(model, names).strip() or "see timm.list_pretrained()"
        raise SourceError(f"timm has no model {model!r}; {near}")
    if not config.has_weights:
        raise SourceError(f"timm has no weights for {model!r}")
    return config


def _read(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The configuration in a folder, and the arguments that rebuild its network."""
    timm = package(KIND, KIND)
    try:
        hub = package("timm.models._hub", KIND)
        fields, architecture, arguments = hub.load_model_config_from_path(folder)
        known = timm.models.PretrainedCfg.__dataclass_fields__
        config = timm.models.PretrainedCfg(**{k: fields[k] for k in fields if k in known})
        config = replace(config, architecture=architecture)
        is_known, arguments = timm.is_model(architecture), dict(arguments or {})
    except Exception as error:  # it takes every value as it stands: anything may come
        raise SourceError(f"{folder / CONFIG} is none of timm's: {reason(error)}") from error
    if not is_known:
        raise SourceError(
            f"{folder / CONFIG} names {brief(architecture)}, which timm does not have"
        )
    return config, arguments


@cache
def _table() -> dict[str, tuple[float, str]]:
    """Accuracies that timm's release notes print, which come with its wheels, and where."""
    with Path(__file__).with_name("timm_top1.csv").open(encoding="utf-8", newline="") as stream:
        return {
            row["model"]: (
                round(float(row["top1"]) / 100, 6),
                f"timm's release notes of {row['date']}, in timm {row['release']}",
            )
            for row in csv.DictReader(stream)
        }


def _accuracy(model: str, config: Any) -> tuple[float | None, str]:
    """ImageNet top-1 of a listed model: timm's own notes, else torchvision for its weights."""
    name = f"{config.architecture}.{config.tag}" if config.tag else model
    if name in _table():
        return _table()[name]
    if config.url and "download.pytorch.org/models" in str(config.url):
        from zoorank.sources.torchvision import published_top1

        return published_top1(str(config.url))
    return None, ""

"""``torchvision:``: networks of torchvision with the weights that it lists for them."""

from __future__ import annotations

import fnmatch
import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoorank.errors import SourceError
from zoorank.messages import hint, one_line
from zoorank.sources.base import Encoder, Entry, EntryError, Events, Json, Known, OpenOptions
from zoorank.sources.files import SourceFile
from zoorank.sources.hub import checkpoint
from zoorank.sources.published import (
    Published,
    image_pooler,
    is_pattern,
    override,
    own_weights,
    package,
    pin,
    versions,
)
from zoorank.transforms.specs import ImagePreprocessing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoorank.sources.torch.checkpoint import Checkpoint
    from zoorank.sources.torch.match import Filled

KIND = "torchvision"

# Where networks that take one image are defined; those for detection, video and optical flow take
# something else, and the quantised ones are.
_MODULES = ("torchvision.models", "torchvision.models.segmentation")

_DATA = {
    "IMAGENET1K": "ImageNet-1k",
    "COCO_WITH_VOC_LABELS": "COCO with the labels of Pascal VOC",
}


def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[TorchvisionSource, ...]:
    """Name networks of torchvision.

    Parameters
    ----------
    identifier : str
        A name of ``torchvision.models.list_models()``, or a pattern of such names.
    revision : str or None
        A name of its weights, such as ``IMAGENET1K_V2``; None for the default ones.
    entry : Entry
        Its key ``weights`` names a file instead of the weights that torchvision lists.

    Raises
    ------
    EntryError, ValidationError
        When a pattern fits no network, or the entry has other keys.
    """
    own_weights(entry)
    names = _matching(identifier, revision) if is_pattern(identifier) else [identifier]
    suffix = f"@{revision}" if revision else ""
    return tuple(
        TorchvisionSource(
            entry.name or f"{KIND}:{name}{suffix}", entry, model=name, member=revision
        )
        for name in names
    )


@dataclass(frozen=True)
class TorchvisionSource(Published):
    """A network of torchvision.

    Attributes
    ----------
    model : str
        Its name in torchvision.
    member : str or None
        The name of its weights, or once resolved of those that describe its file; None for
        the default ones.
    """

    model: str = ""
    member: str | None = None

    def resolve(self, events: Events) -> TorchvisionSource:
        """Find the file of the weights, fetching it only when no cache has it."""
        own = own_weights(self.entry)
        file = own.locate() if own else None
        member = _member(self.model, self.member, file)
        weights = pin([file or checkpoint(member.url, events)], self.entry)
        return replace(self, member=member.name, weights=weights)

    def identity(self) -> Mapping[str, Json]:
        """Network, weights, preprocessing and the versions of torch and torchvision."""
        return {
            "kind": KIND,
            "model": self.model,
            **self.digests(),
            "preprocessing": self.preprocessing.model_dump(mode="json"),
            **versions("torch", "torchvision"),
        }

    @property
    def preprocessing(self) -> ImagePreprocessing:
        """The preset of the weights, with what the manifest says over it."""
        return override(describe(_member(self.model, self.member).transforms()), self.entry)

    def published(self) -> Known:
        """What torchvision says of these weights, if the file is theirs."""
        member = _member(self.model, self.member)
        if own_weights(self.entry) and not self._is_published(member.url):
            return Known()
        top1, origin = _top1(member)
        trained = next((said for name, said in _DATA.items() if name in member.name), "")
        if "SWAG" in member.name:
            trained = f"images of Instagram with hashtags, then {trained}"
        return Known(
            accuracy=top1,
            benchmark="" if top1 is None else "ImageNet-1k top-1",
            licence=member.meta.get("license", "BSD-3-Clause"),
            training_data=trained,
            origin=origin,
        )

    def _is_published(self, url: str) -> bool:
        """Whether the file is that of an address, whose name ends with its digest's beginning."""
        start = Path(url).stem.rpartition("-")[2]
        return any(each.sha256.startswith(start) for each in self.weights) and len(start) >= 8

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
        """The network with its weights, and what a file of the user's does not hold.

        Raises
        ------
        SourceError
            When the file cannot be read safely, or does not fit the network.
        """
        from zoorank.sources.torch.checkpoint import read_checkpoint
        from zoorank.sources.torch.match import Filled, fill

        (file,) = self.weights
        member = _member(self.model, self.member)
        builder = package("torchvision.models", KIND).get_model_builder(self.model)
        held = read_checkpoint(file)
        weights, classes, filled = held.tensors, None, Filled({}, ())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of initial values, which the weights replace
                if own_weights(self.entry):
                    classes = _classes(builder, held)
                    bare: nn.Module = builder(**_without_weights(builder, classes))
                    filled, weights = fill(bare, held), bare.state_dict()
                with _given(member, weights, classes):
                    module: nn.Module = builder(weights=member)
        except (RuntimeError, ValueError, TypeError) as error:
            what = f"{file.path.name} does not fit {self.model}"
            raise SourceError(f"{what}: {one_line(error)}") from error
        return module.eval().requires_grad_(False), filled


def describe(preset: Any) -> ImagePreprocessing:
    """Turn a preset of torchvision's transforms into a specification.

    Parameters
    ----------
    preset : ImageClassification or SemanticSegmentation
        What the ``transforms()`` of some weights returns.

    Raises
    ------
    SourceError
        When it does not prepare single images.
    """
    kind = type(preset).__name__
    if kind not in ("ImageClassification", "SemanticSegmentation"):
        raise SourceError(f"its transforms are those for {kind}, not for single images")
    resize = int(preset.resize_size[0])
    # Masks need no crop, but batches need images of one size.
    crop = int(preset.crop_size[0]) if kind == "ImageClassification" else resize
    return ImagePreprocessing(
        size=(crop, crop),
        resize=resize,
        fit="crop",
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def published_top1(url: str) -> tuple[float | None, str]:
    """ImageNet top-1, 0 to 1, of the weights at an address of torchvision's, and who says so."""
    models = package("torchvision.models", KIND)
    for name in models.list_models(models):
        for member in models.get_model_weights(name):
            if member.url == url:
                return _top1(member)
    return None, ""


def _top1(member: Any) -> tuple[float | None, str]:
    percent = member.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    origin = f"torchvision {versions('torchvision')['torchvision']}, {member!r}"
    return (None if percent is None else round(percent / 100, 6)), origin


def _names() -> list[str]:
    """Networks that take one image."""
    models = package("torchvision.models", KIND)
    return [
        name
        for name in models.list_models()
        if models.get_model_builder(name).__module__.rpartition(".")[0] in _MODULES
    ]


def _matching(pattern: str, weights: str | None) -> list[str]:
    models = package("torchvision.models", KIND)
    fitting = fnmatch.filter(_names(), pattern)
    members = {name: models.get_model_weights(name).__members__ for name in fitting}
    names = [name for name in fitting if (weights in members[name] if weights else members[name])]
    if not names:
        wanted = f" with weights {weights!r}" if weights else ""
        raise EntryError(f"torchvision has no network {pattern!r}{wanted}")
    return names


def _member(model: str, weights: str | None, file: SourceFile | None = None) -> Any:
    """An entry of torchvision's enumeration: by its name, by its file, else the default one."""
    names = _names()
    if model not in names:
        raise SourceError(f"torchvision has no network {model!r} for images; {hint(model, names)}")
    members = package("torchvision.models", KIND).get_model_weights(model)
    if weights in members.__members__:
        return members[weights]
    if weights is not None:
        near = hint(weights, members.__members__)
        raise SourceError(f"{model} has no weights {weights!r}; {near}")
    for each in members:
        if file is not None and Path(each.url).name == file.path.name:
            return each
    default = getattr(members, "DEFAULT", None) or next(iter(members), None)
    if default is None:
        raise SourceError(f"torchvision has no weights for {model!r}")
    return default


def _classes(builder: Any, held: Checkpoint) -> int | None:
    """How many classes a file's head has, where they are not as many as the network's own."""
    import torch

    with torch.device("meta"):
        own = builder(**_without_weights(builder)).state_dict()
    lengths = {
        length
        for name, value in own.items()
        if value.ndim and (length := held.length(name)) not in (None, len(value))
    }
    return lengths.pop() if len(lengths) == 1 else None


def _without_weights(builder: Any, classes: int | None = None) -> dict[str, Any]:
    """Arguments of a builder that fetches nothing."""
    taken = inspect.signature(builder).parameters
    arguments: dict[str, Any] = {"weights": None}
    if "weights_backbone" in taken:  # which would be fetched
        arguments["weights_backbone"] = None
    if classes is not None:
        arguments["num_classes"] = classes
    return arguments


@contextmanager
def _given(member: Any, weights: Mapping[str, Tensor], classes: int | None) -> Iterator[None]:
    """Let an entry of an enumeration hand out weights that are already read, and safely.

    The builder itself knows which switches of its network go with trained weights, and takes
    the number of classes from the entry.
    """
    members, meta = type(member), dict(member.meta)
    members.get_state_dict = lambda *_args, **_options: dict(weights)
    if classes is not None:
        member.meta["categories"] = [""] * classes
    try:
        yield
    finally:
        del members.get_state_dict
        member.meta.update(meta)

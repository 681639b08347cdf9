"""Networks of torch, built by a factory, as sources.

Nothing here imports torch before a source is opened, or asked what it depends on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
)

from zoorank.errors import SourceError
from zoorank.frozen import Frozen, custom, explain
from zoorank.messages import brief, hint
from zoorank.sources.base import (
    Encoder,
    Events,
    Json,
    Known,
    OpenOptions,
    Trust,
    lacking,
)
from zoorank.sources.files import Pin, size_of
from zoorank.sources.specs import Cuts, DataName, Name, Sha256
from zoorank.sources.weights import FILES, StateDict, WeightsSource
from zoorank.targets.base import Modality
from zoorank.transforms import transform_of
from zoorank.transforms.specs import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from zoorank.sources.torch.checkpoint import Checkpoint
    from zoorank.sources.torch.cuts import AxisPooling


def _module_and_name(factory: str) -> str:
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*|\w+(\.\w+)+", factory):
        raise custom("must read 'module:function' or 'module.Class'")
    return factory


FactoryName = Annotated[str, AfterValidator(_module_and_name)]


class RandomWeights(WeightsSource):
    """``weights.random = {seed = 0}``: what the architecture alone is worth.

    Attributes
    ----------
    seed : int
    calibrate : bool
        Measure the statistics of batch normalization on the target. As a network is
        built they are 0 and 1, with which the signal of a deep one dies on its way: a
        control that compares nothing.
    """

    seed: int = 0
    calibrate: bool = False

    def locate(self) -> None:
        """Return None: there is no file."""
        return

    @property
    def init_seed(self) -> int:
        """The seed the manifest asks for."""
        return self.seed

    @property
    def calibrates(self) -> bool:
        """Whether the manifest asks for it."""
        return self.calibrate


SOURCES: MappingProxyType[str, type[WeightsSource]] = MappingProxyType(
    {**FILES, "random": RandomWeights}
)


def _exactly_one(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, WeightsSource):
        return value
    kinds = list(value) if isinstance(value, dict) else []
    for kind in kinds:
        if kind not in SOURCES:
            raise custom(f"unknown source of weights {brief(kind)}; {hint(str(kind), SOURCES)}")
    if len(kinds) != 1:
        raise custom(f"needs exactly one of {', '.join(SOURCES)}")
    try:
        return SOURCES[kinds[0]].model_validate(value[kinds[0]], context=info.context)
    except ValidationError as error:
        inner, message = explain(error)
        raise custom(f"{'.'.join(map(str, (kinds[0], *inner)))}: {message}") from None


Weights = Annotated[SerializeAsAny[WeightsSource], BeforeValidator(_exactly_one)]


class NetworkEntry(Frozen):
    """Keys that a network of torch and a family of them have in common."""

    factory: FactoryName
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    arguments_from_weights: Mapping[str, str] = Field(default_factory=dict)
    state_dict: StateDict = StateDict()
    preprocessing: Preprocessing
    cuts: Cuts | None = None
    trained_on: DataName | None = None
    licence: Name | None = None


class ModelEntry(NetworkEntry):
    """One ``[[model]]`` of a manifest that names a factory of torch.

    Attributes
    ----------
    name : str
        Unique in its zoo.
    factory : str
        ``module:function`` or ``module.Class`` that builds the network.
    arguments : dict
        Keyword arguments of the factory.
    arguments_from_weights : dict of str to str
        More of them, each the length of a tensor in the weights file: where the files of
        a family differ in their number of classes, ``{n_classes = "head.bias"}``.
    weights : WeightsSource
        Exactly one of ``file``, ``package`` and ``random``.
    sha256 : str or None
        Expected digest of the weights file, checked before it is read.
    state_dict : StateDict
        Where in the checkpoint the weights are.
    preprocessing : Preprocessing
        What to do to the target before the network sees it.
    cuts : tuple of str or None
        Where to cut; None leaves it to the zoo or the command.
    trained_on : str or None
        The labelled data that the weights were trained on, a path or a name as for the
        target; some scores compare the target with them.
    licence : str or None
        Of the weights, by its SPDX name where there is one.
    """

    name: Name
    weights: Weights
    sha256: Sha256 | None = None


class FamilyEntry(NetworkEntry):
    """One ``[[family]]`` of a manifest: the same network with many weights files.

    Attributes
    ----------
    files : str
        Pattern of the weights files, relative to the manifest; each is a model.
    name : str
        The model's name; ``{stem}`` stands for the file's, here and in ``trained_on``.
    """

    files: Name
    name: Annotated[str, Field(pattern=r"\{stem\}")] = "{stem}"


@dataclass(frozen=True)
class Loaded:
    """A network with its weights.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode, on the CPU, without gradients.
    fresh : mapping of str to str
        Names of what the checkpoint does not hold, and what to say of each.
    notes : tuple of str
        What was found.
    """

    module: nn.Module
    fresh: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class TorchSource(ModelEntry):
    """A network of torch, built by a factory.

    Attributes
    ----------
    trust : Trust
        Directories and packages, beside those that zoorank knows, that the factory may come
        from. A manifest cannot say this, only the person who loads it.
    pinned : Pin or None
        Its weights, once it is resolved.
    """

    trust: Trust = Trust()
    pinned: Pin | None = None

    @property
    def modalities(self) -> frozenset[Modality]:
        """What its preprocessing takes in."""
        return frozenset({self.preprocessing.input})

    def refusal(self) -> str:
        """Why its code may not be run; empty where it may."""
        from zoorank.sources.trust import admit

        try:
            admit(self.factory, self.trust)
        except SourceError as error:
            return str(error)
        return ""

    def resolve(self, _events: Events) -> TorchSource:
        """Hash its weights, so that what is loaded later is what was hashed."""
        return self.model_copy(update={"pinned": self.pin()})

    def pin(self) -> Pin | None:
        """Its file of weights with the digest; None for random ones.

        Raises
        ------
        SourceError
            When there is no such file, or it has not the digest expected.
        """
        if self.pinned is not None:
            return self.pinned
        file = self.weights.locate()
        if file is not None:
            return file.pin(self.sha256)
        if self.sha256 is not None:
            raise SourceError("sha256 is given, but random weights have no file")
        return None

    def identity(self) -> Mapping[str, Json]:
        """Factory, its code and arguments, weights, preprocessing and the version of torch."""
        try:
            import torch

            from zoorank.sources.torch.factory import fingerprint_imported
        except ModuleNotFoundError as error:
            raise lacking("zoo", error) from error
        file = self.pin()
        return {
            "factory": self.factory,
            "arguments": {**self.arguments, "from weights": dict(self.arguments_from_weights)},
            "code": fingerprint_imported(self),
            # Of a type of torch's own, which would load torch in every process that reads it.
            "torch": str(torch.__version__),
            "weights": self.weights.model_dump(mode="json") if file is None else file.sha256,
            "state_dict": self.state_dict.model_dump(mode="json"),
            "preprocessing": self.preprocessing.model_dump(mode="json"),
        }

    def size(self) -> int | None:
        """Bytes of its file of weights; None for random ones."""
        try:
            file = self.weights.locate()
        except SourceError:
            return None
        return None if file is None else size_of(file.path)

    def known(self) -> Known:
        """What the manifest says: nobody publishes anything about a factory."""
        return Known(licence=self.licence or "")

    def open(self, options: OpenOptions) -> Encoder:
        """Build the network and load its weights."""
        try:
            from zoorank.sources.torch.encoder import TorchEncoder
        except ModuleNotFoundError as error:
            raise lacking("zoo", error) from error
        transform = transform_of(self.preprocessing)
        loaded = load(self)
        return TorchEncoder(
            loaded.module,
            transform,
            options,
            pooler=axis_pooling(self.preprocessing),
            fresh=loaded.fresh,
            notes=loaded.notes,
            calibrates=self.weights.calibrates,
        )


def load(source: TorchSource) -> Loaded:
    """Build the network of a source and load its weights.

    Weights are read as safetensors, or by ``torch.load(weights_only=True)``; there is no
    other way in.

    Parameters
    ----------
    source : TorchSource

    Raises
    ------
    SourceError
        When the factory, the file or its digest is wrong, or the file holds nothing of the
        network.
    """
    from zoorank.sources.torch.factory import build

    file, seed = source.pin(), source.weights.init_seed
    if file is None:
        module = build(source, {**source.arguments, **_lengths(source, None)}, seed)
        return Loaded(module.eval().requires_grad_(False))
    from zoorank.sources.torch.checkpoint import read_checkpoint
    from zoorank.sources.torch.match import fill

    checkpoint = read_checkpoint(file, source.state_dict)
    module = build(source, {**source.arguments, **_lengths(source, checkpoint)}, seed)
    filled = fill(module, checkpoint)
    return Loaded(module.eval().requires_grad_(False), filled.fresh, filled.notes)


def _lengths(source: TorchSource, checkpoint: Checkpoint | None) -> dict[str, int]:
    """Arguments that are the lengths of tensors in the file."""
    lengths = {}
    for argument, name in source.arguments_from_weights.items():
        length = None if checkpoint is None else checkpoint.length(name)
        if length is None:
            near = hint(name, checkpoint.tensors) if checkpoint else "random weights have no file"
            raise SourceError(f"argument {argument!r} needs the tensor {name!r}; {near}")
        lengths[argument] = length
    return lengths


def axis_pooling(preprocessing: Preprocessing) -> AxisPooling:
    """Pool as a preprocessing says."""
    from zoorank.sources.torch.cuts import AxisPooling

    pooling: Any = preprocessing.pooling  # that of texts, which no factory is fed, is another
    return AxisPooling(
        pooling,
        "pooling" in preprocessing.model_fields_set,
        getattr(preprocessing, "batch_first", None),
        getattr(preprocessing, "layout", ""),
    )

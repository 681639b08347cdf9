"""From a reference such as ``"timm:resnet18.a1_in1k"`` to the sources it names.

A kind of source is one function::

    def sources(identifier: str, revision: str | None, entry: Entry) -> tuple[Source, ...]

It reads nothing big and loads no model; a pattern gives several sources. What is wrong with
the entry it says by `EntryError`, or by pydantic's ``ValidationError`` of ``entry.settings``.
A source that cannot be had, for want of a package or for any other reason, is one that
cannot be opened: the others are ranked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, cast, get_args

from pydantic import ValidationError

from zoorank.errors import SourceError, UsageError
from zoorank.frozen import explain
from zoorank.messages import brief, hint, missing_package, one_line
from zoorank.sources.base import (
    Encoder,
    Entry,
    EntryError,
    Events,
    Json,
    Known,
    OpenOptions,
    Source,
)
from zoorank.targets.base import Modality

GROUP = "zoorank.sources"
Sources = Callable[[str, "str | None", Entry], Iterable[Source]]

_REFERENCE = re.compile(r"(?P<kind>[A-Za-z][\w-]+):(?P<rest>.*)", re.DOTALL)
_REVISION = re.compile(r"(?P<before>[^@#]+)@(?P<revision>[^@#]+)(?P<tower>#.*)?")
_LOCAL = (".", "/", "~", "$")
_MODULE = "torch.nn.modules.module.Module"


class Kind(NamedTuple):
    """Where the function of a kind is, and what it needs.

    Attributes
    ----------
    function : str
        ``module:function``, imported when a reference of this kind is read.
    extra : str
        Of this project, which installs the packages that the kind stands on.
    revisions : bool
        Whether ``@`` starts a revision.
    """

    function: str
    extra: str
    revisions: bool = False


KINDS = MappingProxyType(
    {
        "torchvision": Kind("zoorank.sources.torchvision:sources", "torchvision", True),
        "timm": Kind("zoorank.sources.timm:sources", "timm", True),
        "hf": Kind("zoorank.sources.huggingface:sources", "huggingface", True),
        "st": Kind("zoorank.sources.sentence_transformers:sources", "sentence-transformers", True),
        "keras": Kind("zoorank.sources.keras:sources", "keras"),
        "onnx": Kind("zoorank.sources.onnx:sources", "onnx"),
        "exported": Kind("zoorank.sources.exported:sources", "zoo"),
        "vectors": Kind("zoorank.sources.vectors:sources", "vectors"),
        "torch": Kind("zoorank.sources.torch:sources", "zoo"),
    }
)


@dataclass(frozen=True)
class Reference:
    """The parts of a reference.

    Attributes
    ----------
    text : str
        The whole of it.
    kind : str
        Before the colon.
    identifier : str
        What the kind knows a model by.
    revision : str or None
        After ``@``, of a kind that has revisions.
    cut : str or None
        After ``::``.
    """

    text: str
    kind: str
    identifier: str
    revision: str | None = None
    cut: str | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether it may name several models."""
        return any(sign in self.identifier for sign in "*?")


def looks_like_reference(text: str) -> bool:
    """Whether a text begins with what can be a kind of source, and a colon.

    Examples
    --------
    >>> [looks_like_reference(text) for text in ("onnx:a.onnx", "zoo.toml:a", "C:/zoo.toml")]
    [True, False, False]
    """
    return _REFERENCE.fullmatch(text) is not None


def is_known_kind(kind: str) -> bool:
    """Whether zoorank or an installed package has this kind of source."""
    return kind in KINDS or _plugin(kind) is not None


def parse_reference(text: str) -> Reference:
    """Split a reference into its parts.

    Raises
    ------
    EntryError
        When it is none.

    Examples
    --------
    >>> found = parse_reference("timm:resnet18.a1_in1k::layer3")
    >>> found.kind, found.identifier, found.cut
    ('timm', 'resnet18.a1_in1k', 'layer3')
    >>> parse_reference("hf:org/name@v2#text").revision
    'v2'
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        form = "KIND:NAME, such as timm:resnet18.a1_in1k"
        raise EntryError(f"{brief(text)} is no reference of the form {form}; {_allowed('')}")
    kind = match["kind"]
    if not is_known_kind(kind):
        raise EntryError(f"unknown kind of source {brief(kind)}; {_allowed(kind)}")
    # At the first: a cut of an ONNX file may itself hold "::".
    identifier, separator, cut = match["rest"].partition("::")
    revision = None
    has_revisions = kind not in KINDS or KINDS[kind].revisions
    if has_revisions and not identifier.startswith(_LOCAL):
        parts = _REVISION.fullmatch(identifier)
        if parts is not None:
            identifier, revision = parts["before"] + (parts["tower"] or ""), parts["revision"]
    if not identifier.strip() or (separator and not cut):
        missing = "a cut after '::'" if identifier.strip() else f"a model after '{kind}:'"
        raise EntryError(f"{brief(text)} lacks {missing}")
    return Reference(text, kind, identifier, revision, cut or None)


def sources_of(reference: Any, entry: Entry | None = None) -> tuple[Source, ...]:
    """Give the sources that something stands for.

    Parameters
    ----------
    reference : str, Source, torch.nn.Module, or (torch.nn.Module, transform)
        A reference; a pattern stands for several sources.
    entry : Entry or None
        What is to be said beside it.

    Returns
    -------
    tuple of Source
        At least one. A source that cannot be had raises when it is opened.

    Raises
    ------
    UsageError
        When the reference, or the entry, is wrong.

    Examples
    --------
    >>> from zoorank.sources.base import Entry
    >>> (source,) = sources_of("vectors:glove.txt::vectors", Entry(name="GloVe"))
    >>> source.name, source.cuts
    ('GloVe', ('vectors',))
    """
    entry = entry or Entry()
    if isinstance(reference, str):
        try:
            return build(parse_reference(reference), entry)
        except EntryError as error:
            text = str(error) if error.key == "source" else f"{error.key}: {error}"
            raise UsageError(f"{brief(reference)}: {text}") from None
        except ValidationError as error:
            key, message = explain(error)
            place = ": ".join([brief(reference), *([".".join(map(str, key))] if key else [])])
            raise UsageError(f"{place}: {message}") from None
    if _is_source(reference):
        return (cast("Source", reference),)
    if is_pair(reference) or _is_module(reference):
        return (import_module("zoorank.sources.torch").source_of_module(reference, entry),)
    allowed = "a reference, a source, a torch.nn.Module, or one with a transform"
    raise UsageError(f"a source of type {type(reference).__name__}; allowed: {allowed}")


def is_pair(value: object) -> bool:
    """Whether it is a ``torch.nn.Module`` with its transform, which is one source."""
    return isinstance(value, tuple) and len(value) == 2 and _is_module(value[0])


def source_of(reference: Any, entry: Entry | None = None) -> Source:
    """Give the one source that something stands for, as `sources_of` does for several.

    Raises
    ------
    UsageError
        Also for a pattern that stands for several.
    """
    found = sources_of(reference, entry)
    if len(found) > 1:
        raise UsageError(f"{brief(reference)} stands for {len(found)} models; name one of them")
    return found[0]


def build(reference: Reference, entry: Entry) -> tuple[Source, ...]:
    """Give the sources of a reference with the entry that belongs to it.

    Raises
    ------
    EntryError, ValidationError
        When the entry is wrong.
    """
    named = entry.name is not None
    if reference.cut is not None:
        if entry.cuts is not None:
            raise EntryError(f"the reference itself names the cut {reference.cut!r}", "cuts")
        entry = replace(entry, cuts=(reference.cut,))
    if not named and not reference.is_pattern:
        entry = replace(entry, name=reference.text)
    try:
        found = tuple(_function(reference.kind)(reference.identifier, reference.revision, entry))
    except (EntryError, ValidationError):
        raise
    except Exception as error:  # noqa: BLE001  one source can only fail itself
        reason = _reason(reference, error)
        said = entry.cuts, entry.trained_on, entry.licence
        return (Unavailable(entry.name or reference.text, reason, *said),)
    for each in found:
        if not _is_source(each):
            raise EntryError(f"kind {reference.kind!r} gave a {type(each).__name__}, no source")
    if not found:
        raise EntryError(f"{brief(reference.text)} names no model")
    if named and len(found) > 1:
        raise EntryError(f"is one name for {len(found)} models; leave it out", "name")
    return found


@dataclass(frozen=True)
class Unavailable:
    """A source that cannot be had, and why; it fails where others are opened."""

    name: str
    reason: str
    cuts: tuple[str, ...] | None = None
    trained_on: str | None = None
    licence: str | None = None
    modalities: frozenset[Modality] = frozenset(get_args(Modality))

    def resolve(self, _events: Events) -> Unavailable:
        """Refuse."""
        self._refuse()

    def identity(self) -> Mapping[str, Json]:
        """Refuse."""
        self._refuse()

    def known(self) -> Known:
        """What the manifest says."""
        return Known(licence=self.licence or "")

    def open(self, _options: OpenOptions) -> Encoder:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise SourceError(self.reason)


def _reason(reference: Reference, error: Exception) -> str:
    """One line for what a kind raises."""
    if isinstance(error, SourceError | UsageError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        extra = KINDS[reference.kind].extra if reference.kind in KINDS else None
        return missing_package(error, extra) or "a package that it needs is not installed"
    return f"kind {reference.kind!r} failed: {type(error).__name__}: {one_line(error)}"


def _function(kind: str) -> Sources:
    if kind in KINDS:
        module, _, name = KINDS[kind].function.partition(":")
        return cast("Sources", getattr(import_module(module), name))
    point = _plugin(kind)
    if point is None:
        raise EntryError(f"unknown kind of source {kind!r}; {_allowed(kind)}")
    function = point.load()
    if not callable(function):
        raise SourceError(f"kind {kind!r}: {point.value} is not a function but {brief(function)}")
    return cast("Sources", function)


def _plugin(kind: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=kind)), None)


def _allowed(kind: str) -> str:
    plugins = sorted({point.name for point in entry_points(group=GROUP)})
    return hint(kind, [*KINDS, *plugins])


def _is_source(value: object) -> bool:
    names = ("name", "modalities", "cuts", "trained_on", "resolve", "identity", "known", "open")
    return not isinstance(value, type) and all(hasattr(value, name) for name in names)


def _is_module(value: object) -> bool:
    # Of a module torch is loaded already; of anything else it need not be.
    return _MODULE in (f"{each.__module__}.{each.__qualname__}" for each in type(value).__mro__)

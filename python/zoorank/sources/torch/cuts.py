"""Where a network can be cut, and what each cut keeps.

Architectures agree on little but this: blocks that repeat are the entries of a
``ModuleList`` or a ``Sequential``, each made of several layers. EfficientNet's
``_blocks``, torchvision's ``layer1``, timm's ``blocks`` and Hugging Face's
``encoder.layer`` all read so; networks without any, such as a plain stack of layers,
are cut before each layer that has weights.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from zoorank.errors import UsageError
from zoorank.messages import guess, listing
from zoorank.sources.base import ALL, LOGITS, PENULTIMATE, Cut, Refusal
from zoorank.sources.torch.heads import Head, find_head
from zoorank.sources.torch.pooling import Axes, Pooler
from zoorank.sources.torch.traces import Call, Place, Seen, Trace
from zoorank.transforms.base import Batch

# A loop over time runs its block as often as there are steps; a network that shares one block
# between its layers, some dozens of times.
_MOST_CALLS = 64
_CALL = re.compile(r"(?P<module>.+)@(?P<call>[1-9]\d*)")
_SHOWN = 3


@dataclass(frozen=True)
class ModuleCut(Cut):
    """A cut at one end of one call of a module.

    Attributes
    ----------
    place : Place
    axes : Axes
        How the axes of its output are laid out.
    """

    place: Place
    axes: Axes


@dataclass(frozen=True)
class Anatomy:
    """A network whose pass was recorded, and what is known of it beside.

    Attributes
    ----------
    model : nn.Module
    record : Trace
    batch : Batch
        That it was fed.
    pooler : Pooler
        What its outputs will be pooled by.
    aliases : mapping of str to Place or str
        Further names of cuts, or why there is no such place.
    fresh : mapping of str to str
        Parameters and buffers that the checkpoint does not hold, and what to say of each.
    """

    model: nn.Module
    record: Trace
    batch: Batch
    pooler: Pooler
    aliases: Mapping[str, Place | str]
    fresh: Mapping[str, str]

    def cuts(self, wanted: Sequence[str]) -> tuple[ModuleCut | Refusal, ...]:
        """Turn names into places in this network, refusals first and the deepest last.

        Parameters
        ----------
        wanted : sequence of str
            "penultimate", "logits", "all", names of modules, or of one call of a module that
            runs several times, ``block@2``.

        Raises
        ------
        UsageError
            For a name that the network does not have, with the nearest and the usual ones.
        """
        names = dict.fromkeys(
            each for name in wanted for each in (self._all() if name == ALL else (name,))
        )
        found = [self._cut(name) for name in names]
        cuts = sorted(
            (each for each in found if isinstance(each, ModuleCut)), key=lambda cut: cut.order
        )
        return (*(each for each in found if isinstance(each, Refusal)), *cuts)

    @cached_property
    def head(self) -> Head:
        """Where logits and the penultimate cut are."""
        return find_head(self.record, lambda name: is_inside_block(self.model, name))

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """The outermost blocks, call by call, in the order in which they end.

        A block around or after the head is no place to cut at.
        """
        head = 2**62 if self.head.start is None else self.head.start
        names = self._ending(_composite(self.model), head)
        return tuple(names or self._ending(self._flat(), head))

    def _ending(self, modules: Iterable[str], head: int) -> list[str]:
        """Calls of modules that end before the head begins."""
        found = []
        for name in modules:
            calls = [call for call in self.record.calls.get(name, ()) if call.end]
            if not 0 < len(calls) <= _MOST_CALLS:
                continue
            for number, call in enumerate(calls, start=1):
                if call.end < head:
                    found.append((call.end, name if len(calls) == 1 else f"{name}@{number}"))
        return [name for _, name in sorted(found)]

    def _flat(self) -> Iterator[str]:
        """Yield the last layer that runs before each layer with weights."""
        began = [
            (call.start, name)
            for name, module in self.model.named_modules()
            if name and not _is_composite(module)
            for call in self.record.calls.get(name, ())
        ]
        leaves = [name for _, name in sorted(began) if len(self.record.calls[name]) == 1]
        for name, following in itertools.pairwise(leaves):
            if _has_weights(self.model.get_submodule(following)):
                yield name

    def _all(self) -> list[str]:
        has_penultimate = self.head.penultimate is not None or not self.blocks
        return [*self.blocks, *([PENULTIMATE] if has_penultimate else [])]

    def _cut(self, name: str) -> ModuleCut | Refusal:
        place = self._place(name)
        if isinstance(place, str):
            return Refusal(name, place)
        call = self.record.at(place)
        seen = call.input if place.side == "input" else call.output
        if seen is None:
            return Refusal(name, f"its {place.side} is not a tensor; choose a module within it")
        # Children end before their parent does, at the same place: the tie goes to the parent.
        tick = call.start if place.side == "input" else call.end
        if reason := self._behind_fresh(tick):
            return Refusal(name, reason)
        axes = self.pooler.axes(self.model, self.record, seen, tick)
        if reason := self.pooler.refusal(seen, axes, self.batch):
            return Refusal(name, reason)
        return self._made(name, place, call, seen, axes, tick)

    def _made(
        self, name: str, place: Place, call: Call, seen: Seen, axes: Axes, tick: int
    ) -> ModuleCut:
        flops = call.flops_before if place.side == "input" else call.flops_after
        parameters = dict(self.model.named_parameters())
        kept = sum(value.numel() for each, value in parameters.items() if self._runs(each, tick))
        total = sum(value.numel() for value in parameters.values())
        samples = 1 if axes.samples_second else 0
        return ModuleCut(
            name=name,
            shape=tuple(size for axis, size in enumerate(seen.shape) if axis != samples),
            order=tick,
            flops_share=flops / self.record.flops if self.record.flops else 1.0,
            parameters_kept=kept,
            parameters_share=kept / total if total else 1.0,
            place=place,
            axes=axes,
        )

    def _place(self, name: str) -> Place | str:
        """Where a cut is, or why it is nowhere."""
        if name == PENULTIMATE:
            return self.head.penultimate or self.head.no_penultimate
        if name == LOGITS:
            return self.head.logits or self.head.no_logits
        if name in self.aliases:
            return self.aliases[name]
        match = _CALL.fullmatch(name)
        module = match["module"] if match and name not in self.record.calls else name
        if not module or module not in self.record.calls:
            raise UsageError(f"unknown cut {name!r}; {self._known(name)}")
        calls = len(self.record.calls[module])
        if not calls:
            return "does not run in a forward pass; choose another module"
        if match is None and calls > 1:
            return f"runs {calls} times in one pass; say which: {module}@1 to {module}@{calls}"
        number = int(match["call"]) if match else 1
        if number > calls:
            return f"runs {calls} time{'s' * (calls != 1)} in one pass"
        return Place(module, number, "output")

    def _known(self, name: str) -> str:
        usual = [PENULTIMATE, LOGITS, ALL, *self.aliases, *self.blocks]
        modules = [each for each in self.record.calls if each]
        return f"{guess(name, [*usual, *modules])}allowed: {listing(usual)} or any module"

    def _behind_fresh(self, tick: int) -> str:
        reasons = [reason for name, reason in self.fresh.items() if self._runs(name, tick)]
        if not reasons:
            return ""
        return f"lies behind weights that the checkpoint lacks: {listing(reasons, _SHOWN)}"

    def _runs(self, name: str, tick: int) -> bool:
        """Whether a parameter or buffer is used before a tick."""
        if name in self.record.first_use:
            return self.record.first_use[name] < tick
        # Nothing saw it: it runs when the nearest module around it does that is called.
        module = name.rpartition(".")[0]
        while module and not self.record.calls.get(module):
            module = module.rpartition(".")[0]
        return bool(module) and self.record.calls[module][0].start < tick


def is_inside_block(model: nn.Module, name: str) -> bool:
    """Tell whether a module lies within one of several like blocks."""
    path = name.split(".") if name else []
    for depth in range(1, len(path)):
        parent = model.get_submodule(".".join(path[: depth - 1]))
        block = model.get_submodule(".".join(path[:depth]))
        like = [child for child in parent.children() if type(child) is type(block)]
        if _is_list(parent) and not _is_list(block) and len(like) > 1 and _is_composite(block):
            return True
    return False


def _composite(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """Yield composite parts, looking into lists and into a wrapper around the blocks."""
    for child_name, child in module.named_children():
        name = f"{prefix}{child_name}"
        if _is_list(child) or _is_wrapper(child, module):
            yield from _composite(child, f"{name}.")
        elif _is_composite(child):
            yield name


def _is_list(module: nn.Module) -> bool:
    # A subclass of Sequential is somebody's block; a Sequential of plain layers is one too.
    if type(module) not in (nn.ModuleList, nn.Sequential):
        return False
    return any(_is_composite(child) or _is_list(child) for child in module.children())


def _is_wrapper(module: nn.Module, parent: nn.Module) -> bool:
    # Hugging Face keeps its blocks in model.vit.encoder.layer: look into what holds most.
    if _is_list(parent) or not any(_is_list(part) for part in module.modules()):
        return False
    return 2 * _size(module) > _size(parent)


def _size(module: nn.Module) -> int:
    """Parameters without those of a vocabulary, which may outweigh all the layers."""
    tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    return sum(each.numel() for each in module.parameters() if id(each) not in tables)


def _is_composite(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def _has_weights(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))

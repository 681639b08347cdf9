"""Encoders of transformers: cuts at hidden states, found where they arise by running the model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from zoorank.sources.base import ALL, LOGITS, PENULTIMATE, Cut, OpenOptions, Refusal
from zoorank.sources.torch.cuts import MeanCut, Pooler
from zoorank.sources.torch.encoder import TorchEncoder
from zoorank.sources.torch.hooks import Caller
from zoorank.sources.torch.traces import Place, Side
from zoorank.transforms.base import Batch, Transform

PREFIX = "hidden_states."
MEAN = f"{PREFIX}mean"

_KEYS = ("hidden_states", "encoder_hidden_states")
_OUTPUT = Place("", 1, "output")
_NO_HEAD = "the model has no classifier"


class TransformerEncoder(TorchEncoder):
    """A model of transformers, or one that holds such a model.

    It has further names of cuts: ``hidden_states.K`` as the model itself counts them,
    ``hidden_states.mean`` for the mean of all but the first, which are the embeddings, and the
    name of its own output.

    Parameters
    ----------
    module, transform, options, pooler, feed
        As for `TorchEncoder`.
    fresh : collection of str
        Parameters that the checkpoint does not hold.
    output : str
        What the module's own output is called. Without a head it is the penultimate cut too.
    has_head : bool
        Whether the output may be a linear map of features.
    dropped : sequence of str
        Parts that it lacks, for the checkpoint does.
    prefix : str
        Of names of modules that may be left out.
    batch_size : int or None
        The only size of a batch that it takes.
    """

    def __init__(
        self,
        module: nn.Module,
        transform: Transform,
        options: OpenOptions,
        *,
        pooler: Pooler,
        feed: Caller,
        fresh: Sequence[str],
        output: str,
        has_head: bool = False,
        dropped: Sequence[str] = (),
        prefix: str = "",
        batch_size: int | None = None,
    ) -> None:
        super().__init__(
            module,
            transform,
            options,
            pooler=pooler,
            feed=feed,
            aliases=self._find_names,
            fresh={name: name for name in fresh},
        )
        self._output, self._has_head, self._prefix = output, has_head, prefix
        self._dropped = {name: f"the checkpoint holds no weights of {name}" for name in dropped}
        self._states: tuple[str, ...] = ()
        self.facts = replace(self.facts, batch_size=batch_size)

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Find the cuts that were asked for, as `TorchEncoder` does."""
        own = {MEAN, PENULTIMATE, LOGITS}
        others = [name for name in wanted if name not in own]
        found = {each.name: each for each in super().cuts(batch, others)}
        if ALL in wanted or PENULTIMATE in wanted:
            found[PENULTIMATE] = self._penultimate(batch)
        if LOGITS in wanted:
            (found[LOGITS],) = super().cuts(batch, (LOGITS,))
            if not self._has_head:
                found[LOGITS] = Refusal(LOGITS, _NO_HEAD)
        if MEAN in wanted:
            found[MEAN] = self._mean(batch)
        refused = [each for each in found.values() if isinstance(each, Refusal)]
        cuts = [each for each in found.values() if isinstance(each, Cut)]
        return (*refused, *sorted(cuts, key=lambda cut: cut.order))

    def _penultimate(self, batch: Batch) -> Cut | Refusal:
        """What feeds the last linear map where there is a head; else the output itself."""
        if self._has_head:
            (found,) = super().cuts(batch, (PENULTIMATE,))
            return found
        (found,) = super().cuts(batch, (self._output,))
        return replace(found, name=PENULTIMATE)

    def _mean(self, batch: Batch) -> Cut | Refusal:
        parts = super().cuts(batch, self._states[1:])
        for each in parts:
            if isinstance(each, Refusal):
                return Refusal(MEAN, f"{each.name}: {each.reason}")
        cuts = [each for each in parts if isinstance(each, Cut)]
        widths = {each.shape[0 if len(each.shape) == 3 else -1] for each in cuts}
        if len(widths) != 1:
            return Refusal(MEAN, "its hidden states are of different sizes, or there are none")
        deepest = cuts[-1]
        return MeanCut(
            MEAN,
            deepest.shape,
            deepest.order,
            deepest.flops_share,
            deepest.parameters_kept,
            deepest.parameters_share,
            tuple(cuts),
        )

    def run(
        self, batch: Batch, cuts: Sequence[Cut], mode: AbstractContextManager[Any] | None = None
    ) -> dict[str, Tensor]:
        """Do what `encode` does, in a mode of torch's, and raise what the network raises."""
        parts = [part for cut in cuts if isinstance(cut, MeanCut) for part in cut.parts]
        every = {cut.name: cut for cut in (*cuts, *parts) if not isinstance(cut, MeanCut)}
        found = super().run(batch, list(every.values()), mode)
        return {
            cut.name: torch.stack([found[part.name] for part in cut.parts]).mean(dim=0)
            if isinstance(cut, MeanCut)
            else found[cut.name]
            for cut in cuts
        }

    def _find_names(self, module: nn.Module, run: Callable[..., Any]) -> Mapping[str, Place | str]:
        places, calls = find_places(module, run)
        self._states = tuple(f"{PREFIX}{number}" for number in range(len(places)))
        nowhere = "no module gives or takes it as it is"
        named: dict[str, Place | str] = {
            name: place or nowhere for name, place in zip(self._states, places, strict=True)
        }
        named[self._output] = _OUTPUT
        named |= self._dropped
        for name, number in calls.items():
            short = name.removeprefix(self._prefix)
            if short in calls or not short:
                continue
            named |= {f"{short}@{k}": Place(name, k, "output") for k in range(1, number + 1)}
            several = f"runs {number} times in one pass; say which of them, such as {short}@1"
            named[short] = Place(name, 1, "output") if number == 1 else several
        return named


def find_places(
    module: nn.Module, run: Callable[..., Any]
) -> tuple[tuple[Place | None, ...], Mapping[str, int]]:
    """Find for every hidden state the module that gives or takes it, bit for bit.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    run : callable
        Runs it on one batch, with further keyword arguments.

    Returns
    -------
    places : tuple of Place or None
        None where no module gives or takes it. Nothing for a model without hidden states.
    calls : mapping of str to int
        How often every module ran in one pass.
    """
    with torch.no_grad():
        try:
            states = hidden_states(run(output_hidden_states=True))
        except TypeError:  # it does not take this argument
            states = ()
        return _watch(module, run, states)


def hidden_states(output: Any) -> tuple[Tensor, ...]:
    """The hidden states in a model's output, if it gives any."""
    for key in _KEYS:
        found = output.get(key) if isinstance(output, Mapping) else None
        if found:
            return tuple(found)
    return ()


def _watch(
    module: nn.Module, run: Callable[..., Any], states: Sequence[Tensor]
) -> tuple[tuple[Place | None, ...], Mapping[str, int]]:
    """Run once more, and compare what every module takes and gives with the hidden states.

    They arise in their order: the search for one goes on where the one before was found. What
    a module gives is taken before what one takes: it is known earlier.
    """
    events: list[tuple[int, Place]] = []
    calls: dict[str, int] = {}

    def note(name: str, side: Side, values: Any) -> None:
        value = _first_tensor(values)
        for number, state in enumerate(states):
            if value is not None and value.shape == state.shape and torch.equal(value, state):
                events.append((number, Place(name, calls[name], side)))

    with contextlib.ExitStack() as hooks:
        for name, part in module.named_modules():

            def before(_: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
                calls[name] = calls.get(name, 0) + 1
                note(name, "input", (*args, *kwargs.values()))

            def after(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
                note(name, "output", output)

            hooks.callback(part.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(part.register_forward_hook(after).remove)
        run()
    found: list[Place | None] = []
    start = 0
    for number in range(len(states)):
        fitting = [k for k in range(start, len(events)) if events[k][0] == number]
        given = [k for k in fitting if events[k][1].side == "output"]
        chosen = next(iter(given or fitting), None)
        found.append(None if chosen is None else events[chosen][1])
        start = start if chosen is None else chosen
    return tuple(found), calls


def _first_tensor(values: Any) -> Tensor | None:
    """The tensor that a module gives or takes first: what it is about."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, Mapping):
        values = tuple(values.values())
    if isinstance(values, tuple | list):
        return next((each for each in map(_first_tensor, values) if each is not None), None)
    return None

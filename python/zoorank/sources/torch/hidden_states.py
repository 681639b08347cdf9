"""Where in a model of transformers its hidden states arise, found by running it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

PREFIX = "hidden_states."

_KEYS = ("hidden_states", "encoder_hidden_states")


class Place(NamedTuple):
    """What of a module a hidden state is.

    Attributes
    ----------
    module : str
        Its name; empty for the whole.
    call : int
        Which of its calls in one pass, from 1.
    side : {"input", "output"}
    """

    module: str
    call: int
    side: Literal["input", "output"]


def find_places(
    module: nn.Module, run: Callable[..., Any]
) -> tuple[tuple[Place | None, tuple[int, ...]], ...]:
    """Find for every hidden state the module that gives or takes it, bit for bit.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    run : callable
        Runs it on one batch, with further keyword arguments.

    Returns
    -------
    tuple of (Place or None, tuple of int)
        The place, None where no module gives or takes it, and the shape of the hidden state.
        Nothing for a model without hidden states.
    """
    with torch.no_grad():
        try:
            states = hidden_states(run(output_hidden_states=True))
        except TypeError:  # it does not take this argument
            return ()
        return tuple(
            zip(_watch(module, run, states), (tuple(s.shape) for s in states), strict=True)
        )


def hidden_states(output: Any) -> tuple[Tensor, ...]:
    """The hidden states in a model's output, if it gives any."""
    for key in _KEYS:
        found = output.get(key) if hasattr(output, "get") else None
        if found:
            return tuple(found)
    return ()


def _watch(
    module: nn.Module, run: Callable[..., Any], states: Sequence[Tensor]
) -> list[Place | None]:
    """Run once more, and compare what every module takes and gives with the hidden states.

    They arise in their order: the search for one goes on where the one before was found. What
    a module gives is taken before what one takes: it is known earlier.
    """
    events: list[tuple[int, Place]] = []
    calls: dict[str, int] = {}

    def note(name: str, side: Literal["input", "output"], values: Any) -> None:
        for value in _tensors(values):
            for number, state in enumerate(states):
                if value.shape == state.shape and torch.equal(value, state):
                    events.append((number, Place(name, calls.get(name, 0), side)))

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
    return found


def _tensors(values: Any) -> tuple[Tensor, ...]:
    """The tensor that a module gives or takes first: what it is about."""
    if isinstance(values, Tensor):
        return (values,)
    if isinstance(values, dict):
        values = tuple(values.values())
    if isinstance(values, tuple | list):
        return next((_tensors(each) for each in values if _tensors(each)), ())
    return ()

"""Run a network only as far as its deepest cut, and pool each cut's output on the way."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoorank.errors import SourceError
from zoorank.messages import listing

if TYPE_CHECKING:
    from zoorank.sources.torch.cuts import Cut

Pool = Callable[[Tensor], Tensor]

_MEANT = ("last_hidden_state", "logits")


class _Stop(BaseException):
    """Ends a forward pass; no ``except Exception`` in a model's code may catch it."""


def run_to_cuts(
    model: nn.Module, batch: Any, cuts: Sequence[Cut], pool: Pool, *, gradients: bool = False
) -> dict[str, Tensor]:
    """Encode one batch at several cuts in one pass that ends at the deepest.

    Parameters
    ----------
    model : torch.nn.Module
    batch : Tensor
        First axis: samples.
    cuts : sequence of Cut
    pool : callable
        Turns a cut's output into ``(n_samples, n_features)``; see `pooler`.
    gradients : bool
        Whether the outputs are to be trained through.

    Returns
    -------
    dict of str to Tensor
        By cut name, on the model's device.

    Raises
    ------
    SourceError
        When a cut gives no tensor, or none that can be pooled, or does not run.
    """
    found: dict[str, Tensor] = {}

    def collect(cut: Cut, value: Any) -> None:
        try:
            # At once: a later layer may overwrite this tensor in place.
            found[cut.name] = pool(output_tensor(value))
        except ValueError as error:
            raise SourceError(f"cut {cut.name!r}: {error}") from None
        if len(found) == len(cuts):
            raise _Stop

    with contextlib.ExitStack() as hooks:
        for cut in cuts:
            hooks.callback(_attach(model, cut, collect).remove)
        if not gradients:
            hooks.enter_context(torch.inference_mode())
        # A model that prints while it runs must not spoil results on standard output.
        hooks.enter_context(contextlib.redirect_stdout(io.StringIO()))
        with contextlib.suppress(_Stop):
            model(batch)
    missed = [cut.name for cut in cuts if cut.name not in found]
    if missed:
        raise SourceError(f"the forward pass does not reach cut {listing(missed)}")
    return found


def _attach(model: nn.Module, cut: Cut, collect: Callable[[Cut, Any], None]) -> Any:
    module = model.get_submodule(cut.module)
    if cut.side == "input":
        return module.register_forward_pre_hook(
            lambda _module, args, kwargs: collect(cut, args or kwargs), with_kwargs=True
        )
    return module.register_forward_hook(lambda _module, _args, output: collect(cut, output))


def output_tensor(value: Any) -> Tensor:
    """Find the one tensor that a module's output stands for.

    A tuple stands for its first entry, a mapping (so also a Hugging Face ``ModelOutput``)
    for ``last_hidden_state``, ``logits`` or its only tensor.

    Raises
    ------
    ValueError
        When that does not name one.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        tensors = {key: each for key, each in value.items() if isinstance(each, Tensor)}
        meant = [key for key in _MEANT if key in tensors] or list(tensors)
        if meant and (meant[0] in _MEANT or len(meant) == 1):
            return tensors[meant[0]]
        raise ValueError(f"its output holds {listing(map(str, value)) or 'nothing'}")
    if isinstance(value, tuple | list) and value:
        return output_tensor(value[0])
    raise ValueError(f"its output is a {type(value).__name__}, not a tensor")


def pooler(pooling: str, input_kind: str) -> Pool:
    """Choose how a cut's output becomes one vector a sample.

    Parameters
    ----------
    pooling : {"mean", "max", "token_mean", "first_token", "flatten"}
    input_kind : {"image", "series", "table"}
        What the network takes in.

    Returns
    -------
    callable
        From ``(n, ...)`` to a new float32 tensor ``(n, n_features)``. It raises ValueError
        for a shape that this pooling does not fit.
    """

    def pool(output: Tensor) -> Tensor:
        if output.ndim < 2 or not output.is_floating_point():
            raise ValueError(f"its output is {output.dtype} of shape {tuple(output.shape)}")
        if output.ndim == 2 or pooling == "flatten":
            return output.flatten(1).to(torch.float32, copy=True)
        # Half precision would lose digits in the sum.
        output = output.float()
        if pooling in ("first_token", "token_mean"):
            tokens = output.flatten(1, -2)
            return tokens[:, 0].clone() if pooling == "first_token" else tokens.mean(dim=1)
        if input_kind == "image" and output.ndim == 3:
            raise ValueError(
                f"its output {tuple(output.shape)} looks like tokens, which pooling "
                f"{pooling!r} would mix up; say 'token_mean' or 'first_token'"
            )
        outer = tuple(range(2, output.ndim))
        return output.mean(dim=outer) if pooling == "mean" else output.amax(dim=outer)

    return pool

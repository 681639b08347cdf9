"""A network as far as a cut, written so that torch alone runs it, and in ONNX where torch can."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.base import Cut
from zoorank.sources.tokens import MASK
from zoorank.sources.torch.cuts import MeanCut, ModuleCut
from zoorank.sources.torch.hooks import run_to
from zoorank.transforms.base import Batch

if TYPE_CHECKING:
    from zoorank.sources.torch.encoder import TorchEncoder

PROGRAM = "encoder.pt2"


def export(encoder: TorchEncoder, cut: Cut, batch: Batch, folder: Path) -> tuple[Path, ...]:
    """Write what is kept up to a cut, pooled, as a program of ``torch.export``.

    Parameters
    ----------
    encoder : TorchEncoder
    cut : Cut
        Of this encoder.
    batch : Batch
        Two samples or more. The program takes any number of them, unless the network's own
        code depends on how many there are: then as many as these.
    folder : Path

    Returns
    -------
    tuple of Path
        ``encoder.pt2``, and ``encoder.onnx`` where onnxscript is installed and torch can say
        the program in ONNX.

    Raises
    ------
    SourceError
        When the network cannot be traced.
    """
    inputs = encoder.tensors(batch)
    parts = cut.parts if isinstance(cut, MeanCut) else (cut,)
    own = tuple(each for each in parts if isinstance(each, ModuleCut))
    return write_program(Prefix(encoder, own, tuple(inputs)), inputs, folder)


def write_program(
    module: nn.Module, inputs: Mapping[str, Tensor], folder: Path
) -> tuple[Path, ...]:
    """Trace a module on the inputs of a batch, in their order, and write it.

    Returns and raises what :func:`export` does. Texts may have any number of tokens.
    """
    values = tuple(inputs.values())
    has_tokens = MASK in inputs
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = _traced(module, values, has_tokens=has_tokens)
            program = _without_what_is_unused(traced, values, has_tokens=has_tokens)
            torch.export.save(program, folder / PROGRAM)
    except Exception as error:
        raise SourceError(f"torch.export cannot trace it: {one_line(error)}") from error
    return (folder / PROGRAM, *_as_onnx(program, values, folder / "encoder.onnx"))


class Prefix(nn.Module):
    """A network up to a cut, or to several whose mean is taken, pooled, as one module."""

    def __init__(
        self, encoder: TorchEncoder, cuts: tuple[ModuleCut, ...], names: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.kept = encoder.module
        self._encoder = (encoder,)  # no module of this one
        self._cuts = {cut.name: cut for cut in cuts}
        self._names = names

    def forward(self, *values: Tensor) -> Tensor:
        """Encodings of some samples."""
        (encoder,) = self._encoder
        inputs = dict(zip(self._names, values, strict=True))
        found = run_to(
            self.kept,
            partial(encoder.feed, self.kept, inputs),
            self._cuts,
            encoder.pooler,
            _NO_BATCH,
            inputs,
            nullcontext(),
            stops=False,
        )
        if len(found) == 1:
            return next(iter(found.values()))
        return torch.stack(list(found.values())).mean(dim=0)


_NO_BATCH = Batch({}, 0)  # pooling of whole samples looks at none


def _traced(module: nn.Module, values: tuple[Tensor, ...], *, has_tokens: bool) -> Any:
    """Trace for any number of samples, or, of a network that depends on it, for these."""
    any_number = torch.export.Dim.DYNAMIC
    axes = {0: any_number, 1: any_number} if has_tokens else {0: any_number}
    shapes = tuple({axis: axes[axis] for axis in axes if axis < each.ndim} for each in values)
    # Copies: torch marks the axes of a tensor, and the marks outlive a trace that failed.
    copies = tuple(each.clone() for each in values)
    try:
        return torch.export.export(module, copies, dynamic_shapes=(shapes,), strict=False)
    except Exception:
        if has_tokens:  # a program for one length alone is of no use
            raise
        copies = tuple(each.clone() for each in values)
        return torch.export.export(module, copies, strict=False)


def _without_what_is_unused(program: Any, values: tuple[Tensor, ...], *, has_tokens: bool) -> Any:
    """Trace again without what lies behind the cut.

    Operations in place count as used; the decomposed program has none.
    """
    module = program.run_decompositions({}).module(check_guards=False)
    module.graph.eliminate_dead_code()
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in (*module.named_parameters(), *module.named_buffers())]:
        if name not in used:
            owner, _, leaf = name.rpartition(".")
            delattr(module.get_submodule(owner), leaf)
    module.delete_all_unused_submodules()
    module.recompile()
    return _traced(_Several(module), values, has_tokens=has_tokens)


class _Several(nn.Module):
    """A module that takes its inputs as they come, like every module that is traced here."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *values: Tensor) -> Any:
        return self.module(*values)


def _as_onnx(program: Any, values: tuple[Tensor, ...], path: Path) -> tuple[Path, ...]:
    """The program in ONNX; nothing where torch cannot, since it is an extra."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = torch.onnx.export(program, values, dynamo=True, verbose=False)
            found.save(path)
    except Exception:  # noqa: BLE001  whatever it is, the program itself is written
        path.unlink(missing_ok=True)
        return ()
    return (path,)

"""A network as far as a cut, written so that torch alone runs it."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.base import Cut
from zoorank.sources.torch.cuts import ModuleCut
from zoorank.sources.torch.hooks import run_to
from zoorank.transforms.base import ONLY, Batch

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
        When the network cannot be traced, or takes several inputs.
    """
    if not isinstance(cut, ModuleCut) or set(batch.inputs) != {ONLY} or batch.words is not None:
        raise SourceError("only models that take one input, such as an image, are exported yet")
    (value,) = encoder.tensors(batch).values()
    prefix = Prefix(encoder, cut)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = _without_what_is_unused(_traced(prefix, value), value)
            torch.export.save(program, folder / PROGRAM)
    except Exception as error:
        raise SourceError(f"torch.export cannot trace it: {one_line(error)}") from error
    return (folder / PROGRAM, *_as_onnx(program, value, folder / "encoder.onnx"))


class Prefix(nn.Module):
    """A network up to a cut, with the pooling there, as one module."""

    def __init__(self, encoder: TorchEncoder, cut: ModuleCut) -> None:
        super().__init__()
        self.kept = encoder.module
        self._encoder = (encoder,)  # no module of this one
        self._cut = cut

    def forward(self, samples: Tensor) -> Tensor:
        """Encodings of some samples."""
        (encoder,), cut = self._encoder, self._cut
        found = run_to(
            self.kept,
            lambda: encoder.feed(self.kept, {ONLY: samples}),
            {cut.name: cut.place},
            lambda _, output: encoder.pooler.pool(output, cut.axes, _NO_BATCH, {}),
            nullcontext(),
            stops=False,
        )
        return found[cut.name]


_NO_BATCH = Batch({}, 0)  # pooling over axes looks at none


def _traced(module: nn.Module, value: Tensor) -> Any:
    """Trace for any number of samples, or, of a network that depends on it, for this one."""
    samples = ({0: torch.export.Dim.DYNAMIC},)
    try:
        # A copy: torch marks the axes of a tensor, and the marks outlive a trace that failed.
        return torch.export.export(module, (value.clone(),), dynamic_shapes=samples, strict=False)
    except Exception:  # noqa: BLE001  torch raises many kinds; what else is wrong comes again
        return torch.export.export(module, (value.clone(),), strict=False)


def _without_what_is_unused(program: Any, value: Tensor) -> Any:
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
    return _traced(module, value)


def _as_onnx(program: Any, value: Tensor, path: Path) -> tuple[Path, ...]:
    """The program in ONNX; nothing where torch cannot, since it is an extra."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = torch.onnx.export(program, (value,), dynamo=True, verbose=False)
            found.save(path)
    except Exception:  # noqa: BLE001  whatever it is, the program itself is written
        path.unlink(missing_ok=True)
        return ()
    return (path,)

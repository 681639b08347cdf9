"""A network of torch, opened: fed, cut, run and trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoorank.errors import SourceError, UsageError, ZoorankError
from zoorank.messages import hint, one_line, reason
from zoorank.sources.base import Cut, ModelFacts, OpenOptions, Refusal
from zoorank.sources.torch.cuts import Anatomy, AxisPooling, ModuleCut, Pooler
from zoorank.sources.torch.hooks import Caller, feed_only, run_to, trace
from zoorank.sources.torch.traces import Place, Trace
from zoorank.transforms.base import Batch, Transform

if TYPE_CHECKING:
    from zoorank.sources.training import Training, TrainingOptions, TrainingSplit
    from zoorank.targets.base import Target

T = TypeVar("T")

Aliases = Callable[[nn.Module, Callable[..., Any]], Mapping[str, Place | str]]

_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "_status_alloc_failed",
)


class TorchEncoder(AbstractContextManager["TorchEncoder"]):
    """A module of torch behind the protocol of encoders.

    Parameters
    ----------
    module : nn.Module
        It is the encoder's from now on: put into evaluation mode and moved.
    transform : Transform
    options : OpenOptions
    pooler : Pooler
        How outputs become one vector a row; see :mod:`zoorank.sources.torch.cuts`.
    feed : callable
        Calls the module with the inputs of a batch, as tensors by name.
    aliases : callable, optional
        Given the module and a function that feeds it the batch, with further keyword
        arguments; gives further names of cuts, such as ``hidden_states.3``, each with its
        place or with the reason why there is none.
    fresh : mapping of str to str
        Parameters and buffers that no checkpoint filled, and what to say of each. Nothing
        behind them can be cut at.
    calibrates : bool
        Whether batch normalization takes its statistics from the target.
    notes : sequence of str
        What a reader of the table should know.

    Raises
    ------
    UsageError
        For a device that is not there.
    SourceError
        When the module does not fit on it.
    """

    def __init__(
        self,
        module: nn.Module,
        transform: Transform,
        options: OpenOptions,
        *,
        pooler: Pooler | None = None,
        feed: Caller = feed_only,
        aliases: Aliases | None = None,
        fresh: Mapping[str, str] | None = None,
        calibrates: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        self.transform, self.note, self.calibrates = transform, "; ".join(notes), calibrates
        self.pooler: Pooler = pooler or AxisPooling()
        self.feed, self._aliases, self._fresh = feed, aliases, dict(fresh or {})
        self._device = torch_device(options.device)
        self.device = str(self._device)
        self._precision = options.precision
        self._threads = None if options.threads is None else torch.get_num_threads()
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        with self._failing(f"cannot be moved to {self._device}", memory=False):
            self.module = module.eval().requires_grad_(False).to(self._device)
        parameters = list(self.module.parameters())
        self.facts = ModelFacts(  # operations are counted when cuts are found
            f"torch {torch.__version__}",
            sum(each.numel() for each in parameters),
            sum(each.numel() * each.element_size() for each in parameters),
            precision=options.precision,
        )
        self._traced: tuple[tuple[Any, ...], Trace, Mapping[str, Place | str]] | None = None
        self._lay_out(channels_last=self._device.type == "cpu")

    def __exit__(self, *_: object) -> None:
        self.module = nn.Module()
        self._traced = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self._threads is not None:
            torch.set_num_threads(self._threads)

    @property
    def peak_memory(self) -> int:
        """Most bytes that were taken of a GPU's memory since it was opened."""
        if self._device.type != "cuda":
            return 0
        return int(torch.cuda.max_memory_allocated(self._device))

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Find the cuts that were asked for, refusals first and the deepest cut last.

        Raises
        ------
        UsageError
            For a name that the network does not have, with the nearest and the usual ones.
        SourceError
            When the network cannot be fed the batch.
        """
        shapes = tuple((name, each.shape) for name, each in batch.inputs.items())
        if self._traced is None or self._traced[0] != shapes:
            with self._failing(f"cannot be fed a batch of shape {_shape(batch)}"):
                record, aliases = self._laid_out(lambda: self._trace(batch))
            self._traced = shapes, record, aliases
            flops = round(record.flops / batch.samples) if record.flops else None
            largest = record.largest // batch.samples or None
            self.facts = replace(self.facts, flops=flops, largest=largest)
        _, record, aliases = self._traced
        anatomy = Anatomy(self.module, record, batch, self.pooler, aliases, self._fresh)
        return anatomy.cuts(wanted)

    def _lay_out(self, *, channels_last: bool) -> None:
        """Order the weights of convolutions in memory, which what they give follows.

        On a CPU convolutions of images are faster with channels last, above all those of a
        channel each.
        """
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        for part in self.module.modules():
            if isinstance(part, nn.Conv2d) and part.weight.ndim == 4:
                part.weight.data = part.weight.data.contiguous(memory_format=self._layout)

    def _laid_out(self, run: Callable[[], T]) -> T:
        """Run the network for the first time, and see whether its code takes channels last.

        What looks at a tensor with `view` takes only the layout that it was written for.
        """
        try:
            return run()
        except Exception as error:
            if self._layout == torch.contiguous_format or is_out_of_memory(error):
                raise
            self._lay_out(channels_last=False)
            return run()  # and if something else is wrong, it is raised again

    def _trace(self, batch: Batch) -> tuple[Trace, Mapping[str, Place | str]]:
        inputs = self.tensors(batch)
        with self._autocast():
            record = trace(self.module, partial(self.feed, self.module, inputs))
            if self._aliases is None:
                return record, {}
            with torch.no_grad():
                found = self._aliases(
                    self.module, lambda **more: self.feed(self.module, {**inputs, **more})
                )
        return record, found

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, Tensor]:
        """Run the network as far as the deepest cut.

        Returns
        -------
        mapping of str to Tensor of shape (batch.rows, n_features)
            float32 by name of the cut, pooled, where the network runs.

        Raises
        ------
        MemoryError
            When the batch does not fit.
        SourceError
            When the batch cannot be run.
        """
        with self._failing():
            return self.run(batch, cuts)

    def run(
        self, batch: Batch, cuts: Sequence[Cut], mode: AbstractContextManager[Any] | None = None
    ) -> dict[str, Tensor]:
        """Do what `encode` does, in a mode of torch's, and raise what the network raises."""
        inputs = self.tensors(batch)
        own = {cut.name: cut for cut in cuts if isinstance(cut, ModuleCut)}
        run = partial(self.feed, self.module, inputs)
        with self._autocast():
            return run_to(self.module, run, own, self.pooler, batch, inputs, mode)

    def empty(self, rows: int, features: int) -> Tensor:
        """Room for encodings where the network runs; MemoryError where there is none."""
        with self._failing():
            return torch.empty((rows, features), dtype=torch.float32, device=self._device)

    def calibrate(self, batch: Batch) -> None:
        """Set the running statistics of every batch normalization to those of one batch."""
        norms = [module for module in self.module.modules() if isinstance(module, _BatchNorm)]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = None  # a plain average, so that one batch sets them wholly
            norm.train()
        inputs = self.tensors(batch)

        def run() -> None:
            for norm in norms:
                norm.reset_running_stats()
            self.feed(self.module, inputs)

        try:
            with self._failing("cannot be calibrated"), torch.no_grad():
                self._laid_out(run)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
                norm.eval()

    def train(
        self,
        target: Target,
        cut: str,
        split: TrainingSplit,
        options: TrainingOptions,
        on_epoch: Callable[[int, float], None],
    ) -> Training:
        """Train a head with the prefix frozen, then the prefix too; the prefix is put back.

        Raises
        ------
        SourceError
            When the source cannot be cut, fed or trained.
        """
        from zoorank.sources.torch.train import train

        with self._failing("training failed", memory=False):
            return train(self, target, cut, split, options, on_epoch)

    def export(self, cut: Cut, batch: Batch, folder: Path) -> tuple[Path, ...]:
        """Write the network up to a cut; see :func:`zoorank.sources.torch.export.export`."""
        from zoorank.sources.torch.export import export

        self._lay_out(channels_last=False)  # as whoever runs the files will feed them
        return export(self, cut, batch, folder)

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """The inputs of a batch as tensors where the network runs."""
        return {
            name: torch.from_numpy(np.require(each, requirements=("C", "W"))).to(self._device)
            for name, each in batch.inputs.items()
        }

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

    def _failing(self, what: str = "", *, memory: bool = True) -> _Failing:
        return _Failing(what, memory)


class _Failing(AbstractContextManager[None]):
    """Makes MemoryError of what says that memory ran out, and SourceError of all else."""

    def __init__(self, what: str, memory: bool) -> None:
        self._what, self._memory = f"{what}: " if what else "", memory

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, KeyboardInterrupt):
            return
        if is_out_of_memory(error) and self._memory:
            raise MemoryError(one_line(error)) from error
        if isinstance(error, ZoorankError):
            return
        raise SourceError(f"{self._what}{reason(error)}") from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came of, says that memory ran out."""
    seen: set[int] = set()  # an exception may be its own cause
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(error, RuntimeError):
            text = one_line(error).lower()
            if any(sign in text for sign in _OUT_OF_MEMORY):
                return True
        error = error.__cause__ or error.__context__
    return False


def torch_device(name: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda:N" into a device that is there, or raise UsageError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(
            f"unknown device {name!r}; {hint(name, ['auto', 'cpu', 'cuda', 'cuda:N'])}"
        )
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {name!r}: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def _shape(batch: Batch) -> str:
    shapes = [f"{name} {each.shape}".strip() for name, each in batch.inputs.items()]
    return ", ".join(shapes)

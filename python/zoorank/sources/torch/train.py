"""Train what a ranking promises: a source cut at a layer, with a new head, on the target."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.specs import ModelSpec
from zoorank.sources.torch.calibrate import calibrate_to
from zoorank.sources.torch.cuts import Cut, resolve_cuts
from zoorank.sources.torch.load import load_model, torch_device
from zoorank.sources.torch.truncate import Pool, pooler, run_to_cuts
from zoorank.targets.base import Target
from zoorank.transforms.preprocess import prepare

_BLOCK = 64
_HEAD_STEPS = 300
_HEAD_PATIENCE = 20
_HEAD_RATE = 1e-2
PREFIX_RATE = 2e-4
_DEPTHS = 4
_DECAY = 2.6  # a depth's rate over that of the depth below it (Howard and Ruder, 2018)


@dataclass(frozen=True)
class Split:
    """Rows of a target to train on, to stop early by, and to test on."""

    train: NDArray[np.int64]
    stop: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Training:
    """What became of one training.

    Attributes
    ----------
    frozen_accuracy : float
        On the test rows, of the head on the frozen prefix.
    accuracy : float
        On the test rows, after the prefix was trained too.
    curve : tuple of float
        Accuracy on the stopping rows, with the prefix frozen and then after every epoch.
    best_epoch : int
        Whose state was tested; 0 where training the prefix did not help.
    seconds : float
    complete : bool
        Whether it ended by itself and not at the deadline.
    """

    frozen_accuracy: float
    accuracy: float
    curve: tuple[float, ...]
    best_epoch: int
    seconds: float
    complete: bool


def fine_tune(
    spec: ModelSpec,
    target: Target,
    cut: str,
    split: Split,
    *,
    seed: int,
    epochs: int,
    patience: int = 2,
    batch_size: int = 32,
    rate: float = PREFIX_RATE,
    device: str = "auto",
    deadline: float = math.inf,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Training:
    """Train a new head with the prefix frozen, then the prefix too.

    The prefix is trained at rates that fall from the cut to the input, its
    normalisation keeps the statistics it came with, and the state that does best on
    the stopping rows is the one tested.

    Parameters
    ----------
    spec : ModelSpec
    target : Target
    cut : str
    split : Split
    seed : int
        Of the head and the order of the samples.
    epochs : int
        At most, with the prefix trained.
    patience : int
        Epochs without a smaller loss on the stopping rows after which to stop.
    batch_size : int
    rate : float
        Learning rate of the head and of the layers next to the cut.
    device : {"auto", "cpu", "cuda"}
    deadline : float
        Time of ``time.monotonic`` after which no further batch is begun.
    on_epoch : callable, optional
        Told the epoch and the accuracy on the stopping rows.

    Returns
    -------
    Training

    Raises
    ------
    SourceError
        When the source cannot be loaded, cut, fed or trained.
    """
    began = time.monotonic()
    _, codes = np.unique(target.labels, return_inverse=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            learner = _Learner.of(spec, target, cut, codes, torch_device(device))
            learner.fit_head(split)
            frozen = learner.accuracy(split.test)
            optimiser = learner.optimiser(split.train[:2], rate)
            curve, best, complete = learner.fit(
                split, optimiser, epochs, patience, batch_size, deadline, on_epoch or _silent
            )
            accuracy = learner.accuracy(split.test)
        except (
            RuntimeError,
            ValueError,
            TypeError,
            IndexError,
            AssertionError,
            MemoryError,
        ) as error:
            raise SourceError(f"training failed: {one_line(error)}") from error
    return Training(frozen, accuracy, tuple(curve), best, time.monotonic() - began, complete)


def _silent(_epoch: int, _accuracy: float) -> None:
    """Tell nobody."""


class _Learner:
    """A prefix, a head on its standardised encoding, and the target they learn."""

    def __init__(
        self,
        model: nn.Module,
        cuts: tuple[Cut, ...],
        pool: Pool,
        inputs: Callable[[NDArray[np.int64]], Tensor],
        codes: Tensor,
    ) -> None:
        self.model, self.cuts, self.pool = model, cuts, pool
        self.inputs, self.codes = inputs, codes
        self.head: nn.Module = nn.Identity()

    @classmethod
    def of(
        cls, spec: ModelSpec, target: Target, cut: str, codes: NDArray[Any], device: torch.device
    ) -> _Learner:
        model = load_model(spec).to(device)
        calibrate_to(model, spec, target)
        cuts = resolve_cuts(model, prepare(spec.preprocessing, target, range(2)).to(device), (cut,))

        def inputs(rows: NDArray[np.int64]) -> Tensor:
            return prepare(spec.preprocessing, target, rows).to(device)

        pool = pooler(spec.preprocessing.pooling, spec.preprocessing.input)
        return cls(model, cuts, pool, inputs, torch.as_tensor(codes, device=device))

    def encode(self, rows: NDArray[np.int64], *, gradients: bool = False) -> Tensor:
        """Encodings of some rows; in blocks, unless they are to be trained through."""
        block = len(rows) if gradients else _BLOCK
        name = self.cuts[0].name
        encoded = [
            run_to_cuts(
                self.model,
                self.inputs(rows[start : start + block]),
                self.cuts,
                self.pool,
                gradients=gradients,
            )[name]
            for start in range(0, len(rows), block)
        ]
        return torch.cat(encoded)  # outside of inference mode, so that a head can be trained on it

    def fit_head(self, split: Split) -> None:
        """Train the head alone, on encodings that are made once."""
        train, stop = self.encode(split.train), self.encode(split.stop)
        scale = train.std(dim=0)
        flat = scale <= 1e-6 * scale.max()
        linear = nn.Linear(train.shape[1], int(self.codes.max()) + 1).to(train.device)
        nn.init.zeros_(linear.weight)
        scaling = _Standardise(train.mean(dim=0), torch.where(flat, torch.inf, scale))
        self.head = nn.Sequential(scaling, linear)
        of_train, of_stop = self.codes[split.train], self.codes[split.stop]
        optimiser = torch.optim.AdamW(self.head.parameters(), lr=_HEAD_RATE, weight_decay=1e-2)
        best, state, since = math.inf, copy.deepcopy(self.head.state_dict()), 0
        for _ in range(_HEAD_STEPS):
            optimiser.zero_grad()
            cross_entropy(self.head(train), of_train).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                loss = float(cross_entropy(self.head(stop), of_stop))
            since += 1
            if loss < best:
                best, state, since = loss, copy.deepcopy(self.head.state_dict()), 0
            if since > _HEAD_PATIENCE:
                break
        self.head.load_state_dict(state)

    def fit(
        self,
        split: Split,
        optimiser: torch.optim.Optimizer,
        epochs: int,
        patience: int,
        batch_size: int,
        deadline: float,
        on_epoch: Callable[[int, float], None],
    ) -> tuple[list[float], int, bool]:
        """Train head and prefix; the best state on the stopping rows stays."""
        least, accuracy = self.judge(split.stop)
        curve, state, best = [accuracy], self.state(), 0
        for epoch in range(1, epochs + 1):
            order = split.train[torch.randperm(len(split.train)).numpy()]
            for start in range(0, len(order), batch_size):
                if time.monotonic() > deadline:
                    self.restore(state)
                    return curve, best, False
                batch = order[start : start + batch_size]
                optimiser.zero_grad()
                logits = self.head(self.encode(batch, gradients=True))
                cross_entropy(logits, self.codes[batch]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            loss, accuracy = self.judge(split.stop)
            curve.append(accuracy)
            on_epoch(epoch, accuracy)
            if loss < least:
                least, state, best = loss, self.state(), epoch
            if epoch - best >= patience:
                break
        self.restore(state)
        return curve, best, True

    def optimiser(self, rows: NDArray[np.int64], rate: float) -> torch.optim.Optimizer:
        """Rates that fall with depth, over the parameters that the encoding depends on."""
        self.model.requires_grad_(True)
        self.head(self.encode(rows, gradients=True)).sum().backward()
        used = [each for each in self.model.parameters() if each.grad is not None]
        self.model.zero_grad()
        parts = [part.tolist() for part in np.array_split(np.arange(len(used)), _DEPTHS)]
        groups = [
            {"params": [used[i] for i in part], "lr": rate / _DECAY**above}
            for above, part in enumerate(reversed(parts))
            if part
        ]
        groups.append({"params": list(self.head.parameters()), "lr": rate})
        return torch.optim.AdamW(groups, weight_decay=1e-2)

    def judge(self, rows: NDArray[np.int64]) -> tuple[float, float]:
        """Loss and accuracy on some rows."""
        with torch.no_grad():
            logits = self.head(self.encode(rows))
        right = (logits.argmax(dim=1) == self.codes[rows]).float().mean()
        return float(cross_entropy(logits, self.codes[rows])), float(right)

    def accuracy(self, rows: NDArray[np.int64]) -> float:
        """Accuracy on some rows."""
        return self.judge(rows)[1]

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `restore` takes back."""
        return copy.deepcopy((self.model.state_dict(), self.head.state_dict()))

    def restore(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        """Go back to an earlier state."""
        self.model.load_state_dict(state[0])
        self.head.load_state_dict(state[1])


class _Standardise(nn.Module):
    """Subtracts a mean and divides by a deviation that stay as they are."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, encoding: Tensor) -> Tensor:
        """Map ``(n, d)`` to the same shape."""
        return (encoding - self.mean) / self.scale

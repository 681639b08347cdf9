"""Train what a ranking promises: a source cut at a layer, with a new head, on the target."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from zoorank.errors import SourceError
from zoorank.sources.base import Refusal
from zoorank.sources.training import Training, TrainingOptions, TrainingSplit
from zoorank.targets.base import Target
from zoorank.transforms.base import Batch, Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoorank.sources.torch.encoder import TorchEncoder

_BLOCK = 64
_HEAD_STEPS = 300
_HEAD_PATIENCE = 20
_HEAD_RATE = 1e-2
_DEPTHS = 4
_DECAY = 2.6  # a depth's rate over that of the depth below it (Howard and Ruder, 2018)


def train(
    encoder: TorchEncoder,
    target: Target,
    cut: str,
    split: TrainingSplit,
    options: TrainingOptions,
    on_epoch: Callable[[int, float], None],
) -> Training:
    """Train a new head with the prefix frozen, then the prefix too; then put the prefix back.

    The prefix is trained at rates that fall from the cut to the input, its
    normalisation keeps the statistics it came with, and the state that does best on
    the stopping rows is the one tested.

    Parameters
    ----------
    encoder : TorchEncoder
    target : Target
    cut : str
    split : TrainingSplit
    options : TrainingOptions
    on_epoch : callable
        Told the epoch and the accuracy, or R², on the stopping rows.

    Returns
    -------
    Training

    Raises
    ------
    SourceError
        When the source cannot be cut.
    Exception
        Whatever the network raises.
    """
    began = time.monotonic()
    if len(target.labels) != target.n_samples:
        raise SourceError("zoorank trains on samples with one label each, not on words")
    module = encoder.module
    forget_inference(module)
    before = copy.deepcopy(module.state_dict())
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        try:
            learner = _Learner(encoder, target, cut)
            learner.fit_head(split)
            frozen = learner.judge(split.test)[1]
            optimiser = learner.optimiser(split.train[:2], options.rate)
            curve, best, complete = learner.fit(split, optimiser, options, on_epoch)
            accuracy = learner.judge(split.test)[1]
        finally:
            put_back(module, before)
            module.requires_grad_(False).zero_grad()
    return Training(frozen, accuracy, tuple(curve), best, time.monotonic() - began, complete)


def forget_inference(module: nn.Module) -> None:
    """Replace what a network has kept of passes in inference mode, on which nothing is trained.

    Some keep a table of positions, or of rotations, that they made as large as was needed.
    """
    for part in module.modules():
        for name, value in list(vars(part).items()):
            if name not in ("_parameters", "_modules"):
                vars(part)[name] = _usable(value)


def put_back(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Give a network the numbers it had; a table that has grown since stays as it is."""
    with torch.no_grad():
        for name, value in module.state_dict(keep_vars=True).items():
            if isinstance(value, Tensor) and value.shape == state[name].shape:
                value.copy_(state[name])


def _usable(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if type(value) in (list, tuple):
        usable = [_usable(each) for each in value]
        same = all(one is other for one, other in zip(usable, value, strict=True))
        return value if same else type(value)(usable)
    if type(value) is dict:
        for key, each in value.items():
            value[key] = _usable(each)
    return value


class _Classes:
    """Labels that are classes: a number a class, and the accuracy of the largest."""

    def __init__(self, labels: NDArray[Any], device: str) -> None:
        _, codes = np.unique(labels, return_inverse=True)
        self.codes = torch.as_tensor(codes, device=device)
        self.outputs = int(codes.max()) + 1

    def loss(self, given: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Cross entropy."""
        return cross_entropy(given, self.codes[rows])

    def worth(self, given: Tensor, rows: NDArray[np.int64]) -> float:
        """Accuracy."""
        return float((given.argmax(dim=1) == self.codes[rows]).float().mean())


class _Numbers:
    """Labels that are numbers to predict: one number, and R²."""

    outputs = 1

    def __init__(self, labels: NDArray[Any], device: str) -> None:
        numbers = np.asarray(labels, dtype=np.float64)
        scaled = (numbers - numbers.mean()) / (numbers.std() or 1.0)
        self.numbers = torch.as_tensor(scaled, dtype=torch.float32, device=device)

    def loss(self, given: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Mean squared error."""
        return mse_loss(given[:, 0], self.numbers[rows])

    def worth(self, given: Tensor, rows: NDArray[np.int64]) -> float:
        """Share of the variance of these rows that is explained; 0 where they have none."""
        variance = float(self.numbers[rows].var(correction=0))
        return 1.0 - float(self.loss(given, rows)) / variance if variance else 0.0


class _Learner:
    """A prefix, a head on its standardised encoding, and the target they learn."""

    def __init__(self, encoder: TorchEncoder, target: Target, cut: str) -> None:
        self.encoder, self.target, self.model = encoder, target, encoder.module
        self.transform = encoder.transform.fitted(target)
        kind = _Numbers if target.task == "numbers" else _Classes
        self.goal: _Classes | _Numbers = kind(target.labels, encoder.device)
        self.head: nn.Module = nn.Identity()
        self._prepared: dict[int, Prepared] = {}
        (found,) = encoder.cuts(self.batch(np.arange(2)), (cut,))
        if isinstance(found, Refusal):
            raise SourceError(f"cut {found.name!r}: {found.reason}")
        self.cuts = (found,)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Some samples as the network wants them; each is prepared once."""
        new = np.array([row for row in rows.tolist() if row not in self._prepared], dtype=np.int64)
        for row, sample in zip(new.tolist(), self.target.take(new), strict=True):
            self._prepared[row] = self.transform.prepare(sample)
        return self.transform.collate([self._prepared[row] for row in rows.tolist()])

    def encode(self, rows: NDArray[np.int64], *, gradients: bool = False) -> Tensor:
        """Encodings of some rows; in blocks, unless they are to be trained through."""
        block = len(rows) if gradients else _BLOCK
        name = self.cuts[0].name
        encoded = [
            # Not in inference mode, so that a head can be trained on it.
            self.encoder.run(
                self.batch(rows[start : start + block]),
                self.cuts,
                torch.enable_grad() if gradients else torch.no_grad(),
            )[name]
            for start in range(0, len(rows), block)
        ]
        return torch.cat(encoded)

    def fit_head(self, split: TrainingSplit) -> None:
        """Train the head alone, on encodings that are made once."""
        train, stop = self.encode(split.train), self.encode(split.stop)
        scale = train.std(dim=0)
        flat = scale <= 1e-6 * scale.max()
        linear = nn.Linear(train.shape[1], self.goal.outputs).to(train.device)
        nn.init.zeros_(linear.weight)
        scaling = _Standardise(train.mean(dim=0), torch.where(flat, torch.inf, scale))
        self.head = nn.Sequential(scaling, linear)
        optimiser = torch.optim.AdamW(self.head.parameters(), lr=_HEAD_RATE, weight_decay=1e-2)
        best, state, since = math.inf, copy.deepcopy(self.head.state_dict()), 0
        for _ in range(_HEAD_STEPS):
            optimiser.zero_grad()
            self.goal.loss(self.head(train), split.train).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                loss = float(self.goal.loss(self.head(stop), split.stop))
            since += 1
            if loss < best:
                best, state, since = loss, copy.deepcopy(self.head.state_dict()), 0
            if since > _HEAD_PATIENCE:
                break
        self.head.load_state_dict(state)

    def fit(
        self,
        split: TrainingSplit,
        optimiser: torch.optim.Optimizer,
        options: TrainingOptions,
        on_epoch: Callable[[int, float], None],
    ) -> tuple[list[float], int, bool]:
        """Train head and prefix; the best state on the stopping rows stays."""
        least, accuracy = self.judge(split.stop)
        curve, state, best = [accuracy], self.state(), 0
        for epoch in range(1, options.epochs + 1):
            order = split.train[torch.randperm(len(split.train)).numpy()]
            for batch in _batches(order, options.batch_size):
                if time.monotonic() > options.deadline:
                    self.restore(state)
                    return curve, best, False
                optimiser.zero_grad()
                given = self.head(self.encode(batch, gradients=True))
                self.goal.loss(given, batch).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            loss, accuracy = self.judge(split.stop)
            curve.append(accuracy)
            on_epoch(epoch, accuracy)
            if loss < least:
                least, state, best = loss, self.state(), epoch
            if epoch - best >= options.patience:
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
        """Loss on some rows, and accuracy or R²."""
        with torch.no_grad():
            given = self.head(self.encode(rows))
        return float(self.goal.loss(given, rows)), self.goal.worth(given, rows)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `restore` takes back."""
        return copy.deepcopy((self.model.state_dict(), self.head.state_dict()))

    def restore(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        """Go back to an earlier state."""
        put_back(self.model, state[0])
        self.head.load_state_dict(state[1])


def _batches(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Batches of rows, of which the last is never a single one where it can be avoided."""
    stops = list(range(size, len(rows), size))
    if stops and len(rows) - stops[-1] == 1:
        stops.pop()
    yield from np.split(rows, stops)


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

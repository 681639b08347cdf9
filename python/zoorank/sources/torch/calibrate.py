"""Give an untrained network statistics that its own activations have."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.specs import ModelSpec
from zoorank.targets.base import Target
from zoorank.transforms.preprocess import prepare

_ROWS = 64


def calibrate_to(model: nn.Module, spec: ModelSpec, target: Target) -> None:
    """Calibrate a model on the first samples of a target, where its spec asks for it."""
    if spec.weights.calibrates:
        device = next(model.parameters(), torch.empty(0)).device
        first = range(min(_ROWS, target.n_samples))
        calibrate(model, prepare(spec.preprocessing, target, first).to(device))


def calibrate(model: nn.Module, batch: Tensor) -> None:
    """Set the running statistics of every batch normalization to those of one batch.

    The model is left in evaluation mode. One without batch normalization stays as it is.

    Parameters
    ----------
    model : torch.nn.Module
    batch : Tensor

    Raises
    ------
    SourceError
        When the network cannot be fed the batch.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average, so that one batch sets them wholly
        norm.train()
    try:
        with torch.no_grad():
            model(batch)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        shape = tuple(batch.shape)
        raise SourceError(f"cannot be fed a batch of shape {shape}: {one_line(error)}") from error
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()

"""Chains of sentence-transformers as modules that are cut, and their own way to pool."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from zoorank.sources.torch.cuts import Axes
from zoorank.sources.torch.pooling import TokenPooling
from zoorank.sources.torch.traces import Seen
from zoorank.transforms.base import Batch


class Chain(nn.Module):
    """The parts of a chain under their own names; called with tensors, it gives encodings.

    Parameters
    ----------
    model : sentence_transformers.SentenceTransformer
    extras : mapping of str to object
        What its first part adds to every batch that is no tensor.
    """

    def __init__(self, model: Any, extras: Mapping[str, Any]) -> None:
        super().__init__()
        for name, part in model.named_children():
            self.add_module(name, part)
        self._run = (model,)  # in a tuple, for a module would become one more part
        self._extras = dict(extras)

    def forward(self, output_hidden_states: bool = False, **inputs: Tensor) -> Any:
        """Run it; with hidden states, run its network alone."""
        (model,) = self._run
        if output_hidden_states:
            network = getattr(model[0], "auto_model", None)
            return {} if network is None else network(**inputs, output_hidden_states=True)
        return model({**inputs, **self._extras})["sentence_embedding"]


@dataclass(frozen=True)
class ChainPooling(TokenPooling):
    """Tokens as a chain's own part pools them, where it has one; words as others do.

    Attributes
    ----------
    part : nn.Module or None
        The part that pools.
    extras : mapping of str to object
        What the chain's first part adds to every batch that is no tensor.
    """

    part: nn.Module | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any, extras: Mapping[str, Any]) -> ChainPooling:
        """The pooling of a chain; the mean where it has none."""
        pooling = (part for part in model if type(part).__name__ == "Pooling")
        # A copy: hooks on the part in its place must not see what is pooled on the way there.
        return cls(part=copy.deepcopy(next(pooling, None)), extras=extras)

    def refusal(self, seen: Seen, axes: Axes, batch: Batch) -> str:
        """Say why a tensor cannot be pooled; empty where it can."""
        if self.mask not in batch.inputs:
            whole = len(seen.shape) == 2 and seen.shape[0] == batch.samples
            return "" if whole else f"its output has shape {seen.shape}, one vector a token"
        return super().refusal(seen, axes, batch)

    def pool(
        self, output: Tensor, axes: Axes, batch: Batch, inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """Make one float32 vector of each text or word."""
        if self.mask not in inputs:
            return output.float().clone()
        if self.part is None or output.ndim == 2 or batch.words is not None:
            return super().pool(output, axes, batch, inputs)
        features = {
            **self.extras,
            "token_embeddings": output.float(),
            "attention_mask": inputs[self.mask],
        }
        pooled: Tensor = self.part(features)["sentence_embedding"]
        return pooled.float()

"""How outputs of networks that a library describes become one vector a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoorank.sources.torch.cuts import LAST, SECOND, Axes, AxisPooling
from zoorank.sources.torch.token_rows import pool_tokens
from zoorank.sources.torch.traces import Seen, Trace
from zoorank.transforms.base import Batch
from zoorank.transforms.specs import TextPooling


@dataclass(frozen=True)
class DeclaredPooling(AxisPooling):
    """Pooling of networks of timm, torchvision and transformers.

    Of three axes theirs are samples, tokens and features. Of four they are what the module
    itself, or else the network, says: timm's have an ``output_fmt``, such as ``NHWC``.
    """

    def axes(self, model: nn.Module, record: Trace, seen: Seen, tick: int) -> Axes:
        """Find the axes of a tensor by the layers around it, else as they are declared."""
        found = super().axes(model, record, seen, tick)
        if found.channels is not None:
            return found
        if len(seen.shape) == 3:
            return found._replace(channels=LAST)
        return found._replace(channels=_declared(model, record, seen, tick))


@dataclass(frozen=True)
class TokenPooling:
    """One vector a text, or a word, of one vector a token; padding is left out.

    Attributes
    ----------
    how : {"mean", "max", "first_token", "last_token"}
    mask : str
        Name of the input that is 0 for padding.
    """

    how: TextPooling = "mean"
    mask: str = "attention_mask"

    def axes(self, _model: nn.Module, _record: Trace, _seen: Seen, _tick: int) -> Axes:
        """Features are last, by what models of texts are."""
        return Axes(LAST)

    def refusal(self, seen: Seen, _axes: Axes, batch: Batch) -> str:
        """Say why a tensor cannot be pooled; empty where it can."""
        shape, tokens = seen.shape, tuple(batch.inputs[self.mask].shape)
        if not seen.dtype.is_floating_point:
            return f"its output is {seen.dtype}"
        if len(shape) == 2 and shape[0] == tokens[0]:
            return "" if batch.words is None else "it gives one vector a sentence, not one a word"
        if len(shape) != 3 or shape[:2] != tokens:
            return f"its output, of shape {shape}, does not begin with texts and tokens, {tokens}"
        return ""

    def pool(
        self, output: Tensor, _axes: Axes, batch: Batch, inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """Make one float32 vector of each text or word."""
        return pool_tokens(output, inputs[self.mask], self.how, batch.words)


def _declared(model: nn.Module, record: Trace, seen: Seen, tick: int) -> int | None:
    giving = [
        name
        for name, calls in record.calls.items()
        for call in calls
        if call.end == tick and call.output == seen
    ]
    for part in (*(model.get_submodule(name) for name in giving), model):
        layout: Any = getattr(part, "output_fmt", None)
        axes = str(getattr(layout, "value", layout)).upper()
        if len(axes) == len(seen.shape) and set(axes) <= set("NCHWL"):
            return SECOND if axes[1] == "C" else LAST
    return None

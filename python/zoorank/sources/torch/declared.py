"""Axes of image networks that libraries publish, where no layer says which holds the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from zoorank.sources.torch.hooks import Seen, Trace
from zoorank.sources.torch.pooling import LAST, SECOND, Axes, AxisPooling


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

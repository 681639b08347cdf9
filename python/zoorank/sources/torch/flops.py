"""Counting the operations of a pass.

torch's own counter loads torch's compiler at the first operation, more than a second of work
that no pass has any use for.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class LightMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that sees every operation, and for whose sake torch loads no compiler."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch keeps its compiler away from such a mode, for which it has to load it.
        return "torch._dynamo" in sys.modules


class FlopCounter(LightMode):
    """Adds up operations by the formulas of torch's own counter.

    Attributes
    ----------
    total : int
        Of all that ran in this mode so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:  # in inference mode, what is made of other operations comes whole
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        result = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result

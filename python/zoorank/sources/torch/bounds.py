"""How large a network may become while it is built: about as large as its weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from zoorank.errors import SourceError

if TYPE_CHECKING:
    from zoorank.sources.files import Pin

# Generous: parameters are counted again when they get their values, heads may be new, and
# weights may be stored in a few bits. Real experts of a mixture, which are the smallest parts
# of the largest models, take far more than `_PART` bytes each.
_NUMBERS, _TIMES = 100_000_000, 16
_PARAMETERS, _PART = 5_000, 5_000


@contextmanager
def bounded_by(weights: Sequence[Pin]) -> Iterator[None]:
    """Stop building a network that becomes far larger than its weights.

    A configuration may ask for two thousand million layers. Whoever builds them would take all
    memory of the machine, or hours, before it is seen that the weights hold three.

    Parameters
    ----------
    weights : sequence of Pin
        The files of the network that is built inside, in this thread.

    Raises
    ------
    SourceError
        Inside, as soon as the network has far more parameters.
    """
    held = sum(each.path.stat().st_size for each in weights)
    most_numbers, most_parameters = _NUMBERS + _TIMES * held, _PARAMETERS + held // _PART
    numbers = parameters = 0
    here = threading.get_ident()

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal numbers, parameters
        if parameter is None or threading.get_ident() != here:
            return
        parameters += 1
        if not nn.parameter.is_lazy(parameter):
            numbers += parameter.numel()
        if numbers > most_numbers or parameters > most_parameters:
            raise SourceError(
                f"its configuration asks for a network far larger than its weights, {held:,} bytes"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()

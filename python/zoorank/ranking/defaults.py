"""What a source's code may change in this process, for others to suffer.

Defaults are put back after each source, wherever it runs. Functions of NumPy and torch that were
replaced are not: a process in which that was done takes no other source.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, partialmethod
from itertools import chain
from types import FunctionType
from typing import Any

import numpy as np

_looked_through: dict[int, tuple[str, ...]] = {}
_UNTOUCHED = ("torch.float32", "cpu", "False", "highest")
_KNOWN = frozenset({"torch", "numpy", "sympy", "typing_extensions", *sys.stdlib_module_names})


def framework_state() -> tuple[str, ...]:
    """Tell what no source may have changed when the next one comes.

    Raises
    ------
    Exception
        After an error on a CUDA device that lasts: whatever comes next there fails too.
    """
    found = [str(np.geterr()), str(_folder())]
    torch = sys.modules.get("torch")
    if torch is None:
        return (*found, *_UNTOUCHED)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    defaults = torch.get_default_dtype(), torch.get_default_device()
    deterministic = torch.are_deterministic_algorithms_enabled()
    settings = *defaults, deterministic, torch.get_float32_matmul_precision()
    return (*found, *map(str, settings), *_modes(torch), *_replaced(torch))


def _modes(torch: Any) -> tuple[str, ...]:
    """What is on that should not be, by its name."""
    hooks = vars(torch.nn.modules.module)
    is_on = {
        "autocast": torch.is_autocast_enabled("cpu"),
        "inference mode": torch.is_inference_mode_enabled(),
        "detection of anomalies": torch.is_anomaly_enabled(),
        "no oneDNN": not torch.backends.mkldnn.enabled,
        **{name: bool(each) for name, each in hooks.items() if _is_global_hooks(name, each)},
    }
    return tuple(name for name, is_so in is_on.items() if is_so)


def _is_global_hooks(name: str, value: object) -> bool:
    return name.startswith("_global_") and name.endswith("_hooks") and isinstance(value, dict)


@contextmanager
def defaults_kept() -> Iterator[None]:
    """Put back what code within has changed of the defaults of NumPy and torch."""
    folder, errors = _folder(), np.geterr()
    before = _defaults()
    try:
        yield
    finally:
        np.seterr(**errors)
        if folder is not None and _folder() != folder:
            with suppress(OSError):
                os.chdir(folder)
        _put_back(before)


def _folder() -> str | None:
    with suppress(OSError):
        return os.getcwd()  # noqa: PTH109
    return None


def _defaults() -> tuple[Any, ...]:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_device"):
        return ()
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
    )


def _put_back(before: tuple[Any, ...]) -> None:
    after = _defaults()
    if not after:
        return
    torch: Any = sys.modules["torch"]
    # How many threads there were is not known where torch is new here.
    before = before or (torch.float32, torch.device("cpu"), False, True, "highest", after[-1])
    # One by one: `use_deterministic_algorithms` loads torch's compiler, a second and a half.
    for old, new, put in zip(before, after, _setters(torch), strict=True):
        if old != new:
            put(old)


def _setters(torch: Any) -> tuple[Callable[[Any], object], ...]:
    """What sets each of the defaults."""
    return (
        torch.set_default_dtype,
        lambda device: torch.set_default_device(None if device.type == "cpu" else device),
        torch.use_deterministic_algorithms,
        torch.set_grad_enabled,
        torch.set_float32_matmul_precision,
        torch.set_num_threads,
    )


def _replaced(torch: Any) -> tuple[str, ...]:
    """Names of functions and classes of NumPy and torch that are somebody else's by now."""
    modules = [each for each in vars(torch.nn).values() if isinstance(each, type)]
    places = (
        np,
        np.linalg,
        torch,
        torch.nn,
        torch.nn.functional,
        torch.nn.init,
        torch.Tensor,
        *modules,
    )
    state = hash(tuple(map(id, chain.from_iterable(vars(each).values() for each in places))))
    if state not in _looked_through:
        _looked_through.clear()  # of the last state alone
        _looked_through[state] = _foreign(places)
    return _looked_through[state]


def _foreign(places: Iterable[Any]) -> tuple[str, ...]:
    found = []
    for place in places:
        for name, value in vars(place).items():
            home = _home(value)
            if home is not None and str(home).partition(".")[0] not in _KNOWN:
                found.append(f"{place.__name__}.{name}")
    return tuple(found)


def _home(value: object) -> object:
    """The module that a function or class is of; None for all else."""
    while isinstance(value, partial | partialmethod):
        value = value.func
    if isinstance(value, FunctionType):
        return value.__globals__.get("__name__", "")
    return value.__module__ if isinstance(value, type) else None

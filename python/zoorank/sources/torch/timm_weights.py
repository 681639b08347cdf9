"""Networks of timm with weights from a file: as timm reads it, else wherever in it they are."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.published import package
from zoorank.sources.torch.bounds import bounded_by
from zoorank.sources.torch.checkpoint import read_checkpoint, read_weights
from zoorank.sources.torch.factory import only_safe_loads
from zoorank.sources.torch.known import refuse_fetching
from zoorank.sources.torch.match import Filled, fill

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoorank.sources.files import Pin


def load(
    config: Any, file: Pin, arguments: Mapping[str, Any], *, is_own: bool
) -> tuple[nn.Module, Filled]:
    """Build a network with the weights of a file.

    Parameters
    ----------
    config : timm.models.PretrainedCfg
    file : Pin
    arguments : mapping
        Of the network, as its directory has them.
    is_own : bool
        Whether the file is the user's and not timm's, so that it may be wrapped, lack the head or
        have one for other classes.

    Raises
    ------
    SourceError
        When timm cannot load it, and nothing of the network is found in it.
    """
    refuse_fetching(arguments)  # a stranger's: timm unpickles the file of a checkpoint_path
    overlay: dict[str, Any] = {"source": None, "file": str(file.path)}
    is_numpy = file.path.suffix == ".npz"
    if is_numpy:
        overlay["custom_load"] = True
    elif file.path.suffix != ".safetensors":
        # Earlier versions of timm would run what a pickle says.
        overlay |= {"file": None, "state_dict": read_weights(file)}
    if is_own:
        overlay |= _classes(config, overlay.get("state_dict") or read_weights(file))
    try:
        module, missing = _created(config, file, overlay, arguments)
    except SourceError:
        if not is_own or is_numpy:
            raise
        return _searched(config, file, arguments)
    if missing and is_own and not is_numpy:
        return _searched(config, file, arguments)
    return module, Filled({name: name for name in missing}, ())


def _searched(config: Any, file: Pin, arguments: Mapping[str, Any]) -> tuple[nn.Module, Filled]:
    held = read_checkpoint(file)
    length = held.length(f"{_heads(config)[0]}.weight")
    overlay = {} if length in (None, config.num_classes) else {"num_classes": length}
    bare, _ = _created(config, file, overlay, arguments, pretrained=False)
    return bare, fill(bare, held)


def _created(
    config: Any,
    file: Pin,
    overlay: Mapping[str, Any],
    arguments: Mapping[str, Any],
    *,
    pretrained: bool = True,
) -> tuple[nn.Module, frozenset[str]]:
    """A network, and which parameters timm did not find in its weights."""
    timm = package("timm", "timm")
    try:
        with only_safe_loads(), bounded_by([file]), _missing() as missing:
            module: nn.Module = timm.create_model(
                config.architecture,
                pretrained=pretrained,
                pretrained_cfg=config.to_dict(),
                pretrained_cfg_overlay=dict(overlay),
                **arguments,
            )
    except SourceError:
        raise
    except Exception as error:  # building runs a library's code: anything may come
        raise SourceError(f"timm cannot load it: {one_line(error)}") from error
    return module, frozenset(missing)


def _heads(config: Any) -> tuple[str, ...]:
    """Names of the layers that give the classes."""
    names = config.classifier
    return tuple(names) if isinstance(names, tuple | list) else (names,)


def _classes(config: Any, weights: Mapping[str, Tensor]) -> dict[str, int]:
    """How many classes a file's head has, where they are not as many as the published one's."""
    heads = [weights[f"{name}.weight"] for name in _heads(config) if f"{name}.weight" in weights]
    if not heads or len(heads[0]) == config.num_classes:
        return {}
    return {"num_classes": len(heads[0]), "label_offset": 0}


@contextmanager
def _missing() -> Iterator[set[str]]:
    """Collect the parameters that timm, which only logs them, does not find in the weights."""
    found: set[str] = set()

    class _Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said = re.match(r"Missing keys \((.*?)\)", record.getMessage())
            found.update(said[1].split(", ") if said else ())

    logger = logging.getLogger("timm.models._builder")
    listener, level, propagate = _Listener(), logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate

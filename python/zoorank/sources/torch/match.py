"""Which tensor of a checkpoint is which of a network, whatever stands before their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, equal, nn, strided
from torch.nn.parameter import is_lazy

from zoorank.errors import SourceError
from zoorank.messages import listing, one_line
from zoorank.sources.torch.checkpoint import Checkpoint

_SHOWN = 3

# What wrappers put into the middle of names.
_WRAPPERS = {"_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod", "module"}

# Names that layers had in other versions: weight and spectral normalization, before torch had
# parametrizations and since; TensorFlow's layer normalization; the first densenets.
_FORMER = (
    (re.compile(r"(\w+)_g$"), r"parametrizations.\1.original0"),
    (re.compile(r"(\w+)_v$"), r"parametrizations.\1.original1"),
    (re.compile(r"parametrizations\.(\w+)\.original0$"), r"\1_g"),
    (re.compile(r"parametrizations\.(\w+)\.original1$"), r"\1_v"),
    (re.compile(r"(\w+)_orig$"), r"parametrizations.\1.original"),
    (re.compile(r"(\w+)_(u|v)$"), r"parametrizations.\1.0._\2"),
    (re.compile(r"parametrizations\.(\w+)\.original$"), r"\1_orig"),
    (re.compile(r"parametrizations\.(\w+)\.0\._(u|v)$"), r"\1_\2"),
    (re.compile(r"gamma$"), "weight"),
    (re.compile(r"beta$"), "bias"),
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\."), r"\1\2."),
)

# Where several sets of weights fit, what publications report is of the first of these.
_PREFERRED = (
    re.compile(r"(^|[._])ema([._]|$)|ema_?model|averaged|(^|[._])swa([._]|$)"),
    re.compile(r"teacher"),
    re.compile(r"encoder_q|base_encoder"),
)


@dataclass(frozen=True)
class Filled:
    """A network whose weights come from a checkpoint.

    Attributes
    ----------
    fresh : mapping of str to str
        Parameters and buffers that it does not hold, and what to say of each.
    notes : tuple of str
        What was found, for the reader of a table.
    """

    fresh: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    """Tensors of a checkpoint that have the same before their names.

    Attributes
    ----------
    before : str
        In the checkpoint, with a dot where it is not empty.
    lacking : str
        What the network's own names begin with and the checkpoint's do not.
    names : mapping of str to str
        Names in the checkpoint by those of the network.
    fitting : int
        How many have the network's shape.
    """

    before: str
    lacking: str
    names: Mapping[str, str]
    fitting: int


def fill(model: nn.Module, checkpoint: Checkpoint) -> Filled:
    """Load into a network what a checkpoint holds of it.

    Parameters
    ----------
    model : nn.Module
    checkpoint : Checkpoint

    Returns
    -------
    Filled

    Raises
    ------
    SourceError
        When it holds nothing of the network, or several sets of weights that fit.
    """
    state = model.state_dict(keep_vars=True)
    own = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    group, others = _find(own, checkpoint)
    given = {name: checkpoint.tensors[each] for name, each in group.names.items()}
    reshaped = {
        name: f"{name} ({reason})"
        for name, value in given.items()
        if (reason := _unlike(own[name], value))
    }
    fitting = {
        name: value if value.layout == strided else value.to_dense()
        for name, value in given.items()
        if name not in reshaped
    }
    _check_tied(own, fitting, checkpoint)
    lost = [name for name in own if name not in group.names]
    if not fitting:
        raise SourceError(_misfit(checkpoint, lost, group, reshaped))
    try:
        # torch knows what an older file may lack: the counters of batch normalization.
        missing = model.load_state_dict(fitting, strict=False).missing_keys
    except RuntimeError as error:
        raise SourceError(
            f"{checkpoint.file.name} does not fit the network: {one_line(error)}"
        ) from error
    held = {_address(own[name]) for name in fitting}
    fresh = {
        name: reshaped.get(name, name)
        for name in missing
        if name in own and (is_lazy(own[name]) or not _is_known(own[name], held))
    }
    return Filled(fresh, tuple(_notes(checkpoint, group, others, fresh)))


def _find(own: Mapping[str, Tensor], checkpoint: Checkpoint) -> tuple[_Group, list[_Group]]:
    """The group of tensors that fits best, and others that fit as well."""
    tensors = checkpoint.tensors
    groups = list(_groups(own, tensors, exact=checkpoint.is_exact))
    if not checkpoint.is_exact:
        best = max((group.fitting for group in groups), default=0)
        if 2 * best < len(own):
            groups += _within(own, tensors)
    if not groups:
        return _Group("", "", {}, 0), []
    best = max(group.fitting for group in groups)
    equals = [group for group in groups if group.fitting == best]
    return _preferred(equals, checkpoint) if best else (equals[0], [])


def _groups(
    own: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    *,
    exact: bool = False,
    lacking: str = "",
) -> Iterator[_Group]:
    """Groups by what stands before names of the network."""
    for strip in (False, True):
        found: dict[str, dict[str, str]] = {}
        for name in tensors:
            parts = name.split(".")
            if strip:
                parts = [part for part in parts if part not in _WRAPPERS]
            for place in range(1 if exact else len(parts)):
                known = _own_name(".".join(parts[place:]), own)
                if known is not None:
                    found.setdefault(".".join([*parts[:place], ""]), {}).setdefault(known, name)
        for before, names in found.items():
            fitting = sum(_fits(own[name], tensors[each]) for name, each in names.items())
            yield _Group(before, lacking, {lacking + k: each for k, each in names.items()}, fitting)


def _own_name(name: str, own: Mapping[str, Tensor]) -> str | None:
    if name in own:
        return name
    for pattern, instead in _FORMER:
        if pattern.search(name) and (renamed := pattern.sub(instead, name)) in own:
            return renamed
    return None


def _within(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Iterator[_Group]:
    """Groups where the network wraps what the checkpoint holds."""
    for depth in (1, 2):
        starts = {".".join([*name.split(".")[:depth], ""]) for name in own}
        for start in sorted(starts):
            inner = {
                name.removeprefix(start): value
                for name, value in own.items()
                if name.startswith(start)
            }
            for group in _groups(inner, tensors, lacking=start):
                if 10 * group.fitting >= 9 * len(inner) and group.fitting > 1:
                    yield group


def _preferred(groups: list[_Group], checkpoint: Checkpoint) -> tuple[_Group, list[_Group]]:
    """Choose among groups that fit equally well, or say that the user has to."""
    different: list[_Group] = []
    for group in groups:
        if not any(_same(each, group, checkpoint.tensors) for each in different):
            different.append(group)
    if len(different) == 1:
        return different[0], []
    for pattern in _PREFERRED:
        chosen = [group for group in different if pattern.search(group.before)]
        if len(chosen) == 1:
            return chosen[0], [group for group in different if group is not chosen[0]]
    places = listing([repr(group.before.rstrip(".") or "the top") for group in different], 8)
    raise SourceError(
        f"{checkpoint.file.written}: holds several sets of weights that fit: {places}; "
        "say state_dict.key or state_dict.prefix"
    )


def _same(one: _Group, other: _Group, tensors: Mapping[str, Tensor]) -> bool:
    return one.names.keys() == other.names.keys() and all(
        tensors[name] is tensors[other.names[own]]
        or (
            tensors[name].shape == tensors[other.names[own]].shape
            and equal(tensors[name], tensors[other.names[own]])
        )
        for own, name in one.names.items()
    )


def _fits(own: Tensor, value: Tensor) -> bool:
    return is_lazy(own) or own.shape == value.shape


def _unlike(own: Tensor, value: Tensor) -> str:
    """Why a tensor cannot stand for one of the network; torch would copy more than that.

    It drops imaginary parts, and takes the integers of quantized weights for the weights.
    """
    if not _fits(own, value):
        return f"network {tuple(own.shape)}, file {tuple(value.shape)}"
    kinds = f"network {own.dtype}, file {value.dtype}".replace("torch.", "")
    if value.is_quantized and not own.is_quantized:
        return kinds
    if value.is_complex() and not own.is_complex():
        return kinds
    whole = not (value.is_floating_point() or value.is_complex() or value.is_quantized)
    is_weight = isinstance(own, nn.Parameter) and own.is_floating_point()
    return kinds if is_weight and whole else ""


def _is_known(own: Tensor, held: set[tuple[int, ...]]) -> bool:
    """Whether a tensor that a file lacks needs none: tied to one that is there, or counted.

    Counters and tables of positions are whole numbers, which the network makes itself.
    """
    return _address(own) in held or not own.is_floating_point()


def _address(tensor: Tensor) -> tuple[int, ...]:
    return () if is_lazy(tensor) else (tensor.data_ptr(), *tensor.shape, *tensor.stride())


def _check_tied(
    own: Mapping[str, Tensor], fitting: Mapping[str, Tensor], checkpoint: Checkpoint
) -> None:
    """Refuse different numbers for what is one tensor of the network."""
    first: dict[tuple[int, ...], str] = {}
    for name, value in fitting.items():
        if is_lazy(own[name]) or not own[name].numel():
            continue
        known = first.setdefault(_address(own[name]), name)
        if known != name and not equal(fitting[known], value):
            raise SourceError(
                f"{checkpoint.file.name} does not fit the network: {known} and {name} are one "
                "tensor there and two in the file"
            )


def _misfit(
    checkpoint: Checkpoint, lost: list[str], group: _Group, reshaped: Mapping[str, str]
) -> str:
    used = set(group.names.values())
    groups = (
        ("missing", lost),
        ("unexpected", [name for name in checkpoint.tensors if name not in used]),
        ("of another shape", reshaped.values()),
    )
    faults = [f"{what} {listing(names, _SHOWN)}" for what, names in groups if names]
    return f"{checkpoint.file.name} does not fit the network: {'; '.join(faults)}"


def _notes(
    checkpoint: Checkpoint, group: _Group, others: list[_Group], fresh: Mapping[str, str]
) -> Iterator[str]:
    file, before = checkpoint.file.name, group.before
    if before and not checkpoint.is_exact:
        also = listing([repr(each.before.rstrip(".") or "the top") for each in others], _SHOWN)
        yield f"weights of {file} from {before.rstrip('.')!r}" + (f", not {also}" if also else "")
    if group.lacking:
        yield f"weights of {file} for {group.lacking.rstrip('.')!r}"
    beside = [name.removeprefix(before) for name in checkpoint.others if name.startswith(before)]
    if beside and group.names:
        yield f"left out of {file}: {listing(beside, _SHOWN)}"
    if fresh:
        used = set(group.names.values())
        more = [name for name in checkpoint.tensors if name.startswith(before) and name not in used]
        known = f"; it holds {listing(more, _SHOWN)}, which the network lacks" if more else ""
        yield f"{file} lacks {listing(fresh.values(), _SHOWN)}{known}"

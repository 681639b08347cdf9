"""The base of everything a manifest may say, and its errors in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from zoorank.messages import brief, hint, one_line

Key = tuple[str | int, ...]

_SHOWN = 3
_TAGS = ("image", "series", "table", "text", "audio")
# In the words of TOML, not of Python.
_PLAIN = {
    "tuple_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


class Frozen(BaseModel):
    """A frozen record that refuses keys it does not know, naming the nearest one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            unknown = [str(key) for key in values if key not in cls.model_fields]
            if unknown:
                context = {"unknown": unknown, "allowed": list(cls.model_fields)}
                raise PydanticCustomError("unknown_keys", "{unknown}", context)
        return values


def custom(message: str) -> PydanticCustomError:
    """Build a validation error that says ``message`` and nothing else."""
    return PydanticCustomError("zoorank", "{message}", {"message": message})


class Fault(NamedTuple):
    """One thing wrong with a record.

    Attributes
    ----------
    key : tuple of str or int
        What it is about, from the outermost key inwards; empty for the whole record.
    message : str
        One line.
    place : tuple of str or int
        What to look for in the text: the key, or in a record an unknown one.
    """

    key: Key
    message: str
    place: Key

    def __str__(self) -> str:
        key = ".".join(map(str, self.key))
        return f"{key}: {self.message}" if key else self.message


class Faults(NamedTuple):
    """All that is wrong with a record.

    Attributes
    ----------
    first : tuple of Fault
        As many as a message of one line has room for, at least one.
    others : int
        How many more there are.
    """

    first: tuple[Fault, ...]
    others: int = 0


def find_faults(error: ValidationError, also_allowed: Iterable[str] = ()) -> Faults:
    """Say what a validation error says, in the order of the fields.

    Parameters
    ----------
    error : ValidationError
    also_allowed : iterable of str
        Keys beside those of the outermost record, to be named where one is unknown.
    """
    details = error.errors(include_url=False)
    found = [
        (detail, name)
        for detail in details
        for name in (detail["ctx"]["unknown"] if detail["type"] == "unknown_keys" else (None,))
    ]
    # An unknown key is compared with all that there are: of thousands, the first few alone.
    first = tuple(_fault(detail, name, also_allowed) for detail, name in found[:_SHOWN])
    return Faults(first, len(found) - len(first))


def _fault(detail: Any, unknown: str | None, also_allowed: Iterable[str]) -> Fault:
    key = tuple(part for part in detail["loc"] if part not in _TAGS)
    if unknown is None:
        return Fault(key, _message(detail["type"], detail), key)
    allowed = [*detail["ctx"]["allowed"], *([] if key else also_allowed)]
    return Fault(key, f"unknown key {brief(unknown)}; {hint(unknown, allowed)}", (*key, unknown))


def explain(error: ValidationError) -> tuple[Key, str]:
    """Reduce a validation error to the key it is about and one line.

    Returns
    -------
    key : tuple of str or int
        Of the first thing wrong.
    message : str
        That, and with their keys the next few.
    """
    faults = find_faults(error)
    first, *others = faults.first
    return first.key, join([first.message, *map(str, others)], faults.others)


def join(faults: Sequence[str], others: int = 0) -> str:
    """Put the first few of several faults in one line, with the number of the others."""
    left_out = [f"and {others} more"] if others else []
    return "; ".join([faults[0], *(f"also {each}" for each in faults[1:]), *left_out])


def _message(kind: str, detail: Mapping[str, Any]) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    match kind:
        case "missing":
            return "is missing"
        case "literal_error":
            return f"{brief(value)} is not one of {context['expected']}"
        case "value_error":
            return one_line(context["error"])
        case "zoorank":
            return one_line(detail["msg"])
        case "union_tag_not_found":
            *others, last = map(repr, _TAGS)
            return f"needs input = {', '.join(others)} or {last}"
        case "union_tag_invalid":
            tag = brief(context["tag"])
            return f"input = {tag} is not one of {context['expected_tags']}"
    if kind in _PLAIN:
        return f"must be {_PLAIN[kind]}, not {brief(value)}"
    text = detail["msg"]
    return f"{text[0].lower()}{text[1:]}, not {brief(value)}"

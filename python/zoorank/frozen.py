"""The base of everything a manifest may say, and its errors in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from zoorank.messages import hint

Key = tuple[str | int, ...]

_SHOWN = 3
_TAGS = ("image", "series", "table", "text")
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
                hints = {key: hint(key, cls.model_fields) for key in unknown}
                raise PydanticCustomError("unknown_keys", "{hints}", {"hints": hints})
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


def find_faults(error: ValidationError) -> list[Fault]:
    """List all that a validation error says, in the order of the fields."""
    found = []
    for detail in error.errors(include_url=False):
        key = tuple(part for part in detail["loc"] if part not in _TAGS)
        if detail["type"] == "unknown_keys":
            for name, near in detail["ctx"]["hints"].items():
                found.append(Fault(key, f"unknown key {name!r}; {near}", (*key, name)))
        else:
            found.append(Fault(key, _message(detail["type"], detail), key))
    return found


def explain(error: ValidationError) -> tuple[Key, str]:
    """Reduce a validation error to the key it is about and one line.

    Returns
    -------
    key : tuple of str or int
        Of the first thing wrong.
    message : str
        That, and with their keys the next few.
    """
    first, *others = find_faults(error)
    return first.key, join([first.message, *map(str, others)])


def join(faults: Sequence[str]) -> str:
    """Put the first three of several faults in one line, and count the others."""
    left_out = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return "; ".join([faults[0], *(f"also {each}" for each in faults[1:_SHOWN]), *left_out])


def _message(kind: str, detail: Mapping[str, Any]) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    match kind:
        case "missing":
            return "is missing"
        case "literal_error":
            return f"{value!r} is not one of {context['expected']}"
        case "value_error":
            return str(context["error"])
        case "zoorank":
            return str(detail["msg"])
        case "union_tag_not_found":
            *others, last = map(repr, _TAGS)
            return f"needs input = {', '.join(others)} or {last}"
        case "union_tag_invalid":
            return f"input = {context['tag']!r} is not one of {context['expected_tags']}"
    if kind in _PLAIN:
        return f"must be {_PLAIN[kind]}, not {value!r}"
    text = detail["msg"]
    return f"{text[0].lower()}{text[1:]}, not {value!r}"

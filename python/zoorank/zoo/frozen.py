"""The base of everything a manifest may say, and its errors in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from zoorank.zoo.hints import hint


class Frozen(BaseModel):
    """A frozen record that refuses keys it does not know, naming the nearest one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for key in values:
                if key not in cls.model_fields:
                    raise custom(f"unknown key {key!r}; {hint(str(key), cls.model_fields)}")
        return values


def custom(message: str) -> PydanticCustomError:
    """Build a validation error that says ``message`` and nothing else."""
    return PydanticCustomError("zoorank", "{message}", {"message": message})


def explain(error: ValidationError) -> tuple[tuple[str | int, ...], str]:
    """Reduce a validation error to the key it is about and one line.

    Returns
    -------
    key : tuple of str or int
        From the outermost key inwards; empty for the whole record.
    message : str
        The first thing wrong, and how many others there are.
    """
    details = error.errors(include_url=False)
    first = details[0]
    key = tuple(part for part in first["loc"] if part not in ("image", "series", "table"))
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return key, _message(first["type"], first) + more


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
            return "needs input = 'image', 'series' or 'table'"
        case "union_tag_invalid":
            return f"input = {context['tag']!r} is not one of {context['expected_tags']}"
    text = detail["msg"]
    return f"{text[0].lower()}{text[1:]}, not {value!r}"

"""What a source's code and libraries raise, wherever it is, is said as its own fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.encoding.numpy_source import Model, Rows

from zoorank.encoding.encode import encode_source
from zoorank.errors import SourceError, ZoorankError
from zoorank.sources.base import Known
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

PLACES = ("resolve", "identity", "open", "prepare", "collate", "cuts", "encode")


class Panic(BaseException):
    """As libraries written in Rust raise."""


def _raising(place: str, error: BaseException) -> Any:
    """A source that fails there."""

    def fails(*_: object, **__: object) -> Any:
        raise error

    def or_fails(name: str, does: Callable[..., Any]) -> Callable[..., Any]:
        return fails if name == place else does

    rows, model = Rows(), Model()
    transform = SimpleNamespace(key="rows", fitted=lambda _: transform)
    transform.prepare = or_fails("prepare", rows.prepare)
    transform.collate = or_fails("collate", rows.collate)
    model.transform = transform
    model.cuts = or_fails("cuts", model.cuts)  # type: ignore[method-assign]
    model.encode = or_fails("encode", model.encode)  # type: ignore[method-assign]
    source = SimpleNamespace(name="bad", cuts=(), known=Known)
    source.resolve = or_fails("resolve", lambda _: source)
    source.identity = or_fails("identity", lambda: {"name": "bad"})
    source.open = or_fails("open", lambda _: model)
    return source


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", [KeyError("boom"), Panic("boom"), SystemExit("boom")])
def test_a_source_fails_itself(tmp_path: Path, place: str, error: BaseException) -> None:
    target = load_target((np.arange(24, dtype=np.float32).reshape(8, 3), np.arange(8) % 2))
    store = EncodingStore(tmp_path)
    with pytest.raises(SourceError, match="boom") as caught:
        encode_source(_raising(place, error), target, cuts=["one"], store=store)
    assert caught.value.__cause__ is not None


def test_whoever_interrupts_is_not_the_source(tmp_path: Path) -> None:
    target = load_target((np.arange(24, dtype=np.float32).reshape(8, 3), np.arange(8) % 2))
    with pytest.raises(KeyboardInterrupt):
        encode_source(
            _raising("prepare", KeyboardInterrupt()),
            target,
            cuts=["one"],
            store=EncodingStore(tmp_path),
        )


def test_an_error_is_one_line() -> None:
    assert str(ZoorankError("a\nb\u2028c\r\nd")) == "a b c d"

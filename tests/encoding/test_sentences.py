"""Where a row is a word, what went through a source are sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoorank.encoding.encode import encode_source
from zoorank.errors import SourceError
from zoorank.sources.references import source_of
from zoorank.sources.vectors.encoder import VectorsEncoder
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

TAGGED = "a N\nb V\n\nc N\na V\nb N\n\nb V\n\na N\na N\n"  # four sentences, eight words


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("v.txt").write_text("a 1 0\nb 0 1\nc 1 1\n")
    Path("words.conll").write_text(TAGGED)
    return source_of("vectors:v.txt"), load_target("words.conll"), EncodingStore(tmp_path / "store")


def test_seconds_are_those_of_a_sentence(given) -> None:
    source, target, store = given
    (found,) = encode_source(source, target, store=store).encodings
    assert (len(target), target.n_rows, len(found.load())) == (4, 8, 8)
    assert found.record.samples == 4
    assert found.record.milliseconds == 1000 * found.record.seconds / 4
    # Of some rows, and where the encoding of all is there already.
    (part,) = encode_source(source, target, store=store, rows=np.arange(5)).encodings
    assert (len(part.load()), part.record.samples) == (5, 2)


def test_what_fails_is_a_sentence(given, monkeypatch) -> None:
    def fails(*_):
        raise SourceError("no such word")

    source, target, store = given
    encode_source(source, target, store=store, rows=np.arange(5))
    once = VectorsEncoder.encode
    monkeypatch.setattr(
        VectorsEncoder,
        "encode",
        lambda self, batch, cuts: once(self, batch, cuts) if batch.rows < 8 else fails(),
    )
    with pytest.raises(SourceError, match="failed on sentences 0 to 3: no such word"):
        encode_source(source, target, store=store)

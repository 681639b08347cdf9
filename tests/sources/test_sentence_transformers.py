"""`st:`: MiniLM as its authors publish it, and tiny chains of every kind."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from tests.sources.carried import lay_cache, minilm
from tests.sources.tiny_transformers import save

from zoorank.errors import SourceError
from zoorank.sources.base import Entry, EntryError
from zoorank.sources.sentence_transformers import (
    ChainSource,
    ChainTransform,
    choose,
    prompt_of,
    sources,
    transform_of,
)
from zoorank.sources.tokens import TokenTransform
from zoorank.transforms.specs import TextPreprocessing

TEXTS = ["the cat sat on a mat", "dog", "a red dog ran far on the mat on the mat"]


def refuse(line: str) -> None:
    raise AssertionError(line)


def one(identifier: str, revision: str | None = None, **keys: Any) -> ChainSource:
    (source,) = sources(identifier, revision, Entry(**keys))
    return source


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, of a hub that may not be asked."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("SENTENCE_TRANSFORMERS_HOME", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain with prompts, and a layer behind its pooling."""
    place = tmp_path_factory.mktemp("tiny")
    save("bert", place / "network")
    torch.manual_seed(0)
    modules = sentence_transformers.base.modules
    chain = SentenceTransformer(
        modules=[
            modules.Transformer(str(place / "network"), max_seq_length=9),
            Pooling(16, "weightedmean", include_prompt=False),
            modules.Dense(16, 6),
            modules.Normalize(),
        ],
        device="cpu",
        prompts={"query": "the red ", "document": ""},
        default_prompt_name="query",
    )
    chain.save(str(place / "chain"), create_model_card=False)
    return place / "chain"


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain whose first part is no tokenizer with a mask."""
    place = tmp_path_factory.mktemp("static")
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm()).backend_tokenizer
    chain = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    chain.save(str(place / "chain"), create_model_card=False)
    return place / "chain"


def test_minilm_is_the_chain_of_its_library() -> None:
    source = one(str(minilm())).resolve(refuse)
    model, missing = source.build()
    assert not missing
    theirs = SentenceTransformer(str(minilm()), device="cpu", local_files_only=True)
    assert torch.equal(model[0].model.pooler.dense.weight, theirs[0].model.pooler.dense.weight)
    transform, told = transform_of(model, source.entry, "")
    assert isinstance(transform, TokenTransform)
    assert (transform.max_length, told) == (256, {"modality": "text"})
    assert pickle.loads(pickle.dumps(source)) == source


def test_texts_are_prepared_as_by_the_chain(tiny: Path) -> None:
    source = one(str(tiny)).resolve(refuse)
    model, missing = source.build()
    assert not missing
    prompt = prompt_of(model, None)
    assert prompt == "the red "
    transform, told = transform_of(model, source.entry, prompt)
    assert isinstance(transform, TokenTransform)
    assert told == {"modality": "text", "prompt_length": 3}
    batch = transform.collate([transform.prepare(text) for text in TEXTS])
    theirs = model.preprocess(TEXTS, prompt="the red ")
    np.testing.assert_array_equal(batch.inputs["input_ids"], theirs["input_ids"])
    np.testing.assert_array_equal(batch.inputs["attention_mask"], theirs["attention_mask"])
    assert transform.prepare(TEXTS[2]).truncated


def test_prompts_by_name_and_in_full(tiny: Path) -> None:
    model, _ = one(str(tiny)).resolve(refuse).build()
    assert prompt_of(model, "document") == ""
    with pytest.raises(SourceError, match="no prompt 'querry'; did you mean 'query'"):
        prompt_of(model, "querry")
    entry = Entry(preprocessing=TextPreprocessing(prefix="a cat "))
    transform, _ = transform_of(model, entry, "the red ")
    assert isinstance(transform, TokenTransform)
    assert transform.prefix == "a cat "
    with pytest.raises(EntryError, match="prefix is a prompt of its own"):
        one(str(tiny), preprocessing=entry.preprocessing, settings={"prompt": "query"})


def test_other_first_parts_prepare_texts_themselves(static: Path) -> None:
    source = one(str(static)).resolve(refuse)
    model, _ = source.build()
    transform, _ = transform_of(model, source.entry, "")
    assert isinstance(transform, ChainTransform)
    prepared = [transform.prepare(text) for text in TEXTS]
    assert [each.length for each in prepared] == [7, 2, 12]
    batch = transform.collate(prepared)
    theirs = model.preprocess(TEXTS)
    for name, value in theirs.items():
        np.testing.assert_array_equal(batch.inputs[name], value)
    with pytest.raises(SourceError, match="one row a word"):
        transform.prepare(["the", "cat"])


def test_the_cache_of_the_hub(
    cache: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="org/tiny: the hub's cache lacks all of it"):
        one("org/tiny").resolve(refuse)
    snapshot = lay_cache(cache, "org/tiny", tiny)
    source = one("org/tiny").resolve(refuse)
    assert source.folder == snapshot
    assert source.identity() == one(str(tiny)).resolve(refuse).identity()
    lay_cache(tmp_path / "own", "sentence-transformers/tiny", tiny)
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "own"))
    assert one("tiny").resolve(refuse).identity() == source.identity()
    (snapshot / "2_Dense" / "model.safetensors").unlink()
    monkeypatch.delenv("SENTENCE_TRANSFORMERS_HOME")
    with pytest.raises(SourceError, match="the hub's cache lacks 2_Dense/weights"):
        one("org/tiny").resolve(refuse)


def test_the_digest_covers_every_part(tiny: Path, tmp_path: Path) -> None:
    def copied(name: str, file: str, content: bytes) -> Any:
        place = tmp_path / name
        for each in (each for each in tiny.rglob("*") if each.is_file()):
            (place / each.relative_to(tiny)).parent.mkdir(parents=True, exist_ok=True)
            (place / each.relative_to(tiny)).write_bytes(each.read_bytes())
        (place / file).write_bytes(content)
        return one(str(place)).resolve(refuse).identity()

    own = one(str(tiny)).resolve(refuse).identity()
    weights = tiny / "2_Dense" / "model.safetensors"
    assert copied("same", "2_Dense/model.safetensors", weights.read_bytes()) == own
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    assert copied("dense", "2_Dense/model.safetensors", bytes(changed)) != own
    pooling = json.loads((tiny / "1_Pooling" / "config.json").read_text()) | {"pooling_mode": "cls"}
    assert copied("pooling", "1_Pooling/config.json", json.dumps(pooling).encode()) != own
    assert copied("card", "README.md", b"# Words") == own


def test_a_network_that_the_library_pools(tmp_path: Path) -> None:
    save("bert-masked", tmp_path / "network")
    source = one("./network", folder=tmp_path).resolve(refuse)
    model, missing = source.build()
    assert missing == {"0.model.pooler.dense.weight", "0.model.pooler.dense.bias"}
    assert [type(part).__name__ for part in model] == ["Transformer", "Pooling"]


def test_a_part_of_somebody_else_is_never_imported(tiny: Path, tmp_path: Path) -> None:
    place = tmp_path / "own"
    for each in (each for each in tiny.rglob("*") if each.is_file()):
        (place / each.relative_to(tiny)).parent.mkdir(parents=True, exist_ok=True)
        (place / each.relative_to(tiny)).write_bytes(each.read_bytes())
    mark = tmp_path / "ran"
    (place / "own_part.py").write_text(f"open({str(mark)!r}, 'w')\nclass Part: pass\n")
    parts = json.loads((place / "modules.json").read_text())
    parts[1]["type"] = "own_part.Part"
    (place / "modules.json").write_text(json.dumps(parts))
    with pytest.raises(SourceError, match=r"'own_part.Part' is none of sentence-transformers' own"):
        one(str(place)).resolve(refuse).build()
    assert not mark.exists()
    parts[1]["path"] = "../elsewhere"
    (place / "modules.json").write_text(json.dumps(parts))
    with pytest.raises(SourceError, match="leads out of its folder"):
        one(str(place)).resolve(refuse)


def test_of_a_repository_only_what_the_chain_needs() -> None:
    files = [
        "modules.json", "README.md", "config.json", "data_config.json", "model.safetensors",
        "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "onnx/config.json",
        "openvino/openvino_model.bin", "1_Pooling/config.json", "2_Dense/config.json",
        "2_Dense/pytorch_model.bin", "tokenizer.json", "vocab.txt", "train_script.py",
    ]  # fmt: skip
    assert sorted(choose(files)) == [
        "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/pytorch_model.bin", "README.md",
        "config.json", "model.safetensors", "modules.json", "tokenizer.json", "vocab.txt",
    ]  # fmt: skip


def test_references_that_are_none(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="neither a repository nor a directory"):
        one("a/b/c")
    with pytest.raises(EntryError, match="is a directory, which has no revisions"):
        one(str(tiny), "main")
    with pytest.raises(ValueError, match="prompts"):
        one(str(tiny), settings={"prompts": "x"})

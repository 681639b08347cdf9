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
from tests.sources.cutting import batch_of, encode, modules_run, opened, refusal
from tests.sources.tiny_transformers import save
from tests.targets.real import fortunes

from zoorank.errors import SourceError
from zoorank.sources.base import Entry, EntryError
from zoorank.sources.references import source_of
from zoorank.sources.sentence_transformers import (
    ChainSource,
    ChainTransform,
    check_parts,
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
    built = source.build()
    model = built.model
    assert not built.missing
    theirs = SentenceTransformer(str(minilm()), device="cpu", local_files_only=True)
    assert torch.equal(model[0].model.pooler.dense.weight, theirs[0].model.pooler.dense.weight)
    transform, told = transform_of(model, source.entry, "")
    assert isinstance(transform, TokenTransform)
    assert (transform.max_length, told) == (256, {"modality": "text"})
    assert pickle.loads(pickle.dumps(source)) == source


def test_texts_are_prepared_as_by_the_chain(tiny: Path) -> None:
    source = one(str(tiny)).resolve(refuse)
    built = source.build()
    model = built.model
    assert not built.missing
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
    model = one(str(tiny)).resolve(refuse).build().model
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
    model = source.build().model
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
    with pytest.raises(SourceError, match="org/tiny: not in the hub's cache"):
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
    built = source.build()
    assert (built.missing, built.dropped) == (frozenset(), ("pooler", "0.model.pooler"))
    assert [type(part).__name__ for part in built.model] == ["Transformer", "Pooling"]


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


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("modules.json", [{"type": "sentence_transformers.util.environment.torch", "path": ""}]),
        ("modules.json", [{"type": "sentence_transformers.backend.load.json", "path": ""}]),
        ("config.json", {"types": {"a": "own_part.Part"}}),
        ("router_config.json", {"types": {"a": "own_part.Part"}}),
        ("word/wordembedding_config.json", {"tokenizer_class": "own_part.Part"}),
        ("linked/config.json", {"activation_function": "torch.distributed.run.main"}),
        ("dense/config.json", {"activation_function": "own_part.Part"}),
        ("dense/config.json", {"activation_function": "torch.nn.modules.module.torch.Size"}),
    ],
)
def test_no_file_of_a_chain_names_a_stranger_s_class(tmp_path, file: str, content) -> None:
    folder = tmp_path / "chain"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "linked").mkdir()
    (folder / "linked").symlink_to(tmp_path / "linked")
    (folder / "deep" / "again").symlink_to(folder)
    check_parts(folder)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(SourceError, match="is none of sentence-transformers' own"):
        check_parts(folder)


def test_the_library_s_own_names_are_known(tmp_path: Path) -> None:
    (tmp_path / "a_config.json").write_text('{"activation_function": "gelu_new", "types": 1}')
    for name in ("linear.Identity", "activation.Tanh"):
        content = {"activation_function": f"torch.nn.modules.{name}", "tokenizer_class": "Bert"}
        (tmp_path / "config.json").write_text(json.dumps(content))
        check_parts(tmp_path)
    own = "models.Router sentence_transformer.modules.tokenizer.word.WordTokenizer Transformer"
    for name in own.split():
        content = {"tokenizer_class": f"sentence_transformers.{name}"}
        (tmp_path / "config.json").write_text(json.dumps(content))
        check_parts(tmp_path)


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


@pytest.fixture(scope="module")
def theirs() -> SentenceTransformer:
    return SentenceTransformer(str(minilm()), device="cpu", local_files_only=True)


def test_the_penultimate_cut_is_what_the_library_encodes(theirs: SentenceTransformer) -> None:
    with opened(one(str(minilm())), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        found = encode(encoder, batch, "penultimate")
        assert torch.equal(found, theirs.encode(TEXTS, convert_to_tensor=True))
        assert torch.equal(encode(encoder, batch, "sentence_embedding"), found)
        assert refusal(encoder, batch, "logits") == "the model has no classifier"
        alone = [encode(encoder, batch_of(encoder, [text]), "penultimate") for text in TEXTS]
        torch.testing.assert_close(torch.cat(alone), found, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["st", "hf"])
def test_a_saying_alone_encodes_as_in_a_padded_batch(kind: str) -> None:
    texts, _ = fortunes()
    texts = texts[::24]  # of 20 to 1000 characters, so most of the batch is padding
    source = source_of(f"{kind}:{minilm()}")
    with opened(source, "text") as encoder:
        together = encode(encoder, batch_of(encoder, texts), "penultimate")
        alone = [encode(encoder, batch_of(encoder, [text]), "penultimate") for text in texts]
    torch.testing.assert_close(torch.cat(alone), together, atol=1e-5, rtol=0)


def test_hidden_states_are_pooled_as_the_chain_does(theirs: SentenceTransformer) -> None:
    features = theirs.preprocess(TEXTS)
    with torch.no_grad():
        states = (
            theirs[0]
            .model(
                **{k: v for k, v in features.items() if k != "modality"}, output_hidden_states=True
            )
            .hidden_states
        )
    with opened(one(str(minilm())), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        for number in (0, 2, 6):
            pooled = theirs[1]({**features, "token_embeddings": states[number]})
            found = encode(encoder, batch, f"hidden_states.{number}")
            assert torch.equal(found, pooled["sentence_embedding"])
        found = encode(encoder, batch, "encoder.layer.1")
        assert torch.equal(found, encode(encoder, batch, "0.model.encoder.layer.1"))
        assert torch.equal(found, encode(encoder, batch, "hidden_states.2"))
        run = modules_run(encoder, batch, "encoder.layer.1")
        assert "0.model.encoder.layer.1" in run
        run |= modules_run(encoder, batch, "hidden_states.2")
        assert not {"0.model.encoder.layer.2", "0.model.pooler", "1", "2"} & run
        several = ("1", "hidden_states.2", "hidden_states.mean", "penultimate")
        together = encoder.encode(batch, encoder.cuts(batch, several))
        for name in several:
            assert torch.equal(together[name], encode(encoder, batch, name))
        layers = [encode(encoder, batch, f"hidden_states.{number}") for number in range(1, 7)]
        assert torch.equal(together["hidden_states.mean"], torch.stack(layers).mean(dim=0))
        names = [cut.name for cut in encoder.cuts(batch, ("all",))]
        assert [f"0.model.encoder.layer.{n}" for n in range(6)] == names[1:7]


def test_a_chain_with_prompt_and_layers_behind_its_pooling(tiny: Path) -> None:
    chain = SentenceTransformer(str(tiny), device="cpu", local_files_only=True)
    with opened(one(str(tiny)), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        assert torch.equal(
            encode(encoder, batch, "penultimate"), chain.encode(TEXTS, convert_to_tensor=True)
        )
        features = chain.preprocess(TEXTS, prompt="the red ")
        with torch.no_grad():
            pooled = chain[1](chain[0](features))["sentence_embedding"]
        assert torch.equal(encode(encoder, batch, "1"), pooled)
        assert "2" not in modules_run(encoder, batch, "1")
    with opened(one(str(tiny), settings={"prompt": "document"}), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        plain = chain.encode(TEXTS, prompt_name="document", convert_to_tensor=True)
        assert torch.equal(encode(encoder, batch, "penultimate"), plain)


def test_the_manifests_pooling_wins(tiny: Path) -> None:
    spec = TextPreprocessing(pooling="last_token")
    with opened(one(str(tiny), preprocessing=spec), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        last = encode(encoder, batch, "hidden_states.1")
    with opened(one(str(tiny)), "text") as encoder:
        assert not torch.equal(last, encode(encoder, batch, "hidden_states.1"))


def test_a_static_chain(static: Path) -> None:
    chain = SentenceTransformer(str(static), device="cpu", local_files_only=True)
    with opened(one(str(static)), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        found = encode(encoder, batch, "penultimate")
        assert torch.equal(found, chain.encode(TEXTS, convert_to_tensor=True))


def test_words_of_sentences(tiny: Path) -> None:
    sentences = [["the", "cat", "sat"], ["a", "red", "dog", "ran"]]
    with opened(one(str(tiny)), "text") as encoder:
        batch = batch_of(encoder, sentences)
        assert encode(encoder, batch, "hidden_states.2").shape == (7, 16)
        assert "one vector a sentence" in refusal(encoder, batch, "penultimate")


def test_what_the_checkpoint_lacks_is_no_cut(tmp_path: Path) -> None:
    save("bert-masked", tmp_path / "network")
    with opened(one("./network", folder=tmp_path), "text") as encoder:
        batch = batch_of(encoder, TEXTS)
        for name in ("pooler", "0.model.pooler"):
            assert "the checkpoint holds no weights" in refusal(encoder, batch, name)
        assert encode(encoder, batch, "penultimate").shape == (3, 16)


def test_other_samples_are_refused(tiny: Path) -> None:
    with pytest.raises(SourceError, match="takes text samples; the target holds image samples"):
        opened(one(str(tiny)), "image")

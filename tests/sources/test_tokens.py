"""Texts to tokens: equal to transformers' own, and words found again among them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.sources.carried import minilm
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from zoorank.errors import SourceError
from zoorank.sources.tokens import TokenTransform
from zoorank.sources.torch.token_rows import pool_tokens
from zoorank.targets import load_target
from zoorank.transforms.specs import TextPreprocessing

TEXTS = ["A short text.", "", "Unbelievably long-winded, isn't it? " * 3, "日本語 und ß 🙂"]


@pytest.fixture(scope="module")
def bert() -> Any:
    return transformers.AutoTokenizer.from_pretrained(minilm(), local_files_only=True)


@pytest.fixture(scope="module")
def bytes_level(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer that marks no beginning or end and puts the space before a word into it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the theme of then and there"] * 4, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", padding_side="left"
    )


def of(tokenizer: Any, longest: int | None = 512, **keys: Any) -> TokenTransform:
    names = frozenset({"token_type_ids", "position_ids"})
    spec = TextPreprocessing(**{"padding_side": tokenizer.padding_side, **keys})
    return TokenTransform.of(tokenizer, spec, longest=longest, names=names)


def test_a_batch_is_that_of_transformers(bert: Any) -> None:
    transform = of(bert)
    batch = transform.collate([transform.prepare(text) for text in TEXTS])
    theirs = bert(TEXTS, padding=True, truncation=True, return_tensors="np")
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        np.testing.assert_array_equal(batch.inputs[name], theirs[name])


def test_a_pair_is_that_of_transformers(bert: Any) -> None:
    transform = of(bert)
    prepared = transform.prepare(("Who is there?", "Nobody but us."))
    theirs = bert("Who is there?", "Nobody but us.")
    assert prepared.value.ids == tuple(theirs["input_ids"])
    assert prepared.value.types == tuple(theirs["token_type_ids"])


def test_length_and_truncation_are_said(bert: Any) -> None:
    transform = of(bert, max_length=6)
    long, short = transform.prepare(TEXTS[2]), transform.prepare("short")
    assert (long.length, long.truncated) == (6, True)
    assert (short.length, short.truncated) == (3, False)
    kept = bert(TEXTS[2], truncation=True, max_length=6)["input_ids"]
    assert long.value.ids == tuple(kept)


def test_the_model_limits_the_length(bert: Any) -> None:
    assert of(bert, longest=20).max_length == 20
    assert of(bert, longest=None).max_length == bert.model_max_length


def test_prefix_and_side_of_padding(bytes_level: Any) -> None:
    transform = of(bytes_level, prefix="query: ")
    assert transform.prepare("the").value.ids == tuple(bytes_level("query: the")["input_ids"])
    batch = transform.collate([transform.prepare("the"), transform.prepare("the theme of")])
    assert batch.inputs["attention_mask"][0].argmax() > 0
    assert batch.inputs["attention_mask"][:, -1].all()
    first = batch.inputs["attention_mask"][0].argmax()
    assert batch.inputs["position_ids"][0, first:].tolist() == list(
        range(batch.inputs["attention_mask"][0].sum())
    )
    right = of(bytes_level, padding_side="right")
    batch = right.collate([right.prepare("the"), right.prepare("the theme of")])
    assert batch.inputs["attention_mask"][:, 0].all()
    assert "position_ids" not in batch.inputs


def test_a_text_without_tokens_has_one(bytes_level: Any) -> None:
    prepared = of(bytes_level).prepare("")
    assert prepared.value.ids == (bytes_level.eos_token_id,)


def test_half_a_character_is_replaced(bert: Any) -> None:
    transform = of(bert)
    assert transform.prepare("a \ud800 b").value.ids == transform.prepare("a ? b").value.ids


@pytest.mark.parametrize("which", ["bert", "bytes_level"])
def test_words_are_found_among_the_tokens_of_their_sentence(
    which: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(which)
    transform = of(tokenizer)
    words = ["the", "then", "isn't", "unbelievable", "🙂", "thema"]
    prepared = transform.prepare(words)
    assert prepared.value.ids == tuple(tokenizer(" ".join(words))["input_ids"])
    for word, (start, stop) in zip(words, prepared.value.words, strict=True):
        said = tokenizer.decode(list(prepared.value.ids[start:stop])).replace(" ", "")
        assert said in (word, "[UNK]")
    longer = transform.prepare([*words, *words])
    batch = transform.collate([prepared, longer])
    assert batch.words is not None
    assert batch.rows == 3 * len(words)
    ids = batch.inputs["input_ids"]
    for row, each in enumerate((prepared, longer)):
        for place, own in zip(batch.words[row], each.value.words, strict=True):
            assert tuple(ids[row, slice(*place)]) == each.value.ids[slice(*own)]


def test_a_word_that_is_cut_off_is_a_row_of_zeros(bert: Any) -> None:
    transform = of(bert, max_length=4)
    prepared = transform.prepare(["one", "two", "three"])
    assert prepared.truncated
    batch = transform.collate([prepared])
    output = torch.ones(1, 4, 2)
    for how in ("mean", "max", "first_token", "last_token"):
        rows = pool_tokens(output, torch.ones(1, 4), how, batch.words)
        assert rows.tolist() == [[1, 1], [1, 1], [0, 0]]


def test_words_are_pooled_as_by_hand() -> None:
    output = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    words = [np.array([[0, 1], [1, 3]]), np.array([[2, 5]])]
    spans = [output[0, 0:1], output[0, 1:3], output[1, 2:5]]
    by_hand = {
        "mean": [span.mean(0) for span in spans],
        "max": [span.amax(0) for span in spans],
        "first_token": [span[0] for span in spans],
        "last_token": [span[-1] for span in spans],
    }
    for how, rows in by_hand.items():
        torch.testing.assert_close(pool_tokens(output, mask, how, words), torch.stack(rows))


@pytest.mark.parametrize("left", [False, True])
def test_padding_does_not_count(left: bool) -> None:
    output = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    anything = torch.full((1, 2, 4), torch.nan)
    padded = torch.cat([anything, output] if left else [output, anything], dim=1)
    mask = torch.ones(1, 3)
    nothing = torch.zeros(1, 2)
    masks = torch.cat([nothing, mask] if left else [mask, nothing], dim=1)
    for how in ("mean", "max", "first_token", "last_token"):
        torch.testing.assert_close(pool_tokens(padded, masks, how), pool_tokens(output, mask, how))


@pytest.mark.parametrize("shape", [(2, 4, 6), (4, 2, 6), (2, 5), (2, 3, 5, 6)])
def test_other_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"one vector a sentence|does not begin with"):
        pool_tokens(torch.zeros(shape), torch.ones(2, 5), "mean", [np.zeros((1, 2), int)] * 2)


def test_equal_keys_share_what_is_prepared(bert: Any, bytes_level: Any) -> None:
    again = transformers.AutoTokenizer.from_pretrained(minilm(), local_files_only=True)
    assert of(bert).key == of(again).key
    keys = {of(bert).key, of(bert, max_length=9).key, of(bert, prefix="x").key, of(bytes_level).key}
    assert len(keys) == 4
    # Collating does not change what is prepared.
    assert of(bert).key == of(bert, padding_side="left").key


def test_a_transform_travels(bert: Any) -> None:
    transform = of(bert)
    there = pickle.loads(pickle.dumps(transform))
    assert there.key == transform.key
    assert there.prepare(TEXTS[0]).value == transform.prepare(TEXTS[0]).value


def test_a_tokenizer_without_places_gives_no_words() -> None:
    transform = of(transformers.ByT5Tokenizer(), max_length=8)
    prepared = transform.prepare("more than that")
    assert (prepared.length, prepared.truncated) == (8, True)
    theirs = transformers.ByT5Tokenizer()("more than that", truncation=True, max_length=8)
    assert prepared.value.ids == tuple(theirs["input_ids"])
    with pytest.raises(SourceError, match="one row a word"):
        transform.prepare(["more", "than"])


def test_only_texts_fit(bert: Any, tmp_path: Path) -> None:
    table = load_target((np.zeros((4, 3)), [0, 0, 1, 1]))
    with pytest.raises(SourceError, match="needs texts; the target holds table"):
        of(bert).fitted(table)

"""Texts to token ids: one text alone, then padded batches with their mask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import SourceError
from zoorank.messages import brief, one_line
from zoorank.sources.files import SourceFile
from zoorank.targets.base import Sample, Target
from zoorank.transforms.base import Batch, Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from zoorank.transforms.specs import TextPreprocessing

_PADDING = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")
_LARGEST = 2**24  # number of a token: far more than any vocabulary has
IDS, MASK, TYPES, POSITIONS = "input_ids", "attention_mask", "token_type_ids", "position_ids"


def _written(tokenizer: Any) -> str:
    """A tokenizer as JSON; its package makes room for every number up to the largest one."""
    word, largest = max(tokenizer.get_vocab().items(), key=itemgetter(1), default=("", 0))
    if largest > _LARGEST:
        raise SourceError(f"its tokenizer gives token {brief(word)} the number {largest}")
    return str(tokenizer.to_str())


@dataclass(frozen=True)
class Tokens:
    """The tokens of one sample.

    Attributes
    ----------
    ids, types : tuple of int
        Of every token; which text of a pair it belongs to.
    words : ndarray of int64, shape (n_words, 2), or None
        Of a sentence given as words: for every word its first token and the one behind its
        last. They are the same for a word without any, such as one that was cut off.
    """

    ids: tuple[int, ...]
    types: tuple[int, ...]
    words: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class TokenTransform:
    """Texts to ids and mask, with the tokenizer of a model of transformers.

    A sample is a text, a pair of texts as a tuple, or the words of a sentence as a list.

    Attributes
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    prefix : str
        Put before every text.
    max_length : int
        Tokens of a text that are kept.
    padding_side : {"right", "left"}
    names : frozenset of str
        Inputs that the model takes beside ids and mask: types of tokens; positions, which it
        is given where padding on the left would shift them.
    """

    tokenizer: Any = field(repr=False)
    prefix: str = ""
    max_length: int = 512
    padding_side: str = "right"
    names: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        tokenizer: Any,
        spec: TextPreprocessing,
        *,
        longest: int | None,
        names: frozenset[str] = frozenset(),
    ) -> Self:
        """Take lengths from the specification, the tokenizer and the model: the least counts.

        Parameters
        ----------
        tokenizer : transformers.PreTrainedTokenizerBase
        spec : TextPreprocessing
        longest : int or None
            Tokens that the model has positions for; None where it takes any number.
        names : frozenset of str
            See the class.
        """
        limits = (spec.max_length or int(tokenizer.model_max_length), longest or 2**31)
        return cls(tokenizer, spec.prefix, min(limits), spec.padding_side, names)

    @cached_property
    def key(self) -> str:
        """What `prepare` depends on: the tokenizer's content, the prefix and the length."""
        backend = self._backend
        if backend is not None:
            content = backend.to_str()
        else:
            vocabulary = sorted(self.tokenizer.get_vocab().items())
            content = f"{type(self.tokenizer).__qualname__} {self.tokenizer!r} {vocabulary}"
        digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        return f"tokens {digest} {self.max_length} {self.prefix!r}"

    @property
    def content(self) -> str | None:
        """What a ``tokenizer.json`` holds; None for a tokenizer that has none."""
        own = getattr(self.tokenizer, "backend_tokenizer", None)
        return None if own is None else _written(own)

    @cached_property
    def _backend(self) -> Any:
        """A tokenizer of the package tokenizers that any thread may call, or None."""
        own = getattr(self.tokenizer, "backend_tokenizer", None)
        if own is None:
            return None
        copy = type(own).from_str(_written(own))
        copy.no_padding()
        copy.enable_truncation(self.max_length)
        return copy

    def fitted(self, target: Target) -> TokenTransform:
        """Return the same, once the target holds texts."""
        if target.modality != "text":
            raise SourceError(f"needs texts; the target holds {target.modality} samples")
        return self

    def prepare(self, sample: Sample) -> Prepared:
        """Turn one text, pair or sentence into tokens."""
        if isinstance(sample, list):
            tokens, truncated = self._sentence(sample)
        else:
            first, second = sample if isinstance(sample, tuple) else (sample, None)
            tokens, truncated = self._text(
                _clean(self.prefix + first), None if second is None else _clean(second)
            )
        if not tokens.ids:  # an empty text, and a tokenizer that marks no beginning or end
            tokens = Tokens((self.filler,), (0,), tokens.words)
        return Prepared(tokens, len(tokens.ids), truncated)

    def _text(self, first: str, second: str | None) -> tuple[Tokens, bool]:
        if self._backend is not None:
            found = self._backend.encode(first, second)
            return Tokens(tuple(found.ids), tuple(found.type_ids)), bool(found.overflowing)
        every = self.tokenizer(first, second, return_token_type_ids=True)
        if len(every[IDS]) <= self.max_length:
            return Tokens(tuple(every[IDS]), tuple(every[TYPES])), False
        kept = self.tokenizer(
            first, second, return_token_type_ids=True, truncation=True, max_length=self.max_length
        )
        return Tokens(tuple(kept[IDS]), tuple(kept[TYPES])), True

    def _sentence(self, words: Sequence[str]) -> tuple[Tokens, bool]:
        """Tokenize words as the sentence that they make, and find the tokens of each."""
        if self._backend is None:
            raise SourceError(
                f"its tokenizer, {type(self.tokenizer).__name__}, does not say which characters "
                "a token stands for: it cannot give one row a word"
            )
        found = self._backend.encode(_clean(self.prefix + " ".join(words)))
        ends = list(accumulate((len(word) + 1 for word in words), initial=len(self.prefix)))
        starts = np.array(ends[:-1], dtype=np.int64)
        stops = np.array(ends[1:], dtype=np.int64) - 1
        spans = np.array(found.offsets, dtype=np.int64).reshape(-1, 2)
        real = ~np.array(found.special_tokens_mask, dtype=bool) & (spans[:, 1] > spans[:, 0])
        # Tokens overlap a word where they begin before its end and end behind its start.
        overlap = real & (spans[:, 0] < stops[:, None]) & (spans[:, 1] > starts[:, None])
        has = overlap.any(axis=1)
        first = np.where(has, overlap.argmax(axis=1), 0)
        behind = np.where(has, overlap.shape[1] - overlap[:, ::-1].argmax(axis=1), 0)
        places = np.stack([first, behind], axis=1).astype(np.int64)
        tokens = Tokens(tuple(found.ids), tuple(found.type_ids), places)
        return tokens, bool(found.overflowing)

    @property
    def filler(self) -> int:
        """Id that stands for nothing: padding, or the end of a text."""
        named = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next((each for each in named if each is not None), 0)

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Pad the tokens of several samples to the longest of them."""
        every: list[Tokens] = [each.value for each in prepared]
        shape = (len(every), max(len(tokens.ids) for tokens in every))
        ids = np.full(shape, self.filler, dtype=np.int64)
        types, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        words = []
        for row, tokens in enumerate(every):
            length = len(tokens.ids)
            start = shape[1] - length if self.padding_side == "left" else 0
            ids[row, start : start + length] = tokens.ids
            types[row, start : start + length] = tokens.types
            mask[row, start : start + length] = 1
            if tokens.words is not None:
                words.append(tokens.words + start)
        inputs = {IDS: ids, MASK: mask}
        if TYPES in self.names:
            inputs[TYPES] = types
        if POSITIONS in self.names and self.padding_side == "left":
            inputs[POSITIONS] = np.maximum(mask.cumsum(axis=1) - 1, 0)
        return Batch(inputs, len(every), tuple(words) if words else None)


@dataclass(frozen=True)
class FileTokenizer:
    """A ``tokenizer.json`` alone, with what `TokenTransform` asks a tokenizer for.

    Attributes
    ----------
    backend_tokenizer : tokenizers.Tokenizer
    model_max_length : int
        Tokens that the file itself cuts texts off at; very many where it does not.
    pad_token_id : int or None
    unk_token_id : int or None
        Of what stands for unknown words.
    eos_token_id : None
    """

    backend_tokenizer: Any
    model_max_length: int
    pad_token_id: int | None
    unk_token_id: int | None
    eos_token_id: None = None

    @classmethod
    def of(cls, file: SourceFile, content: bytes, *, marked: bool = True) -> FileTokenizer:
        """Read the content of a file.

        Parameters
        ----------
        file : SourceFile
            For messages.
        content : bytes
        marked : bool
            Whether beginnings and ends of texts are marked, where the file says so.

        Raises
        ------
        SourceError
            When it is none.
        """
        from tokenizers import Tokenizer
        from tokenizers.processors import TemplateProcessing

        try:
            tokenizer = Tokenizer.from_buffer(content)
            model = json.loads(content)["model"]
        except Exception as error:  # the package raises plain Exceptions
            raise file.refuse(f"is no tokenizer.json: {one_line(error, 120)}") from error
        if not marked:
            tokenizer.post_processor = TemplateProcessing("$A", "$A $B:1")
        padding, truncation = tokenizer.padding or {}, tokenizer.truncation or {}
        found = (tokenizer.token_to_id(each) for each in _PADDING)
        named = next((each for each in found if each is not None), None)
        unknown = model.get("unk_token")
        if unknown is None and isinstance(model.get("unk_id"), int):
            unknown = tokenizer.id_to_token(model["unk_id"])
        return cls(
            tokenizer,
            int(truncation.get("max_length", 2**31)),
            padding.get("pad_id", named),
            None if unknown is None else tokenizer.token_to_id(unknown),
        )


def _clean(text: str) -> str:
    """Replace halves of characters, which no tokenizer takes, one by one."""
    return text.encode("utf-8", "replace").decode("utf-8")

"""Static embeddings: a vector for each token of a tokenizer, as model2vec and others save them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.messages import brief, listing, one_line
from zoorank.sources.files import SourceFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FOLDERS = ("", "0_StaticEmbedding/")  # of model2vec; of sentence-transformers
_NAMES = ("embeddings", "embedding.weight")  # of the tensor, in the same order
_LENGTH = 512  # tokens that model2vec keeps of a text where its files do not say it
_MODULES = ("StaticEmbedding", "Normalize")


@dataclass(frozen=True)
class StaticFiles:
    """The files of a static embedding.

    Attributes
    ----------
    vectors : SourceFile
        Safetensors with a row for each token.
    tokenizer : SourceFile
    config, modules : SourceFile or None
        What model2vec, and sentence-transformers, say of the model.
    """

    vectors: SourceFile
    tokenizer: SourceFile
    config: SourceFile | None = None
    modules: SourceFile | None = None

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All of them, the vectors first."""
        every = (self.vectors, self.tokenizer, self.config, self.modules)
        return tuple(each for each in every if each is not None)


@dataclass(frozen=True)
class Static:
    """A static embedding, its vectors still in their file.

    Attributes
    ----------
    count, dimension : int
    longest : int or None
        Tokens of a text that are kept; None for all.
    normalizes : bool
        Whether the mean of a text is scaled to length 1.
    drops_unknown : bool
        Whether tokens that stand for unknown words are left out.
    """

    count: int
    dimension: int
    longest: int | None
    normalizes: bool
    drops_unknown: bool
    _tensor: Any
    _mapping: NDArray[np.int64] | None
    _weights: NDArray[np.float32] | None

    @property
    def tokens(self) -> int:
        """How many tokens have a vector."""
        return self.count if self._mapping is None else len(self._mapping)

    def find(self, tokens: Collection[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Read the vectors of some tokens."""
        for token in tokens:
            row = token if self._mapping is None else int(self._mapping[token])
            vector = np.asarray(self._tensor[row : row + 1][0], dtype=np.float32)
            yield token, vector if self._weights is None else vector * self._weights[token]


def find_static(file: SourceFile, tokenizer: SourceFile | None) -> StaticFiles | None:
    """Find what belongs to a static embedding; None for a file of another kind.

    Raises
    ------
    SourceError
        For a directory that holds none.
    """
    if not file.path.is_dir():
        if file.path.suffix != ".safetensors":
            return None
        return StaticFiles(file, tokenizer or file.beside("tokenizer.json"))

    def there(name: str) -> SourceFile | None:
        found = file.inside(name)
        return found if found.path.is_file() else None

    for folder in _FOLDERS:
        vectors = there(f"{folder}model.safetensors")
        own = tokenizer or there(f"{folder}tokenizer.json")
        if vectors is not None and own is not None:
            return StaticFiles(vectors, own, there(f"{folder}config.json"), there("modules.json"))
    raise file.refuse(
        "is no directory of a static embedding, which has model.safetensors and tokenizer.json"
    )


def read_static(files: StaticFiles) -> Static:
    """Open the files.

    Raises
    ------
    SourceError
        When they are damaged, or hold a model of another kind.
    """
    from safetensors import SafetensorError, safe_open

    modules = _json(files.modules, list)
    for module in modules:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind not in _MODULES:
            raise files.vectors.refuse(f"belongs to a model with a module {brief(kind)}: use st:")
    config = _json(files.config, dict)
    try:
        opened: Any = safe_open(files.vectors.path, framework="np")
        names = list(opened.keys())
        name = next((each for each in _NAMES if each in names), names[0] if len(names) == 1 else "")
        if not name:
            raise files.vectors.refuse(f"holds {listing(names)}, none of {listing(_NAMES)}")
        tensor = opened.get_slice(name)
        shape = tensor.get_shape()
        mapping = opened.get_tensor("mapping") if "mapping" in names else None
        weights = opened.get_tensor("weights") if "weights" in names else None
    except (SafetensorError, OSError, TypeError) as error:
        raise files.vectors.refuse(f"is no readable safetensors file: {one_line(error)}") from None
    if len(shape) != 2:
        raise files.vectors.refuse(f"holds a tensor of shape {tuple(shape)}, no row for each token")
    of_model2vec = name == _NAMES[0]
    return Static(
        count=shape[0],
        dimension=shape[1],
        longest=config.get("max_length", _LENGTH if of_model2vec else None),
        normalizes=len(modules) > 1 or bool(config.get("normalize")),
        drops_unknown=of_model2vec,
        _tensor=tensor,
        _mapping=None if mapping is None else mapping.astype(np.int64),
        _weights=None if weights is None else weights.astype(np.float32),
    )


def _json(file: SourceFile | None, kind: type[Any]) -> Any:
    if file is None:
        return kind()
    try:
        content = json.loads(file.read())
    except ValueError:
        raise file.refuse("is no JSON") from None
    if not isinstance(content, kind):
        raise file.refuse(f"is no JSON {'list' if kind is list else 'object'}")
    return content

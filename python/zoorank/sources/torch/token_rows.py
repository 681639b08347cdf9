"""Outputs of a text model, one vector a token, to rows: one a text or one a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pool_tokens(
    output: Tensor, mask: Tensor, how: str, words: Sequence[NDArray[np.int64]] | None = None
) -> Tensor:
    """Make one float32 vector of the real tokens of every text, or of every word.

    Parameters
    ----------
    output : Tensor of shape (n_texts, n_tokens, n_features) or (n_texts, n_features)
        The second is taken as it is.
    mask : Tensor of shape (n_texts, n_tokens)
        1 where there is a token, 0 where there is padding, on either side.
    how : {"mean", "max", "first_token", "last_token"}
    words : sequence of ndarray of shape (n_words, 2), optional
        Of every text the first token of each word and the one behind its last.

    Returns
    -------
    Tensor of shape (n_texts, n_features) or (n_words_of_all, n_features)
        A word without a token is a row of zeros.

    Raises
    ------
    ValueError
        For an output of another shape.

    Examples
    --------
    >>> output = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> pool_tokens(output, torch.tensor([[1, 1, 0]]), "mean").tolist()
    [[2.0]]
    >>> pool_tokens(output, torch.tensor([[0, 1, 1]]), "last_token").tolist()
    [[9.0]]
    """
    shape = tuple(output.shape)
    texts = mask.shape[0]  # not its length, which a trace would take for a constant
    if output.ndim == 2 and words is not None and output.shape[0] == texts:
        raise ValueError(f"its output {shape} is one vector a sentence, not one a word")
    if output.ndim == 2 and output.shape[0] == texts:
        return output.to(torch.float32, copy=True)
    if output.ndim != 3 or output.shape[:2] != mask.shape:
        tokens = tuple(mask.shape)
        raise ValueError(f"its output {shape} does not begin with texts and tokens, {tokens}")
    output = output.float()
    if words is not None:
        return _pool_words(output, how, words)
    real = mask.bool()
    rows = torch.arange(texts, device=output.device)
    if how == "first_token":
        return output[rows, real.int().argmax(dim=1)]
    if how == "last_token":
        return output[rows, output.shape[1] - 1 - real.int().flip(1).argmax(dim=1)]
    if how == "max":
        return output.masked_fill(~real[..., None], -torch.inf).amax(dim=1)
    # Zeros and not a product with zeros: behind a padded row there may be anything.
    total = output.masked_fill(~real[..., None], 0).sum(dim=1)
    return total / real.sum(dim=1, keepdim=True)


def _pool_words(output: Tensor, how: str, words: Sequence[NDArray[np.int64]]) -> Tensor:
    width = output.shape[1]
    spans = np.concatenate([span + width * row for row, span in enumerate(words)])
    counts = spans[:, 1] - spans[:, 0]
    flat = output.reshape(-1, output.shape[2])
    if how in ("first_token", "last_token"):
        places = spans[:, 0] if how == "first_token" else spans[:, 1] - 1
        chosen = flat[torch.from_numpy(np.maximum(places, 0)).to(flat.device)]
        empty = torch.from_numpy(counts == 0).to(flat.device)
        return chosen.masked_fill(empty[:, None], 0)
    # Of every token of a word, the word's row and the token's own place.
    rows = np.repeat(np.arange(len(spans)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    tokens = flat[torch.from_numpy(spans[rows, 0] + within).to(flat.device)]
    index = torch.from_numpy(rows).to(flat.device)[:, None].expand_as(tokens)
    pooled = flat.new_zeros((len(spans), flat.shape[1]))
    reduce = "amax" if how == "max" else "mean"
    return pooled.scatter_reduce(0, index, tokens, reduce, include_self=False)

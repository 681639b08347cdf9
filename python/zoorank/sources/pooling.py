"""How a cut's output becomes one vector a sample, on NumPy arrays.

Each function raises ValueError, with what would settle it, for an output that it does not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Encodings = NDArray[np.float32]


def pool(output: Array, pooling: str, axis: int | None) -> Encodings:
    """Pool over all axes but the samples' and that of the channels.

    Parameters
    ----------
    output : ndarray of shape (n, ...)
    pooling : {"mean", "max", "token_mean", "first_token", "flatten"}
        As a manifest says it.
    axis : int or None
        That of the channels; None where nothing tells.

    Returns
    -------
    ndarray of float32, shape (n, n_features)

    Examples
    --------
    >>> pool(np.arange(12.0).reshape(1, 2, 3, 2), "mean", axis=1)
    array([[2.5, 8.5]], dtype=float32)
    >>> pool(np.arange(12.0).reshape(1, 2, 3, 2), "mean", axis=-1)
    array([[5., 6.]], dtype=float32)
    """
    axes = pooled_axes(output.shape, pooling, axis)
    # Half precision would lose digits in the sum.
    output = np.asarray(output, dtype=np.float32)
    if axes is None:
        return output.reshape(len(output), -1)
    if pooling == "first_token":
        return np.ascontiguousarray(output.reshape(len(output), -1, output.shape[-1])[:, 0])
    return output.max(axis=axes) if pooling == "max" else _mean(output, axes)


def pooled_axes(shape: Sequence[int], pooling: str, axis: int | None) -> tuple[int, ...] | None:
    """Find the axes to pool over; None where the output is taken as it is, or flat.

    Raises
    ------
    ValueError
        When the shape does not tell them, with what would.
    """
    shape = tuple(shape)
    if len(shape) < 2:
        raise ValueError(f"its output has shape {shape}: one number a sample at most")
    if len(shape) == 2 or pooling == "flatten":
        return None
    if pooling in ("first_token", "token_mean"):
        return tuple(range(1, len(shape) - 1))
    if axis is None:
        raise ValueError(
            f"in its output, of shape {shape}, the channels could be the second axis or the "
            "last: say preprocessing.pooling = 'mean' for the second, 'token_mean' for the last"
        )
    return tuple(each for each in range(1, len(shape)) if each != axis % len(shape))


def sample_axis(shape: Sequence[int], samples: int, batch_first: bool | None) -> int:
    """Find the axis that the samples lie along: the first, or the second where that is said.

    Parameters
    ----------
    shape : sequence of int
    samples : int
        How many there are.
    batch_first : bool or None
        What the manifest says.

    Raises
    ------
    ValueError
        When they lie along neither, or nothing says that it is the second.

    Examples
    --------
    >>> sample_axis((2, 7, 5), 2, None), sample_axis((7, 2, 5), 2, batch_first=False)
    (0, 1)
    """
    shape = tuple(shape)
    if shape[:1] == (samples,):
        return 0
    if len(shape) > 2 and shape[1] == samples and batch_first is not True:
        if batch_first is False:
            return 1
        raise ValueError(
            f"its output has shape {shape} for {samples} samples: say "
            "preprocessing.batch_first = false where they lie along its second axis"
        )
    raise ValueError(
        f"its output has shape {shape} for {samples} samples: "
        "they are not along its first axis; choose another value"
    )


def one_sample(shape: Sequence[int], samples: int) -> tuple[int, ...]:
    """Shape of one of several samples, whichever of the first two axes they lie along.

    Examples
    --------
    >>> one_sample((2, 7, 5), 2), one_sample((7, 2, 5), 2)
    ((7, 5), (7, 5))
    """
    shape = tuple(shape)
    return shape[1:] if shape[:1] == (samples,) else (*shape[:1], *shape[2:])


def pool_tokens(
    output: Array,
    mask: Array,
    pooling: str,
    words: Sequence[NDArray[np.int64]] | None = None,
) -> Encodings:
    """Pool over the tokens of each text, without padding.

    Parameters
    ----------
    output : ndarray of shape (n, tokens, n_features) or (n, n_features)
        The latter is pooled already.
    mask : ndarray of shape (n, tokens)
        0 for padding.
    pooling : {"mean", "max", "first_token", "last_token"}
    words : sequence of ndarray of shape (n_words, 2), or None
        Of each text, the first token of each word and the one behind its last: then every
        word is pooled by itself, and one without any token gives zeros.

    Returns
    -------
    ndarray of float32, shape (n, n_features) or (words, n_features)

    Examples
    --------
    >>> output = np.array([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]])
    >>> pool_tokens(output, np.array([[1, 1, 0]]), "mean")
    array([[2., 3.]], dtype=float32)
    """
    shape, tokens = output.shape, mask.shape
    if output.ndim == 2 and len(output) == len(mask):
        if words is not None:
            raise ValueError(f"its output {shape} is one vector a sentence, not one a word")
        return np.asarray(output, dtype=np.float32)
    if output.ndim != 3 or shape[:2] != tokens:
        raise ValueError(f"its output {shape} does not begin with texts and tokens, {tokens}")
    output = np.asarray(output, dtype=np.float32)
    if words is not None:
        return _pool_words(output, pooling, words)
    real = mask.astype(bool)
    return np.stack([_pooled(text[kept], pooling) for text, kept in zip(output, real, strict=True)])


def _pooled(tokens: Encodings, pooling: str) -> Encodings:
    if not len(tokens):
        return np.zeros(tokens.shape[1], dtype=np.float32)
    if pooling == "mean":
        return _mean(tokens, 0)
    if pooling == "max":
        most: Encodings = tokens.max(axis=0)
        return most
    one: Encodings = tokens[0 if pooling == "first_token" else -1]
    return one


def _pool_words(output: Encodings, pooling: str, words: Sequence[NDArray[np.int64]]) -> Encodings:
    """Pool each word; a word without a token is a row of zeros."""
    width = output.shape[1]
    spans = np.concatenate([places + width * row for row, places in enumerate(words)])
    rows = np.zeros((len(spans), output.shape[2]), dtype=np.float32)
    full = spans[:, 1] > spans[:, 0]
    first, behind = spans[full].T
    # The row behind the last is there to be named as an end.
    flat = np.concatenate([output.reshape(-1, output.shape[2]), np.zeros_like(output[0, :1])])
    if pooling in ("first_token", "last_token"):
        rows[full] = flat[first if pooling == "first_token" else behind - 1]
    elif len(first):
        reduce = np.maximum if pooling == "max" else np.add
        rows[full] = reduce.reduceat(flat, spans[full].ravel())[::2]
        if pooling == "mean":
            rows[full] /= (behind - first)[:, None]
    return rows


def _mean(values: Encodings, axis: int | tuple[int, ...]) -> Encodings:
    mean: Encodings = values.mean(axis=axis, dtype=np.float64).astype(np.float32)
    return mean

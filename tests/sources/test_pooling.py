"""Pooling on NumPy arrays is that on tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoorank.sources import pooling
from zoorank.sources.torch import token_rows


@pytest.mark.parametrize("how", ["mean", "max", "first_token", "last_token"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_tokens_are_pooled_as_torch_pools_them(how: str, side: str) -> None:
    output = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    mask = mask[:, ::-1].copy() if side == "left" else mask
    expected = token_rows.pool_tokens(torch.from_numpy(output), torch.from_numpy(mask), how)
    found = pooling.pool_tokens(output, mask, how)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6)
    spans = [np.array(each) for each in ([[0, 2], [2, 2], [2, 3]], [[4, 5], [0, 5]], [[0, 1]])]
    expected = token_rows.pool_tokens(torch.from_numpy(output), torch.from_numpy(mask), how, spans)
    found = pooling.pool_tokens(output, mask, how, spans)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6)
    assert found[1].tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("shape", "words"),
    [((3, 4), True), ((3, 4, 5), False), ((2, 5, 4), False), ((3, 5, 4, 1), False)],
)
def test_outputs_of_other_shapes_are_refused(shape: tuple[int, ...], words: bool) -> None:
    mask = np.ones((3, 5), np.int64)
    spans = [np.array([[0, 1]])] * 3 if words else None
    with pytest.raises(ValueError, match=r"its output \(") as found:
        pooling.pool_tokens(np.ones(shape, np.float32), mask, "mean", spans)
    with pytest.raises(ValueError, match=r"its output \(") as theirs:
        token_rows.pool_tokens(torch.ones(shape), torch.from_numpy(mask), "mean", spans)
    assert str(found.value) == str(theirs.value)


def test_the_channels_stay() -> None:
    output = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    for axis in (1, 2, 3, -1):
        others = tuple({1, 2, 3} - {axis % 4})
        found = pooling.pool(output, "mean", axis)
        np.testing.assert_allclose(found, output.mean(axis=others), rtol=1e-6)
        np.testing.assert_allclose(pooling.pool(output, "max", axis), output.max(axis=others))
    assert pooling.pool(output, "flatten", None).shape == (2, 60)
    np.testing.assert_allclose(pooling.pool(output, "first_token", None), output[:, 0, 0])
    with pytest.raises(ValueError, match=r"say preprocessing.pooling"):
        pooling.pool(output, "mean", None)
    with pytest.raises(ValueError, match="one number a sample at most"):
        pooling.pool(np.ones(3), "mean", 1)

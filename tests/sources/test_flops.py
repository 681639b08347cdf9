"""Operations counted as torch's own counter counts them, and without torch's compiler."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.sources import tiny_nets
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoorank.sources.torch.hooks import FlopCounter


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixed = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.mixed(x).chunk(3, dim=-1)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        return torch.einsum("btd,bsd->bts", seen, x)


NETWORKS = {
    "convolutions": (tiny_nets.TinyResNet(), torch.randn(2, 3, 16, 16)),
    "linear maps": (tiny_nets.TinyMLP(), torch.randn(3, 4)),
    "attention": (Attention(), torch.randn(2, 5, 8)),
}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", NETWORKS)
def test_counts_what_torch_counts(name: str, mode) -> None:
    network, batch = NETWORKS[name]
    network.eval()
    with FlopCounterMode(display=False) as expected, mode():
        network(batch)
    with FlopCounter() as counter, mode():
        network(batch)
    assert counter.total == expected.get_total_flops() > 0


def test_a_traced_network_loads_no_compiler() -> None:
    code = """
import sys
import torch
from torch import nn
from zoorank.sources.torch.hooks import trace
network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)).eval()
assert trace(network, lambda: network(torch.ones(2, 3, 8, 8))).flops
assert "torch._dynamo" not in sys.modules
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)

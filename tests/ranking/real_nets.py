"""Networks of others, rebuilt as the weights that packages carry want them."""

from __future__ import annotations

import torch
from torch import nn


class Voice(nn.Module):
    """The encoder of voices of resemblyzer: 40 mel bands in, 256 numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 256, num_layers=3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.relu = nn.ReLU()
        self.similarity_weight = nn.Parameter(torch.tensor([10.0]))
        self.similarity_bias = nn.Parameter(torch.tensor([-5.0]))

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(bands)
        return self.relu(self.linear(hidden[-1]))

"""The fully convolutional network of Wang, Yan and Oates (2017) for time series."""

from __future__ import annotations

from torch import Tensor, nn


class ConvBlock(nn.Module):
    """Convolution that keeps the length, batch normalization, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        # An even kernel has its odd zero on the right.
        self.pad = nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0)
        self.layers = nn.ModuleList(
            [nn.Conv1d(in_channels, out_channels, kernel), nn.BatchNorm1d(out_channels), nn.ReLU()]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, in_channels, length)`` to ``(n, out_channels, length)``."""
        x = self.pad(x)
        for layer in self.layers:
            x = layer(x)
        return x


class FCN(nn.Module):
    """Three blocks, the mean over time (the 128 numbers of an encoding), a Linear layer."""

    def __init__(self, n_classes: int, n_variables: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [ConvBlock(n_variables, 128, 8), ConvBlock(128, 256, 5), ConvBlock(256, 128, 3)]
        )
        self.final = nn.Linear(128, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map series ``(n, n_variables, length)`` to logits ``(n, n_classes)``."""
        for block in self.layers:
            x = block(x)
        logits: Tensor = self.final(x.mean(dim=-1))
        return logits

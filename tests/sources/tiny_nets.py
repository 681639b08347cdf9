"""Networks small enough to run in a test, of the shapes that zoos are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + self.downsample(x))


class TinyResNet(nn.Module):
    """Laid out and named as torchvision's; its ReLU writes in place."""

    def __init__(self, width: int = 4, n_classes: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(BasicBlock(width, width, 1), BasicBlock(width, width, 1))
        self.layer2 = nn.Sequential(
            BasicBlock(width, 2 * width, 2), BasicBlock(2 * width, 2 * width, 1)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2 * width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Layer(nn.Module):
    """A transformer layer that returns a tuple, as Hugging Face's do."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return (x + self.mlp(self.norm2(x)),)


class Encoder(nn.Module):
    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(dim) for _ in range(depth))

    def forward(self, x: Tensor) -> dict[str, Tensor | int]:
        for layer in self.layer:
            (x,) = layer(x)
        return {"last_hidden_state": x, "depth": len(self.layer)}


class Backbone(nn.Module):
    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.embeddings = nn.Conv2d(3, dim, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.encoder = Encoder(dim, depth)
        self.layernorm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embeddings(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)
        return self.layernorm(self.encoder(tokens)["last_hidden_state"])


class TinyTransformer(nn.Module):
    """Laid out as a Hugging Face vision transformer: a wrapper around the blocks."""

    def __init__(self, dim: int = 8, depth: int = 3, n_classes: int = 3) -> None:
        super().__init__()
        self.vit = Backbone(dim, depth)
        self.classifier = nn.Linear(dim, n_classes) if n_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.vit(x)[:, 0])


class TinyMLP(nn.Sequential):
    """A plain stack of layers, for tables."""

    def __init__(self, n_features: int = 4, width: int = 6, n_classes: int = 3) -> None:
        super().__init__(
            nn.Linear(n_features, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, n_classes),
        )


class Hungry(TinyMLP):
    """Asks for more memory than there is when a batch has more than ``most`` samples."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            torch.empty(2**60, dtype=torch.uint8)
        return super().forward(x)


class Bad(TinyMLP):
    """Gives ``value`` where the first number of a row is above ``limit``."""

    def __init__(self, value: str = "nan", limit: float = 2.0) -> None:
        super().__init__()
        self.value, self.limit = float(value), limit

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.where(x[:, :1] > self.limit, self.value, x))


class Talkative(TinyMLP):
    """Prints, as some published packages do."""

    def __init__(self) -> None:
        super().__init__()
        print("building")

    def forward(self, x: Tensor) -> Tensor:
        print("running")
        return super().forward(x)


class Twice(nn.Module):
    """Runs one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.never = nn.Linear(4, 4)
        self.final = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.final(self.shared(self.shared(x)))


class FirstTwoMixed(TinyMLP):
    """Turns the batch into something with another number of rows."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(1, -1).expand(3, -1)[:, :4])


def not_a_model() -> int:
    return 3


def fails() -> nn.Module:
    raise ValueError("no such\nvariant")

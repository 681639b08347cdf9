"""Small networks, and what `torch.export` writes of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

BATCH = torch.export.Dim("batch")


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x)) + x)


class ResidualNet(nn.Module):
    """A stem, a block that runs twice, another one, and five classes behind a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.twice = Block(4)
        self.once = Block(4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout()
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.once(self.twice(self.twice(self.stem(x))))
        return self.head(self.drop(self.pool(x).flatten(1))).softmax(dim=1)


class TextNet(nn.Module):
    """Embeddings, attention with a mask, and a normalization behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 6)
        self.query = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        x = self.embedding(input_ids)
        alike = self.query(x) @ x.transpose(1, 2)
        alike = alike - 1e4 * (1 - attention_mask.float())[:, None]
        return self.norm(alike.softmax(dim=-1) @ x + x)


@cache
def residual_net() -> ResidualNet:
    torch.manual_seed(0)
    net = ResidualNet().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net


@cache
def exported(fixed: int | None = None) -> bytes:
    """The residual net, for any number of samples or for one number alone."""
    example = (torch.randn(fixed or 2, 3, 8, 8),)
    shapes = None if fixed else ({0: BATCH},)
    return saved(torch.export.export(residual_net(), example, dynamic_shapes=shapes))


def saved(program: torch.export.ExportedProgram) -> bytes:
    content = io.BytesIO()
    torch.export.save(program, content)
    return content.getvalue()


def edited(content: bytes, **edits: Callable[[Any], Any] | bytes | None) -> bytes:
    """Change files of an archive: a function is given the JSON, bytes replace, None drops."""
    names = {
        "program": "models/model.json",
        "weights": "data/weights/model_weights_config.json",
        "weight": "data/weights/weight_0",
        "constants": "data/constants/model_constants_config.json",
        "samples": "data/sample_inputs/model.pt",
    }
    by_name = {names[key]: edit for key, edit in edits.items()}
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w") as new:
        for entry in old.infolist():
            body = old.read(entry)
            edit = by_name.get(entry.filename.partition("/")[2], body)
            if callable(edit):
                changed = json.loads(body)
                edit = json.dumps(edit(changed) or changed).encode()
            if edit is not None:
                new.writestr(entry.filename, edit)
    return written.getvalue()


def write(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path

"""docs/manifest.md names every key there is, and its example is one that loads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from zoorank.sources import keras, vectors
from zoorank.sources.manifest import _Manifest, load_zoo
from zoorank.sources.programs import ProgramSettings
from zoorank.sources.specs import SourceEntry
from zoorank.sources.torch.source import SOURCES, FamilyEntry, ModelEntry, StateDict
from zoorank.targets import _SETS
from zoorank.transforms.specs import (
    AudioPreprocessing,
    ImagePreprocessing,
    SeriesPreprocessing,
    TablePreprocessing,
    TextPreprocessing,
)

DOCUMENT = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text(encoding="utf-8")
SECTIONS = {
    "## Top level": _Manifest,
    "## `[[model]]`": ModelEntry,
    "## `[[model]]` with a `source`": SourceEntry,
    "## `[[family]]`": FamilyEntry,
    "### `onnx:`": ProgramSettings,
    "### `vectors:`": vectors._Settings,
    "### `keras:`": keras._Settings,
    "### `exported:`": ProgramSettings,
    '### `input = "image"`': ImagePreprocessing,
    '### `input = "series"`': SeriesPreprocessing,
    '### `input = "table"`': TablePreprocessing,
    '### `input = "text"`': TextPreprocessing,
    '### `input = "audio"`': AudioPreprocessing,
}


def _section(title: str) -> str:
    level = title.partition(" ")[0]
    body = DOCUMENT.split(f"{title}\n", 1)[1]
    return re.split(rf"^#{{1,{len(level)}}} ", body, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("title", "record"), SECTIONS.items())
def test_every_key_stands_in_its_section(title: str, record) -> None:
    named = set(re.findall(r"`(\w+)`", _section(title))) | {"input"}
    assert set(record.model_fields) <= named


@pytest.mark.parametrize(("title", "record"), SECTIONS.items())
def test_no_other_key_heads_a_row(title: str, record) -> None:
    rows = re.findall(r"^\| ([^|]*`[^|]*) \|", _section(title), flags=re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} <= set(record.model_fields)


def test_every_source_of_weights_is_there() -> None:
    section = _section("## Weights")
    for kind, source in SOURCES.items():
        assert f"`weights.{kind}`" in section
        row = next(line for line in section.splitlines() if f"| `weights.{kind}`" in line)
        assert all(re.search(rf"\b{key} = ", row) for key in source.model_fields)
    assert all(f"`state_dict.{key}`" in section for key in StateDict.model_fields)


def _choices(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return {each for each in get_args(annotation) if isinstance(each, str)}
    return set().union(*(_choices(part) for part in get_args(annotation)))


def test_every_value_that_can_be_chosen_is_there() -> None:
    for title, record in SECTIONS.items():
        section = _section(title) + _section("### Pooling")
        for name, field in record.model_fields.items():
            missing = [each for each in _choices(field.annotation) if f'"{each}"' not in section]
            assert name == "input" or not missing, (title, name)
    assert all(f"`{name}`" in _section("## Data") for name in _SETS)


def test_the_example_of_a_source_loads(tmp_path: Path) -> None:
    (tmp_path / "zoo.toml").write_text(DOCUMENT.split("```toml\n")[2].split("```")[0])
    (model,) = load_zoo(tmp_path / "zoo.toml").models
    assert model.file.path == tmp_path / "resnet50.onnx"


def test_the_example_loads(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MODELS", "/models")
    (tmp_path / "zoo.toml").write_text(DOCUMENT.split("```toml\n")[1].split("```")[0])
    zoo = load_zoo(tmp_path / "zoo.toml")
    assert [spec.name for spec in zoo.models] == ["resnet50", "untrained"]
    assert zoo.models[0].weights.path.path == Path("/models/resnet50.safetensors")

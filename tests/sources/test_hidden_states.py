"""Hidden states are found where they arise, whichever way a model is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from tests.sources.tiny_transformers import SAVED, WORDS, save, weights_in

from zoorank.sources.torch.hidden_states import find_places, hidden_states
from zoorank.sources.torch.towers import load
from zoorank.sources.torch.traces import Place

_CASES = [(name, "image") for name in SAVED if any(w in name for w in ("vit", "resnet", "clip"))]
_CASES += [(name, "text") for name in SAVED if not any(w in name for w in ("vit", "resnet"))]


def inputs(modality: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    if modality == "image":
        return {"pixel_values": torch.randn(2, 3, 32, 32, generator=generator)}
    ids = torch.randint(5, len(WORDS), (2, 7), generator=generator)
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def taken(module: torch.nn.Module, place: Place, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """What a module takes or gives in one of its calls."""
    seen: list[Any] = []

    def first(values: Any) -> Any:
        return values if isinstance(values, torch.Tensor) else first(next(iter(values)))

    part = module.get_submodule(place.module)
    if place.side == "output":
        hook = part.register_forward_hook(lambda _, __, output: seen.append(first(output)))
    else:
        hook = part.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(first((*args, *kwargs.values()))), with_kwargs=True
        )
    with torch.no_grad():
        module(**batch)
    hook.remove()
    return seen[place.call - 1]


@pytest.mark.parametrize(("name", "modality"), _CASES)
def test_every_hidden_state_is_found(name: str, modality: Any, tmp_path: Path) -> None:
    save(name, tmp_path)
    module = load(tmp_path, modality, weights_in(tmp_path)).module
    batch = inputs(modality)
    places, calls = find_places(module, lambda **options: module(**batch, **options))
    assert calls[""] == 1
    with torch.no_grad():
        states = hidden_states(module(**batch, output_hidden_states=True))
    assert len(places) == len(states) >= 3
    for place, state in zip(places, states, strict=True):
        assert place is not None
        assert torch.equal(taken(module, place, batch), state)


def test_a_layer_that_runs_several_times_is_found_by_its_call(tmp_path: Path) -> None:
    save("albert", tmp_path)
    module = load(tmp_path, "text", weights_in(tmp_path)).module
    batch = inputs("text")
    places, _ = find_places(module, lambda **options: module(**batch, **options))
    assert [place and place.call for place in places] == [1, 1, 2, 3]
    assert len({place.module for place in places[1:] if place}) == 1


def test_a_hidden_state_that_no_module_gives_is_not_found() -> None:
    """XLNet's own have samples on the second axis, and are turned for the output alone."""
    config = t.XLNetConfig(vocab_size=20, d_model=16, n_layer=2, n_head=2, d_inner=24)
    module = t.XLNetModel(config).eval()
    batch = inputs("text")
    places, _ = find_places(module, lambda **options: module(**batch, **options))
    assert places[:2] == (None, None)


def test_a_model_without_hidden_states_has_none() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 4))
    x = torch.zeros(2, 4)
    places, calls = find_places(module, lambda **options: module(x, **options))
    assert places == ()
    assert calls == {"": 1, "0": 1}

"""Nothing wrong is ever scored, whatever became of the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo
from tests.store.damage import DAMAGES

from zoorank.errors import StoreError
from zoorank.ranking import Ranking
from zoorank.ranking.rank import rank


def scores(ranking: Ranking) -> list[tuple[object, ...]]:
    return [(row.rank, row.model, row.cut, row.scores, row.per_class) for row in ranking]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> TinyZoo:
    # Of one width, so that an encoding could pass for another.
    return tiny_zoo(tmp_path_factory.mktemp("zoo"), models=1)


@pytest.fixture(scope="module")
def right(zoo: TinyZoo, tmp_path_factory) -> Ranking:
    return rank(zoo.manifest, allow_code=[zoo.code], store=tmp_path_factory.mktemp("right"))


@pytest.mark.parametrize("name", DAMAGES)
def test_scores_are_those_of_the_sources(tmp_path: Path, zoo: TinyZoo, right, name: str) -> None:
    def ranking(*scores: str) -> Ranking:
        chosen = scores or None
        return rank(zoo.manifest, allow_code=[zoo.code], store=tmp_path, score=chosen)

    # Another score first, so that the encodings are there and the scores are not.
    ranking("logme")
    DAMAGES[name](sorted(path for path in tmp_path.glob("*.npy") if "labels" not in path.name))
    try:
        found = ranking()
    except StoreError as error:  # such as a directory where a file should be
        assert str(error).startswith("cannot write to ")  # noqa: PT017
        return
    assert scores(found) == scores(right)


def test_scores_are_those_of_the_target_whatever_became_of_its_copy(
    tmp_path: Path, zoo: TinyZoo, right
) -> None:
    """Processes read a target that lies in memory from a file of the store."""

    def ranking(*scores: str) -> Ranking:
        return rank(
            zoo.manifest, allow_code=[zoo.code], store=tmp_path, score=scores or None, workers=1
        )

    ranking("logme")
    (copy,) = (path for path in tmp_path.glob("*.npy") if len(path.stem) == 64)
    np.save(copy, np.load(copy)[::-1])
    for path in tmp_path.glob("*.json"):
        path.unlink()
    assert scores(ranking()) == scores(right)

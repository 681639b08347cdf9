"""A record from verify to rank: appended, read, quoted, and refused where it has no say."""

import numpy as np
import pytest
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.errors import DataError, UsageError
from zoorank.ranking import Ranking
from zoorank.ranking.consensus import INFORMED, NAME
from zoorank.ranking.rank import rank
from zoorank.ranking.record import HEAD, Trained, append_record, read_record
from zoorank.verification.verify import verify

pytest.importorskip("sklearn", reason="heads need scikit-learn: pip install 'zoorank[scores]'")


@pytest.fixture
def zoo(tmp_path):
    return tiny_zoo(tmp_path / "zoo", models=3)


def test_what_verify_found_moves_the_next_ranking(zoo):
    settings = {"allow_code": [zoo.code], "store": zoo.folder / "store"}
    record = zoo.folder / "record.jsonl"
    plain = rank(zoo.manifest, **settings)
    assert plain.key == NAME
    found = verify(zoo.manifest, top=2, repeats=1, epochs=0, record=record, **settings)
    lines = read_record(record)
    assert [(line.source, line.cut) for line in lines] == [
        (row.model, row.cut) for row in found.rows
    ]
    assert {line.fingerprint for line in lines} == {found.ranking.target.fingerprint}
    assert all(line.trained == HEAD and line.samples == found.n_trained_on for line in lines)
    assert [line.accuracy for line in lines] == pytest.approx(
        [row.accuracy for row in found.rows], abs=1e-6
    )

    # The second here was by far the best on five other targets.
    second = [row for row in plain if row.status == "ok"][1]
    earlier = zoo.folder / "earlier.jsonl"
    append_record(
        earlier,
        [
            Trained(target, row.model, row.cut, 0.9 if row is second else 0.4)
            for target in "abcde"
            for row in plain
            if row.status == "ok"
        ],
    )
    ranking = rank(zoo.manifest, record=earlier, **settings)
    assert (ranking.score, ranking.key) == (INFORMED, INFORMED)
    assert list(ranking.labels)[:2] == [INFORMED, NAME]
    assert (ranking.best.model, ranking.best.cut) == (second.model, second.cut)
    assert "record of 5 targets" in ranking.best.note
    assert Ranking.from_json(ranking.to_json()) == ranking
    assert {row.scores[NAME] for row in ranking if row.status == "ok"} == {
        row.scores[NAME] for row in plain if row.status == "ok"
    }

    # verify begins with it, spends at most `top` heads, and takes what is expected to be best.
    spent = verify(zoo.manifest, top=2, repeats=1, epochs=0, record=earlier, **settings)
    assert spent.ranking.key == INFORMED
    assert (second.model, second.cut) in {(row.model, row.cut) for row in spent.rows}
    assert 1 <= len(spent.rows) <= 2
    assert spent.chosen is not None
    both = rank(zoo.manifest, record=[earlier, record], **settings)
    assert "record of 5 targets and this one" in " ".join(row.note for row in both)


@pytest.mark.parametrize("settings", [{"score": "logme"}, {"score": "consensus"}, {"race": True}])
def test_a_record_that_has_no_say_is_refused(zoo, settings):
    record = zoo.folder / "record.jsonl"
    append_record(record, [Trained("a", "net0", "1", 0.5)])
    with pytest.raises(UsageError, match="a record counts where 'informed' decides"):
        rank(zoo.manifest, record=record, allow_code=[zoo.code], **settings)
    with pytest.raises(DataError, match="cannot be read"):
        rank(zoo.manifest, record=zoo.folder / "none.jsonl", allow_code=[zoo.code])


def test_informed_may_be_asked_for_where_nothing_is_known(zoo):
    found = rank(
        zoo.manifest, score="informed,parc", allow_code=[zoo.code], store=zoo.folder / "store"
    )
    assert found.key == NAME
    assert "parc" in found.labels
    assert np.isfinite(found.best.score)

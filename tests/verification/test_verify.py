"""Training what the ranking promises, on a zoo that trains in seconds."""

import importlib
import itertools
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.encoding.encode import encode_source
from zoorank.errors import SourceError, UsageError
from zoorank.scores.probe import cross_validated
from zoorank.scores.ridge import ridge_r2
from zoorank.sources.base import OpenOptions
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch import train
from zoorank.sources.training import TrainingOptions
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target
from zoorank.targets.labels import drawn
from zoorank.verification.splits import split, strata_of
from zoorank.verification.verdict import Verified, first_within_noise, rank_agreement, verdict
from zoorank.verification.verify import verify

pytest.importorskip("sklearn", reason="heads need scikit-learn: pip install 'zoorank[scores]'")


@pytest.fixture
def zoo(tmp_path):
    return tiny_zoo(tmp_path / "zoo", models=3)


def verified(zoo, **settings):
    given = {"allow_code": [zoo.code], "store": zoo.folder / "store", "epochs": 2, **settings}
    return verify(zoo.manifest, **given)


def test_trains_the_first_of_the_ranking_and_those_named(zoo):
    named = "net0:1"
    found = verified(zoo, top=2, models=[named], repeats=2, out=zoo.folder / "out")
    first = [(row.model, row.cut) for row in found.ranking if row.status == "ok"]
    wanted = {*first[:2], tuple(named.split(":"))}
    assert {(row.model, row.cut) for row in found.rows} == wanted
    assert [(row.model, row.cut) for row in found.rows[:2]] == first[:2]
    assert found.first_held == (found.chosen == 0)
    assert found.tau == rank_agreement(found.rows)
    assert found.tau is None or -1 <= found.tau <= 1
    assert all(len(row.head) == 2 for row in found.rows)
    repeats = sorted(len(row.tuned) for row in found.rows)
    assert repeats == ([1, 2, 2] if len(wanted) == 3 else [1, 2])
    for row in found.rows:
        assert len(row.frozen) == len(row.tuned) == len(row.curves)
        assert all(2 <= len(curve) <= 3 for curve in row.curves)
    saved = json.loads((zoo.folder / "out" / "verification.json").read_text())
    assert saved["verdict"] == found.verdict


def test_the_head_is_the_probe_of_the_same_samples(zoo):
    found = verified(zoo, top=1, repeats=2, epochs=0, samples=45)
    (row,) = found.rows
    assert row.tuned == ()
    target = load_target(zoo.data)
    spec = next(
        spec
        for spec in load_zoo(zoo.manifest, allow_code=[zoo.code]).models
        if spec.name == row.model
    )
    store = EncodingStore(zoo.folder / "other")
    X = encode_source(spec, target, cuts=[row.cut], store=store).encodings[0].load().astype(float)
    codes = np.unique(target.labels, return_inverse=True)[1]
    expected = []
    for seed in range(2):
        rows = drawn(codes, 45, seed)
        expected.append(cross_validated(X[rows], codes[rows], seed=seed))
    assert row.head == pytest.approx(expected)


def test_a_second_run_trains_nothing_and_says_the_same(zoo, monkeypatch):
    first = verified(zoo, top=2, repeats=2)
    monkeypatch.setattr(train, "train", None)
    again = verified(zoo, top=2, repeats=2)
    assert again.rows == first.rows


@pytest.mark.parametrize("damage", ["accuracy", "no end", "no text"])
def test_a_training_that_was_changed_is_no_training(zoo, damage):
    first = verified(zoo, top=1, repeats=1)
    (path,) = (zoo.folder / "store").glob("training-*.json")
    text = path.read_text()
    if damage == "accuracy":
        text = json.dumps({**json.loads(text), "accuracy": 1.0, "curve": ["a"]})
    path.write_text({"no end": text[:-9], "no text": "\0"}.get(damage, text))
    assert verified(zoo, top=1, repeats=1).rows == first.rows


def test_the_same_seeds_give_the_same_training(zoo):
    first = verified(zoo, top=1, repeats=1)
    again = verified(zoo, top=1, repeats=1, store=zoo.folder / "another")
    assert again.rows == first.rows


def test_what_the_budget_cuts_short_is_said_and_not_kept(zoo, monkeypatch):
    clock = itertools.count()  # a second passes whenever somebody looks: one look a head
    module = importlib.import_module("zoorank.verification.verify")
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    found = verified(zoo, top=2, budget=1.5)
    assert [len(row.head) > 0 for row in found.rows] == [True, False]
    assert found.rows[1].note == "the budget ended before its head"
    found = verified(zoo, top=2, budget=2.5)
    assert all(row.head and "before repeat 1 of fine-tuning" in row.note for row in found.rows)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="budget must be more than 0"):
        verified(zoo, budget=0.0)
    assert not list((zoo.folder / "store").glob("training-*"))
    assert all(row.tuned == () for row in found.rows)
    later = verified(zoo, top=2, repeats=1)
    assert all(len(row.tuned) == 1 and not row.note for row in later.rows)


@pytest.mark.parametrize(
    ("epochs", "words"), [(0, "after 0 epochs"), (1, "after 1 epoch"), (2, "after 2 epochs")]
)
def test_the_note_counts_the_epochs_of_a_repeat_cut_short(zoo, monkeypatch, epochs, words):
    whole = train.train

    def cut_short(*given, **settings):
        done = whole(*given, **settings)
        return replace(done, curve=done.curve[: epochs + 1], complete=False)

    monkeypatch.setattr(train, "train", cut_short)
    found = verified(zoo, top=1, repeats=1, epochs=2)
    assert found.rows[0].note == f"the budget ended repeat 1 {words}"


def trained(zoo, **options):
    target = load_target(zoo.data)
    source = load_zoo(zoo.manifest, allow_code=[zoo.code]).models[0]
    rows = split(strata_of(target), 60, 0)
    with source.open(OpenOptions(target.modality, "cpu")) as encoder:
        before = {name: value.clone() for name, value in encoder.module.state_dict().items()}
        found = encoder.train(
            target, "penultimate", rows, TrainingOptions(seed=0, **options), lambda *_: None
        )
        after = encoder.module.state_dict()
        assert all((value == after[name]).all() for name, value in before.items())
    return found


def test_training_stops_at_the_deadline(zoo):
    done = trained(zoo, epochs=5, deadline=time.monotonic() - 1)
    assert not done.complete
    assert done.accuracy == done.frozen_accuracy
    whole = trained(zoo, epochs=30, patience=30)
    assert whole.complete
    assert len(whole.curve) == 31
    assert max(whole.curve) > 0.5  # the classes are far apart, and a third is chance


def test_the_state_tested_is_that_of_the_best_epoch(zoo):
    given = {"epochs": 20, "patience": 20}
    still = trained(zoo, rate=0.0, **given)
    assert still.best_epoch == 0
    assert still.accuracy == still.frozen_accuracy
    assert len(set(still.curve)) == 1
    moved = trained(zoo, rate=1e-2, **given)
    assert moved.best_epoch > 0
    again = trained(zoo, rate=1e-2, epochs=moved.best_epoch, patience=20)
    assert again.best_epoch == moved.best_epoch
    assert again.accuracy == moved.accuracy


def test_splits_share_classes_out_and_never_rows():
    labels = np.repeat(["a", "b", "c"], [50, 30, 20])
    for seed in range(3):
        found = split(np.unique(labels, return_inverse=True)[1], 80, seed)
        rows = np.concatenate([found.train, found.stop, found.test])
        assert len(np.unique(rows)) == len(rows) == 80
        for part in (found.train, found.stop, found.test):
            assert set(labels[part]) == {"a", "b", "c"}
        assert np.unique(labels[rows], return_counts=True)[1].tolist() == [40, 24, 16]


def test_a_group_is_in_one_part_alone():
    codes, groups = np.arange(90) % 3, np.repeat(np.arange(18), 5)
    for seed in range(5):
        found = split(codes, 60, seed, groups)
        parts = [set(groups[part].tolist()) for part in (found.train, found.stop, found.test)]
        assert all(parts)
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert len(found.train) > len(found.test) + len(found.stop) - 10
        assert sum(map(len, (found.train, found.stop, found.test))) == 60
    three = split(codes, 90, 0, np.arange(90) // 30)
    assert [len(part) for part in (three.train, three.stop, three.test)] == [30, 30, 30]
    with pytest.raises(SourceError, match="fewer than 3 groups"):
        split(codes, 60, 0, codes % 2)


def test_groups_are_held_out(zoo):
    pandas = pytest.importorskip("pandas")
    with np.load(zoo.data) as given:
        X, y = given["X"], given["y"]
    frame = pandas.DataFrame(X, columns=list("abcdef")).assign(label=y, patient=np.arange(60) // 4)
    columns = {"label_column": "label", "group_column": "patient"}
    found = verified(zoo, data=frame, top=1, repeats=1, epochs=0, **columns)
    target = load_target(frame, **columns)
    source = next(
        each
        for each in load_zoo(zoo.manifest, allow_code=[zoo.code]).models
        if each.name == found.rows[0].model
    )
    store = EncodingStore(zoo.folder / "store")
    (encoding,) = encode_source(source, target, cuts=[found.rows[0].cut], store=store).encodings
    rows = drawn(strata_of(target), 400, 0)
    F, codes = np.asarray(encoding.load(), dtype=np.float64)[rows], strata_of(target)[rows]
    groups = np.unique(target.groups[rows], return_inverse=True)[1]
    assert found.rows[0].head == (cross_validated(F, codes, seed=0, groups=groups),)


@pytest.fixture
def numbers(zoo):
    """A target whose numbers are nearly a linear map of its rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 6)).astype(np.float32)
    return X, X @ [2.0, -1.0, 0.5, 0, 0, 1] + 0.1 * rng.normal(size=120)


def test_heads_and_fine_tuning_of_numbers(zoo, numbers):
    found = verified(zoo, data=numbers, top=2, repeats=2, samples=100, out=zoo.folder / "out")
    target = load_target(numbers)
    for row in found.rows:
        encoded = encode_source(
            load_zoo(zoo.manifest, allow_code=[zoo.code]).models[int(row.model[-1])],
            target,
            cuts=[row.cut],
            store=EncodingStore(zoo.folder / "store"),
        )
        F = np.asarray(encoded.encodings[0].load())
        rows = drawn(strata_of(target), 100, 1)
        assert row.head[1] == pytest.approx(ridge_r2(F[rows], target.labels[rows]).value, abs=1e-6)
        assert all(value <= 1 for value in (*row.head, *row.frozen, *row.tuned))
    assert found.rows[0].accuracy > 0.6
    assert found.rows[0].tuned[0] > 0.5
    assert "R² " in found.verdict
    saved = json.loads((zoo.folder / "out" / "verification.json").read_text())
    assert saved["task"] == "numbers"


def test_tenths_are_shared_out(numbers):
    strata = strata_of(load_target(numbers))
    assert np.bincount(strata).tolist() == [12] * 10
    order = np.argsort(numbers[1])
    assert np.all(np.diff(strata[order]) >= 0)
    found = split(strata, 100, 0)
    assert {len(np.unique(strata[part])) for part in (found.train, found.stop, found.test)} == {10}


def test_the_margin_of_r2():
    assert first_within_noise([0.5, 0.55], 100, task="numbers") == 0
    assert first_within_noise([0.5, 0.9], 100, task="numbers") == 1
    assert first_within_noise([-0.5, -0.01], 100, task="numbers") == 1
    assert first_within_noise([-0.01, -0.005], 100, task="numbers") == 0
    rows = [Verified(1, "a", "x", head=(0.5,)), Verified(2, "b", "x", head=(0.9,))]
    chosen, words = verdict(rows, 100, "numbers")
    assert chosen == 1
    assert "by 0.400 of R², more than chance" in words


@pytest.mark.parametrize(
    ("others", "chosen", "words"),
    [
        ([], 0, "Take a cut at x, first by score: no other head was trained"),
        ([Verified(2, "b", "y", head=(0.5,))], 0, "first by score, has the best head too, alone"),
        ([Verified(2, "b", "y", head=(0.93, 0.93))], 0, "held within chance: take a cut at x"),
        ([Verified(2, "b", "y", head=(0.99, 0.99))], 1, "did not hold: take b cut at y, rank 2"),
        ([Verified(2, "b", "y", note="no")], 0, "nothing was compared"),
        ([Verified(2, "b", "y", head=(0.5,), tuned=(0.7,))], 0, "b cut at y came out first: 70.0%"),
    ],
)
def test_the_verdict(others, chosen, words):
    rows = [Verified(1, "a", "x", head=(0.90, 0.94)), *others]
    found, text = verdict(rows, 200)
    assert found == chosen
    assert words in text


def test_the_verdict_does_not_call_first_what_another_precedes():
    rows = [
        Verified(1, "a", "x", note="no"),
        Verified(2, "b", "y", head=(0.9,)),
        Verified(3, "c", "z", head=(0.5,)),
    ]
    chosen, text = verdict(rows, 200)
    assert chosen == 1
    assert text.startswith(
        "The first pick held: b cut at y, first by score of those with a head, has the best "
    )


def ranked(ranks, heads):
    return [
        Verified(rank, f"m{place}", "x", head=head if isinstance(head, tuple) else (head,))
        for place, (rank, head) in enumerate(zip(ranks, heads, strict=True))
    ]


@pytest.mark.parametrize(
    ("ranks", "heads", "tau", "words"),
    [
        # By hand: of 10 pairs 3 agree and 5 do not; 9 are no tie in ranks and 8 none in heads.
        (
            (1, 2, 3, 3, 5),
            (1.0, 0.99, 0.998, 0.998, 1.0),
            (3 - 5) / np.sqrt(9 * 8),
            "held in a tie: the head of m0 cut at x, first by score, is as good as that of m4 ",
        ),
        ((1, 2, 3, 4), (1.0, 0.847, 0.75, 0.889), 1 / 3, "has the best head too, alone."),
        ((1, 2, 3), (0.9, 0.8, 0.7), 1.0, "has the best head too, alone."),
        ((1, 2), (0.90, 0.91), -1.0, "the head of m1 cut at x is 1.0 points ahead"),
        (
            (1, 2, 3),
            (0.90, 0.91, 0.91),
            -2 / np.sqrt(6),
            "heads of m1 cut at x and m2 cut at x are",
        ),
        # Means over repeats that rounding alone tells apart are a tie.
        ((1, 2), ((0.1, 0.2, 0.3), (0.3, 0.2, 0.1)), None, "held in a tie"),
    ],
)
def test_the_verdict_says_how_the_whole_order_did(ranks, heads, tau, words):
    rows = ranked(ranks, heads)
    chosen, text = verdict(rows, 400)
    assert chosen == 0
    assert words in text
    assert "order held" not in text
    if tau is None:
        assert rank_agreement(rows) is None
        assert text.endswith("All 2 heads are equal, so there is no order to compare.")
    else:
        assert rank_agreement(rows) == pytest.approx(tau)
        assert f"The whole order of {len(ranks)} agrees with that of their heads" in text
        assert f"Kendall's tau {tau:.2f} " in text


def test_equal_ranks_are_no_order():
    _, text = verdict(ranked((1, 1), (0.9, 0.8)), 400)
    assert text.endswith("All 2 ranks are equal, so there is no order to compare.")


def test_a_tie_after_fine_tuning_is_said():
    rows = [
        Verified(1, "a", "x", head=(0.9,), tuned=(0.7, 0.9)),
        Verified(2, "b", "y", head=(0.8,), tuned=(0.9, 0.7)),
        Verified(3, "c", "z", head=(0.7,), tuned=(0.95,)),
    ]
    assert "a cut at x and b cut at y came out first in a tie: 80.0%" in verdict(rows, 200)[1]


def test_the_more_samples_the_less_is_chance():
    choices = [first_within_noise([0.80, 0.85, 0.90], n) for n in (20, 150, 300, 3000)]
    assert choices == sorted(choices)
    assert choices[0] == 0
    assert choices[-1] == 2
    assert first_within_noise([0.5, 0.6], 10**9, margin=0) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": ["net9"]}, "'net9' is not in the ranking; did you mean 'net"),
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"samples": -5}, "samples must be at least 2, not -5"),
    ],
)
def test_a_mistake_is_met_with_what_is_allowed(zoo, settings, message):
    with pytest.raises(UsageError) as caught:
        verified(zoo, **settings)
    assert message in str(caught.value)

"""Consensus, publication and record together: against definitions, and where little is known."""

from dataclasses import replace

import numpy as np
import pytest

from zoorank.ranking.answer import ranked, with_consensus
from zoorank.ranking.belief import Belief, Effects, from_record, spread_of
from zoorank.ranking.consensus import DEFAULT, INFORMED, NAME
from zoorank.ranking.informed import (
    Knowledge,
    agreement,
    effects,
    expect,
    inform,
    published_votes,
)
from zoorank.ranking.record import Trained
from zoorank.ranking.rows import CutFacts, RankRow

EFFECTS = Effects(0.2, 0.1, 0.15, 0.12, 0.08, 0.5, vote=2.0, spread=0.05)


def rows_of(n=4, cuts=("a", "b"), seed=0, **facts):
    rng = np.random.default_rng(seed)
    rows = [
        RankRow(
            None,
            f"net{i}",
            cut,
            scores={part.key: float(rng.normal()) for part in DEFAULT.parts},
            parameters_kept=10,
            facts=CutFacts(**{name: values[i] for name, values in facts.items()}),
        )
        for i in range(n)
        for cut in cuts
    ]
    return with_consensus(DEFAULT, rows)


def lines_of(targets, accuracy, n=4, cuts=("a", "b")):
    return tuple(
        Trained(target, f"net{i}", cut, accuracy(i, cut))
        for target in targets
        for i in range(n)
        for cut in cuts
    )


def order(rows, score):
    return [(row.model, row.cut) for row in ranked(rows, score) if row.rank is not None]


# -- the statistics, against their definition ------------------------------------------------


def brute_force(places, lines, spread):
    """The posterior of a normal vector, of all lines at once; a level of each target is vague."""

    def shared(one, other, source, cut, own):
        return source * (one[0] == other[0]) + cut * (one[1] == other[1]) + own * (one == other)

    def lasting(one, other):
        return shared(one, other, EFFECTS.source, EFFECTS.cut, EFFECTS.candidate)

    def passing(one, other):
        return shared(one, other, EFFECTS.target_source, EFFECTS.target_cut, EFFECTS.rest)

    seen = [((line.source, line.cut), (line.target, line.trained), line) for line in lines]
    K = np.array(
        [[lasting(p, q) + (passing(p, q) + 1e7) * (t == u) for q, u, _ in seen] for p, t, _ in seen]
    )
    for i, (_, _, line) in enumerate(seen):
        if line.samples:
            share = (line.accuracy * line.samples + 1) / (line.samples + 2)
            K[i, i] += share * (1 - share) / line.samples / spread**2
    k = np.array([[lasting(p, q) for q, _, _ in seen] for p in places])
    gain = np.linalg.solve(K, k.T).T
    prior = np.array([[lasting(p, q) + passing(p, q) for q in places] for p in places])
    return gain @ [line.accuracy / spread for line in lines], prior - gain @ k.T


def test_the_record_is_shrunk_as_normal_variables_are():
    rng = np.random.default_rng(1)
    places = [(f"net{i}", cut) for i in range(3) for cut in "ab"]
    lines = [
        Trained(target, f"net{i}", cut, float(rng.uniform(0.5, 0.9)), how, samples)
        for target in "xyz"
        for i in range(4)
        for cut in "abc"
        for how, samples in (("head", 50), ("fine-tuned", None))
        if rng.random() < 0.6
    ]
    found = from_record(places, lines, EFFECTS, 0.07)
    mean, covariance = brute_force(places, lines, 0.07)
    np.testing.assert_allclose(found.mean, mean, atol=1e-4)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-4)


def test_heads_on_the_target_itself_update_as_normal_variables_do():
    rng = np.random.default_rng(2)
    A = rng.normal(size=(5, 5))
    belief = Belief(rng.normal(size=5), A @ A.T)
    seen, noise = np.array([0.3, 2.0]), np.array([0.1, 0.2])
    found = belief.after([1, 3], seen, noise).beside_the_mean()
    vague = belief.covariance + 1e8  # a level that all share
    K = vague[np.ix_([1, 3], [1, 3])] + np.diag(noise)
    gain = np.linalg.solve(K, vague[[1, 3]]).T
    mean = belief.mean + gain @ (seen - belief.mean[[1, 3]])
    np.testing.assert_allclose(found.mean, mean - mean.mean(), atol=1e-3)


def test_the_gain_of_a_trial_is_the_mean_of_what_is_above_nothing():
    belief = Belief(np.array([0.2, 0.5]), np.array([[0.6, 0.1], [0.1, 0.3]]))
    draws = np.random.default_rng(0).multivariate_normal(belief.mean, belief.covariance, 400_000)
    expected = np.maximum(draws[:, 0] - draws[:, 1], 0).mean()
    assert belief.gain(0, 1) == pytest.approx(expected, rel=0.01)
    assert belief.gain(0, 0) == 0


def test_few_lines_weigh_little_and_many_more():
    def ahead(n):
        lines = lines_of([str(t) for t in range(n)], lambda i, _: 0.7 + 0.05 * (i == 1))
        expected = expect(
            [("net0", "a"), ("net1", "a")], np.zeros(2), {}, Knowledge(lines), EFFECTS
        )
        return float(expected.spread * (expected.belief.mean[1] - expected.belief.mean[0]))

    found = [ahead(n) for n in (1, 3, 30)]
    assert 0 < found[0] < found[1] < found[2] < 0.05
    assert found[2] > 0.04
    places = [("net0", "a"), ("net1", "a")]
    sd = []
    for n in (0, 1, 30):
        lines = lines_of([str(t) for t in range(n)], lambda i, _: 0.7 + 0.01 * i)
        expected = expect(places, np.zeros(2), {}, Knowledge(lines), EFFECTS)
        sd.append(expected.belief.covariance[0, 0])
    assert sd[0] > sd[1] > sd[2]


def test_the_spread_is_that_of_the_study_until_the_record_knows_better():
    assert spread_of([], 0.05) == 0.05
    wide = lines_of(map(str, range(200)), lambda i, cut: 0.5 + 0.2 * (cut == "a"))
    n = 8
    assert spread_of(wide, 0.05) == pytest.approx(0.1 * np.sqrt(n / (n - 1)), rel=0.02)


# -- the order ---------------------------------------------------------------------------------


def test_the_consensus_decides_where_nothing_else_is_known():
    rows = rows_of()
    for known in (Knowledge(), Knowledge(lines_of(["x"], lambda *_: 0.8))):
        deciding, found = inform(DEFAULT, rows, known)
        assert deciding.key == NAME
        assert found == rows


def test_a_record_of_unrelated_sources_changes_no_order():
    rows = rows_of()
    lines = tuple(replace(line, source=f"other {line.source}", cut=f"other {line.cut}")
                  for line in lines_of("xy", lambda i, _: 0.5 + i / 10))  # fmt: skip
    deciding, found = inform(DEFAULT, rows, Knowledge(lines))
    assert (deciding.key, found) == (NAME, rows)


def test_what_did_well_comes_first_with_its_reasons():
    rows = rows_of()
    lines = lines_of("vwxyz", lambda i, cut: 0.5 + 0.3 * ((i, cut) == (2, "b")))
    deciding, found = inform(DEFAULT, rows, Knowledge(lines))
    assert (deciding.key, deciding.label) == (INFORMED, INFORMED)
    assert order(found, deciding)[0] == ("net2", "b")
    best = next(row for row in found if (row.model, row.cut) == ("net2", "b"))
    assert best.merit.targets == 5
    assert best.merit.expected == best.score == best.scores[INFORMED]
    assert best.half_width == pytest.approx(1.96 * best.merit.sd)
    assert best.note.startswith("record of 5 targets +")
    assert np.mean([row.score for row in found]) == pytest.approx(0, abs=1e-12)


def test_published_accuracy_has_the_weight_of_the_consensus():
    accuracies = [0.7, 0.8, 0.75, 0.72]
    rows = rows_of(cuts=("a",), accuracy=accuracies, benchmark=["ImageNet-1k top-1"] * 4)
    _, found = inform(DEFAULT, rows, Knowledge())
    shares = np.argsort(np.argsort(accuracies)) / 3
    votes = np.array([(row.scores[NAME] * 4 - 0.5) / 3 for row in rows])
    # As far as the two say the same, each is worth less.
    worth = effects().vote / (1 + max(np.corrcoef(shares, votes)[0, 1], 0))
    expected = effects().spread * worth * (shares + votes - 1)
    np.testing.assert_allclose([row.score for row in found], expected, atol=1e-12)
    assert "published accuracy" in found[0].note


def test_two_votes_are_weighed_as_least_squares_weigh_them():
    """Of votes as good as each other that are correlated, the weight is that of a regression."""
    rng = np.random.default_rng(0)
    n = 20_000
    truth = rng.normal(size=n)
    shared = rng.normal(size=n)  # by which both err alike
    one, other = (truth + shared + rng.normal(size=n) for _ in range(2))
    alone = float(truth @ one / (one @ one))
    wanted, *_ = np.linalg.lstsq(np.stack([one, other], axis=1), truth)
    found = alone / (1 + agreement(one, other))
    np.testing.assert_allclose(found, wanted, rtol=0.05)
    assert found < 0.7 * alone


def test_votes_that_agree_add_less_and_those_against_each_other_no_more():
    places = [(name, "a") for name in "wxyz"]
    votes = np.array([-0.5, -0.2, 0.2, 0.5])

    def weights(published):
        """Of the consensus, as differences of the candidates show it."""
        found = expect(places, votes, dict(zip("wxyz", published, strict=True)), Knowledge())
        return np.diff(found.consensus) / (effects().vote * np.diff(votes))

    np.testing.assert_allclose(weights(votes), 0.5)
    np.testing.assert_allclose(weights(-votes), 1)
    np.testing.assert_allclose(weights(np.zeros(4)), 1)


def test_of_a_source_that_nothing_is_published_of_the_consensus_has_all_of_its_weight():
    votes = np.array([-0.5, -0.2, 0.2, 0.5, -0.5, 0.5])
    places = [(name, cut) for name, cut in zip("wxyznn", "aaaaab", strict=True)]
    found = expect(places, votes, dict(zip("wxyz", votes, strict=False)), Knowledge())
    assert found.consensus[3] - found.consensus[0] == pytest.approx(0.5 * effects().vote)
    assert found.consensus[5] - found.consensus[4] == pytest.approx(effects().vote)


def test_two_published_accuracies_or_less_than_half_have_no_vote():
    named = {"accuracy": [0.7, 0.8, None, None], "benchmark": ["B", "B", "", ""]}
    assert inform(DEFAULT, rows_of(**named), Knowledge())[0].key == NAME
    facts = {str(i): CutFacts(accuracy=0.5 + i / 10, benchmark="B") for i in range(3)}
    unknown = {f"unknown {i}": CutFacts() for i in range(3)}
    assert set(published_votes({**facts, **unknown})) == {"0", "1", "2"}
    assert published_votes({**facts, **unknown, "one more": CutFacts()}) == {}
    mixed = {**facts, "x": CutFacts(accuracy=0.9, benchmark="C")}
    assert "x" not in published_votes(mixed)
    assert published_votes({}) == {}


def test_equal_accuracies_share_their_vote():
    known = {"a": 0.7, "b": 0.7, "c": 0.8}
    facts = {name: CutFacts(accuracy=share, benchmark="B") for name, share in known.items()}
    assert published_votes(facts) == {"a": -0.25, "b": -0.25, "c": 0.5}


def test_what_is_known_of_this_target_itself_counts_most():
    rows = rows_of()
    others = lines_of("xy", lambda i, _: 0.6 + 0.05 * (i == 1))
    mine = tuple(
        Trained("me", f"net{i}", "a", 0.5 + 0.4 * (i == 3), samples=400, fingerprint="f")
        for i in range(4)
    )
    deciding, found = inform(DEFAULT, rows, Knowledge((*others, *mine), "f"))
    assert order(found, deciding)[0] == ("net3", "a")
    assert "and this one" in next(row.note for row in found if row.model == "net3")


def test_lines_on_another_modality_or_other_weights_do_not_count():
    rows = rows_of()
    lines = lines_of("xyz", lambda i, _: 0.6 + 0.1 * (i == 1))
    sounds = tuple(replace(line, modality="audio") for line in lines)
    assert inform(DEFAULT, rows, Knowledge(sounds, modality="image"))[0].key == NAME
    assert inform(DEFAULT, rows, Knowledge(sounds, modality="audio"))[0].key == INFORMED
    named = Knowledge(lines, modality="image", weights={"net1": "ab"})
    old = tuple(replace(line, weights="cd") for line in lines)
    with_own = inform(DEFAULT, rows, named)[1]
    with_old = inform(DEFAULT, rows, replace(named, lines=old))[1]
    gain = {row.cut: row.merit.record for row in with_own if row.model == "net1"}
    lost = {row.cut: row.merit.record for row in with_old if row.model == "net1"}
    assert all(gain[cut] > lost[cut] for cut in gain)


def test_a_repeat_of_an_encoding_has_its_record():
    first, *others = rows_of()
    repeat = replace(first, cut="same", same_as=first.cut)
    lines = (*lines_of("xyz", lambda i, _: 0.6), Trained("x", first.model, "same", 0.9))
    _, found = inform(DEFAULT, [first, repeat, *others], Knowledge(lines))
    assert found[0].score == found[1].score > 0


@pytest.mark.parametrize("n", [1, 2])
def test_one_source_and_two(n):
    rows = rows_of(n, cuts=("a",))
    lines = lines_of("xyz", lambda i, _: 0.6 + 0.1 * i, n=3, cuts=("a",))
    deciding, found = inform(DEFAULT, rows, Knowledge(lines))
    assert len(found) == n
    assert all(np.isfinite(row.score) for row in found)
    assert deciding.key == (NAME if n == 1 else INFORMED)


def test_failures_keep_their_rows_and_the_raw_input_is_a_source_that_nobody_tried():
    raw = RankRow(None, "raw input", None, status="baseline",
                  scores={part.key: 9.0 for part in DEFAULT.parts})  # fmt: skip
    failed = RankRow(None, "bad", "a", status="failed", note="constant")
    rows = [*with_consensus(DEFAULT, [*rows_of(), raw]), failed]
    lines = lines_of("xyz", lambda i, _: 0.6 + 0.1 * (i == 1))
    deciding, found = inform(DEFAULT, rows, Knowledge(lines))
    assert found[-1] == failed
    assert found[-2].score > 0
    assert found[-2].merit.record == 0
    assert inform(DEFAULT, [failed], Knowledge(lines)) == (DEFAULT, [failed])
    assert ranked(found, deciding)[-1] == failed


def test_permuted_accuracies_gain_nothing():
    """With truths shuffled among candidates the record's order is one of chance."""
    rng = np.random.default_rng(0)
    quality = rng.normal(size=(12, 3)) * 0.05 + 0.7
    names = [(f"net{i}", cut) for i in range(12) for cut in "abc"]

    def agreement(shuffled):
        found = []
        for _ in range(40):
            truth = quality.ravel() + rng.normal(size=36) * 0.03
            lines = []
            for target in "vwxyz":
                seen = quality.ravel() + rng.normal(size=36) * 0.03
                seen = rng.permutation(seen) if shuffled else seen
                lines += [Trained(target, *names[i], float(seen[i])) for i in range(36)]
            expected = expect(names, np.zeros(36), {}, Knowledge(tuple(lines)))
            found.append(np.corrcoef(expected.belief.mean, truth)[0, 1])
        return float(np.mean(found))

    assert agreement(shuffled=False) > 0.6
    assert abs(agreement(shuffled=True)) < 0.1


def test_the_order_needs_no_matrix_product_above_the_mean() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(7, 7))
    belief = Belief(rng.normal(size=7), half @ half.T)
    centre = np.eye(7) - 1 / 7
    found = belief.beside_the_mean()
    assert np.allclose(found.covariance, centre @ belief.covariance @ centre, atol=1e-12)
    assert np.allclose(found.mean, centre @ belief.mean, atol=1e-12)


def test_where_nothing_is_known_no_matrix_of_all_candidates_is_made(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("zoorank.ranking.informed.expectation", refuse)
    rows = [RankRow(1, f"m{i}", "c", score=0.5, scores={"consensus": i / 4}) for i in range(4)]
    assert inform(DEFAULT, rows, Knowledge()) == (DEFAULT, rows)

from __future__ import annotations

import pytest

from zoorank.encoding.cuts import cuts
from zoorank.errors import UsageError


def test_every_source_of_a_manifest_or_the_named_one(zoo):
    both = cuts(zoo.manifest, allow_code=[zoo.code])
    assert [source.model for source in both] == ["net0", "net1"]
    (one,) = cuts(f"{zoo.manifest}:net1", allow_code=[zoo.code])
    assert one == both[1]
    assert one.cuts[-1].name == "penultimate"
    assert one.cuts[-1].shape == (9,)
    shares = [cut.flops_share for cut in one.cuts]
    assert shares == sorted(shares)


def test_a_shape_serves_instead_of_a_target(zoo):
    given = cuts(zoo.manifest, shape=(6,), allow_code=[zoo.code])
    assert given == cuts(zoo.manifest, allow_code=[zoo.code])


def test_a_factory_needs_no_manifest(zoo):
    (source,) = cuts("tiny_code:Net", shape=(6,), allow_code=[zoo.code])
    assert [cut.shape for cut in source.cuts][-1] == (8,)
    assert cuts("tiny_code:Net", shape=(6,), allow_code=str(zoo.code)) == (source,)


def test_a_source_that_cannot_be_used_says_why(broken_zoo):
    found = cuts(broken_zoo.manifest, allow_code=[broken_zoo.code])
    notes = {source.model: source.note for source in found if not source.cuts}
    assert set(notes) == {"no-weights", "no-network"}
    assert "absent.safetensors" in notes["no-weights"]


@pytest.mark.parametrize(
    ("models", "settings", "message"),
    [
        ("{zoo}:neet1", {}, "has no model 'neet1'; did you mean 'net1'? allowed: net0, net1"),
        ("what is this", {}, "allowed: ZOO.toml, ZOO.toml:MODEL, MODULE:FACTORY"),
        ("{zoo}", {"shape": (1, 2, 3, 4)}, "shape '1,2,3,4' is neither"),
        ("{zoo}", {"shape": (0,)}, "all at least 1"),
        ("tiny_code:Net", {"shape": (5, 8, 8)}, "channels"),
    ],
)
def test_a_mistake_in_the_call_is_an_error(zoo, models, settings, message):
    with pytest.raises(UsageError) as caught:
        cuts(models.format(zoo=zoo.manifest), allow_code=[zoo.code], **settings)
    assert message in str(caught.value)


def test_something_must_be_fed(zoo):
    zoo.manifest.write_text(zoo.manifest.read_text().replace('data = "target.npz"', ""))
    with pytest.raises(UsageError, match="no sample to feed"):
        cuts(zoo.manifest, allow_code=[zoo.code])

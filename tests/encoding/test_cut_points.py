from __future__ import annotations

import pytest
from tests.sources import tiny_transformers
from tests.sources.onnx_nets import residual_net, save

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


def test_columns_have_no_usual_number(zoo):
    zoo.manifest.write_text(zoo.manifest.read_text().replace('data = "target.npz"', ""))
    for source in cuts(zoo.manifest, allow_code=[zoo.code]):
        assert not source.cuts
        assert source.note == "no usual sample fits it: give data, or a shape"


def test_a_model_is_fed_the_first_usual_samples_that_it_takes(tmp_path):
    """A graph does not say whether it is one for images; a directory says so when it is read."""
    (image,) = cuts(f"onnx:{save(residual_net(), tmp_path / 'image.onnx')}")
    assert [len(cut.shape) for cut in image.cuts][:2] == [3, 3]
    tiny_transformers.save("bert", tmp_path / "bert")
    (text,) = cuts(f"hf:{tmp_path / 'bert'}")
    assert "encoder.layer.0" in [cut.name for cut in text.cuts]
    tiny_transformers.save("wav2vec2", tmp_path / "sounds")
    assert cuts(f"hf:{tmp_path / 'sounds'}")[0].cuts


def test_one_source_without_samples_fails_alone(tmp_path):
    image, lost = save(residual_net(), tmp_path / "image.onnx"), tmp_path / "lost.onnx"
    found = cuts([f"onnx:{lost}", f"onnx:{image}"])
    assert [bool(source.cuts) for source in found] == [False, True]
    assert "lost.onnx" in found[0].note

"""Every kind of source is exported, encodes as the source does, and a head trains on it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exports need torch: pip install 'zoorank[zoo]'")
pytest.importorskip("sklearn", reason="heads need scikit-learn: pip install 'zoorank[scores]'")
pytest.importorskip("onnxscript", reason="torch writes ONNX with it: pip install 'zoorank[test]'")

from sklearn.linear_model import LogisticRegression  # noqa: E402
from torch import nn  # noqa: E402

import zoorank  # noqa: E402
from zoorank.errors import UsageError  # noqa: E402
from zoorank.exporting.export import export, load  # noqa: E402
from zoorank.sources.base import Entry  # noqa: E402
from zoorank.sources.manifest import load_zoo  # noqa: E402
from zoorank.targets import load_target  # noqa: E402

WORDS = ("film", "plot", "actor", "scene", "music", "ending", "story", "joke")
GOOD, BAD = ("lovely", "great", "moving", "funny"), ("dull", "awful", "boring", "weak")


def reviews(n=48):
    """Texts of two classes and of several lengths, between which their words tell."""
    rng = np.random.default_rng(0)
    texts = []
    for i in range(n):
        praise = (GOOD, BAD)[i % 2]
        parts = [f"the {rng.choice(WORDS)} was {rng.choice(praise)}" for _ in range(1 + i % 4)]
        texts.append(", ".join(parts))
    return np.array(texts, dtype=object), np.arange(n) % 2


def the_same(source, data, folder, *, cut, files):
    """Export, load again, and compare encodings of all samples and of one alone."""
    found = export(source, data, folder, cut=cut)
    expected = zoorank.encode(source, data, cut=cut)
    target = load_target(data)
    samples = list(target.take(range(len(target))))
    encoded = load(folder).encode(samples)
    assert found.files == files
    assert encoded.shape == expected.shape == (len(target), found.dim)
    scale = np.abs(expected).max()
    assert np.allclose(encoded, expected, rtol=1e-4, atol=1e-5 * scale)
    assert np.allclose(load(folder).encode(samples[-1:]), expected[-1:], atol=1e-4 * scale)
    return encoded, target.labels


def accuracy(encoded, labels):
    """Of a linear head that was trained on the first half, on the second."""
    half, scaled = len(labels) // 2, encoded / encoded.std()
    head = LogisticRegression(max_iter=5000).fit(scaled[:half], labels[:half])
    return head.score(scaled[half:], labels[half:])


class TestTexts:
    @pytest.mark.parametrize("cut", ["hidden_states.2", "hidden_states.mean", "penultimate"])
    def test_a_model_of_transformers(self, cut, tmp_path):
        from tests.sources.carried import minilm

        files = ("encoder.pt2", "encoder.onnx")
        found = the_same(f"hf:{minilm()}", reviews(), tmp_path, cut=cut, files=files)
        assert accuracy(*found) > 0.8  # half by chance
        assert (tmp_path / "tokenizer.json").is_file()

    def test_a_chain_with_a_prompt(self, tmp_path):
        from tests.sources.carried import minilm

        (chain,) = load_zoo_of(
            tmp_path, f"st:{minilm()}", "preprocessing = { input = 'text', prefix = 'query: ' }"
        ).models
        files = ("encoder.pt2", "encoder.onnx")
        found = the_same(chain, reviews(), tmp_path / "out", cut="penultimate", files=files)
        assert accuracy(*found) > 0.8
        assert load(tmp_path / "out").record.preprocessing.prefix == "query: "

    def test_word_vectors(self, tmp_path):
        rng = np.random.default_rng(0)
        words = {word: rng.normal(size=6).round(3) for word in (*WORDS, *GOOD, *BAD)}
        lines = [" ".join([word, *map(str, vector)]) for word, vector in words.items()]
        (tmp_path / "words.txt").write_text("\n".join(lines) + "\n")
        source = f"vectors:{tmp_path / 'words.txt'}"
        out = tmp_path / "out"
        found = the_same(source, reviews(), out, cut="penultimate", files=("words.txt",))
        assert accuracy(*found) > 0.8

    def test_the_files_of_the_source_stay(self, tmp_path):
        words = {word: [len(word), k] for k, word in enumerate((*WORDS, *GOOD, *BAD))}
        lines = [" ".join([word, *map(str, vector)]) for word, vector in words.items()]
        (tmp_path / "words.txt").write_text("\n".join(lines) + "\n")
        source = f"vectors:{tmp_path / 'words.txt'}"
        with pytest.raises(UsageError, match="is read here; write to another place"):
            export(source, reviews(), tmp_path, cut="penultimate")
        assert [path.name for path in tmp_path.iterdir()] == ["words.txt"]

    def test_vectors_beside_their_words(self, tmp_path):
        rng = np.random.default_rng(0)
        words = (*WORDS, *GOOD, *BAD)
        np.save(tmp_path / "v.npy", rng.normal(size=(len(words), 6)).astype(np.float32))
        (tmp_path / "list.txt").write_text("\n".join(words) + "\n")
        zoo = load_zoo_of(tmp_path, "vectors:v.npy", "words = 'list.txt'")
        out = tmp_path / "out"
        the_same(zoo, reviews(), out, cut="penultimate", files=("v.npy", "list.txt"))

    def test_a_static_embedding(self, tmp_path):
        from safetensors.numpy import save_file
        from tokenizers import Tokenizer, models, pre_tokenizers

        words = ["[UNK]", *WORDS, *GOOD, *BAD]
        vocabulary = {word: place for place, word in enumerate(words)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        (tmp_path / "static").mkdir()
        tokenizer.save(str(tmp_path / "static" / "tokenizer.json"))
        vectors = np.random.default_rng(0).normal(size=(len(words), 6)).astype(np.float32)
        save_file({"embeddings": vectors}, tmp_path / "static" / "model.safetensors")
        (tmp_path / "static" / "config.json").write_text('{"normalize": true}')
        out, source = tmp_path / "out", f"vectors:{tmp_path / 'static'}"
        files = ("model.safetensors", "tokenizer.json", "config.json")
        encoded, _ = the_same(source, reviews(), out, cut="penultimate", files=files)
        assert np.allclose(np.linalg.norm(encoded, axis=1), 1, atol=1e-5)


def load_zoo_of(folder, source, *lines):
    """A manifest of one model."""
    text = "\n".join(["[[model]]", f'source = "{source}"', *lines])
    (folder / "zoo.toml").write_text(text + "\n")
    return load_zoo(folder / "zoo.toml")


@pytest.mark.parametrize("cut", ["2", "penultimate"])
def test_a_program(cut, tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 9, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 3),
    ).eval()  # fmt: skip
    several = ({0: torch.export.Dim("samples")},)
    program = torch.export.export(network, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=several)
    torch.export.save(program, tmp_path / "net.pt2")
    zoo = load_zoo_of(tmp_path, "exported:net.pt2", "preprocessing = { input = 'image', size = 8 }")
    out, files = tmp_path / "out", ("encoder.pt2", "encoder.onnx")
    found = the_same(zoo, "sklearn:digits", out, cut=cut, files=files)
    assert accuracy(*found) > 0.25  # one in ten by chance
    kept = torch.export.load(out / "encoder.pt2").state_dict
    assert sum(each.numel() for each in kept.values()) == 3 * 9 * 8 + 8 + 8 * 9 * 9 + 9


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras on torch
@pytest.mark.parametrize("cut", ["inner/first", "inner", "penultimate"])
def test_a_model_of_keras(cut, tmp_path):
    keras = pytest.importorskip("keras", reason="needs Keras: pip install 'zoorank[keras]'")
    if keras.config.backend() not in ("torch", "jax"):
        pytest.skip("Keras runs on torch or jax here: set KERAS_BACKEND")
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(6, 3, activation="relu", name="first"),
            layers.Conv2D(7, 3, name="second"),
        ],
        name="inner",
    )
    given = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.ReLU()(inner(given)))
    keras.Model(given, layers.Dense(4, activation="softmax")(pooled)).save(tmp_path / "net.keras")
    zoo = load_zoo_of(tmp_path, "keras:net.keras", "preprocessing = { input = 'image', size = 8 }")
    onnx = ("encoder.onnx",) if keras.config.backend() == "torch" else ()
    out, files = tmp_path / "out", ("encoder.keras", *onnx)
    found = the_same(zoo, "sklearn:digits", out, cut=cut, files=files)
    assert accuracy(*found) > 0.25
    kept = sum(np.prod(each.shape) for each in keras.saving.load_model(out / files[0]).weights)
    assert kept == 3 * 9 * 6 + 6 + (cut != "inner/first") * (6 * 9 * 7 + 7)


def test_a_processor_of_images_is_written_down(tmp_path):
    transformers = pytest.importorskip("transformers", reason="pip install 'zoorank[huggingface]'")
    from zoorank.sources.processors import ProcessorTransform, transform_of

    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=8,
    )  # fmt: skip
    torch.manual_seed(0)
    model = tmp_path / "model"
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(model)
    processor = transformers.EfficientNetImageProcessor(size={"height": 32, "width": 32})
    processor.save_pretrained(model)
    assert isinstance(transform_of(processor, Entry()), ProcessorTransform)
    rng = np.random.default_rng(0)
    shades = np.arange(12)[:, None, None, None] % 3 * 60
    photos = rng.integers(0, 60, (12, 40, 40, 3)) + shades
    data = photos.astype(np.uint8), np.arange(12) % 3
    out = tmp_path / "out"
    the_same(f"hf:{model}", data, out, cut="penultimate", files=("encoder.pt2", "encoder.onnx"))
    assert load(out).record.preprocessing.file == "preprocessor_config.json"


def test_what_is_shuffled_is_a_control(tmp_path):
    (tmp_path / "words.txt").write_text("good 1 2\nbad 2 1\nfilm 3 1\n")
    zoo = load_zoo_of(tmp_path, "vectors:words.txt", "shuffled = 0")
    data = np.array(["good film", "bad film"] * 4, dtype=object), np.arange(8) % 2
    with pytest.raises(zoorank.errors.SourceError, match="a control, and not exported"):
        export(zoo, data, tmp_path / "out")

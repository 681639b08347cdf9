"""How long does a whole ranking take, beside loops that only encode, as users write them?

Photos: 240 JPEGs of 1280x960 pixels, cut out of scikit-learn's two photographs, and three
EfficientNet-lite with their published weights at 224 pixels. Digits: scikit-learn's, the same
networks at 96 pixels. Texts: the sayings of eight subjects and all-MiniLM-L6-v2. Series: a data set
of the UCR archive and twelve networks that were trained on others. Each way runs in a process of
its own, with one thread, and all ways in turns, so that a busy moment meets each of them:

- zoorank, and the same in bf16: the whole of `rank`, with its scores, its store, and what is
  told of each source;
- a plain loop: Pillow, eager torch, 32 samples a batch; it encodes, and nothing else;
- the same with channels last, its samples prepared by a DataLoader;
- transformer-ranker, where it is installed: its LogME of the last layer, with words averaged first,
  so its encodings are not compared;
- thingsvision, where it is installed, with TensorFlow, which it imports for networks of torch, too:
  its own pass over the same prepared samples.

What counts is processor time from behind the imports on, the weights' reading included. First of
all the encodings are compared with those of the plain loop: they may differ by as much as the
photos differ that Pillow decodes at half their size.

    python benchmarks/end_to_end.py [photos] [digits] [texts] [series]
"""

import contextlib
import csv
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _common import arguments, finish, in_own_process, resident
from _given import digits, photos, series, texts
from _machine import MACHINE_COLUMNS, this_machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
MEAN, STD = 0.498039, 0.501961
# Relative to the encodings' own spread: float32 sums in another order, photos decoded at half
# their size, and eight bits of a number, fifty layers deep.
MOST = {"photos": 0.1, "digits": 1e-3, "texts": 1e-3, "series": 1e-3}
MOST_BF16 = 0.25


def main(argv=None):
    asked, argv = known_cases(sys.argv[1:] if argv is None else argv)
    chosen = arguments(__doc__, argv)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for case in asked:
            found = measured(case, Path(folder), chosen.rounds, quick=chosen.quick)
            wrong += [f"{row['case']} {row['way']}" for row in found if not row.pop("is_right")]
            # One by one: what took a quarter of an hour is not lost with the next.
            rows = [*found, *kept([case], chosen.out)]
            rows.sort(key=lambda row: [*CASES].index(row["case"]))
            finish(rows, "end_to_end", chosen.out)
    return f"encodings differ: {', '.join(wrong)}" if wrong else 0


def known_cases(argv):
    """The cases that are named among the arguments, else all, and the other arguments."""
    named = [each for each in argv if each in CASES]
    return named or list(CASES), [each for each in argv if each not in CASES]


def kept(measured_now, out):
    """Rows of the other cases that were measured before on this machine."""
    file = None if out is None else out / this_machine().slug / "end_to_end.csv"
    if file is None or not file.is_file():
        return []
    with file.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["case"] not in measured_now]
    return [
        {name: cell for name, cell in row.items() if name not in MACHINE_COLUMNS} for row in rows
    ]


def measured(case, folder, rounds, *, quick):
    """Rows of one case: every way in turns, after their answers were compared."""
    prepare, ways = CASES[case]
    given = prepare(folder / case, quick)
    if given is None:
        print(f"{case}: skipped, its data or weights are not here")
        return []
    taken = {way: [] for way in ways}
    expected = {}
    for number in range(rounds):
        for way in list(taken):
            place = folder / f"{case} {way} {number}"
            found = in_own_process(child, case, way, given, str(place))
            if found is None:
                print(f"{case}: {way} skipped, it is not installed")
                del taken[way]
                continue
            if way == "plain loop":
                expected = found["encodings"]
            found["difference"] = differences(found.pop("encodings"), expected)
            taken[way].append(found)
    plain = statistics.median(each["processor_s"] for each in taken["plain loop"])
    return [row(case, way, each, plain) for way, each in taken.items()]


def row(case, way, found, plain):
    def median(name):
        return statistics.median(each[name] for each in found)

    most = MOST_BF16 if way.endswith("bf16") else MOST[case]
    difference = found[0]["difference"]
    shares = found[0]["shares"]
    return {
        "case": case,
        "way": way,
        "processor_s": median("processor_s"),
        "wall_s": median("wall_s"),
        "of_plain_loop": median("processor_s") / plain,
        "peak_mb": median("peak_mb"),
        "page_faults": median("page_faults"),
        "difference": difference if difference is not None else "",
        **{name: shares.get(name, "") for name in STAGES},
        "is_right": difference is None or difference <= most,
    }


STAGES = ("opening", "preparing", "network", "writing", "scoring")


def differences(encodings, expected):
    """How far encodings are from those of the plain loop, relative to their own spread."""
    found = [
        np.linalg.norm(encodings[name] - value) / np.linalg.norm(value - value.mean(axis=0))
        for name, value in expected.items()
        if name in encodings
    ]
    return float(max(found)) if found else None


def child(case, way, given, place):
    """Run one way in this process and tell what it cost; None where it is not installed."""
    import torch

    torch.set_num_threads(1)
    prepare = WAYS[case, way]
    try:
        work = prepare(given, place)
    except ImportError:
        return None
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        encodings, shares = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall_s": time.perf_counter() - began,
        "peak_mb": (resident("VmHWM") or 0) / 1e6,
        "page_faults": after.ru_minflt - before.ru_minflt,
        "encodings": encodings,
        "shares": shares,
    }


# zoorank.


def zoorank(precision="float32"):
    def prepare(given, place):
        import efficientnet_lite_pytorch  # noqa: F401 - imports are not measured
        import scipy.linalg  # noqa: F401

        from zoorank import load_zoo, rank

        zoo = zoo_of(given, Path(place))
        data = given.get("folder") or (
            given["X" if "X" in given else "texts"],
            given["y" if "X" in given else "labels"],
        )

        def work():
            zoo_read = load_zoo(zoo, allow_code=[ROOT / "examples" / "ucr"])
            ranking = rank(zoo_read, data, store=place, device="cpu", precision=precision)
            rows = [row for row in ranking.rows if row.status == "ok"]
            assert len(rows) == len(zoo_read.models), [row.note for row in ranking.rows]
            encodings = {row.model: np.array(ranking.encoding(row)) for row in rows}
            return encodings, shares_of(ranking)

        return work

    return prepare


def shares_of(ranking):
    stages = getattr(ranking, "stages", None)
    return {} if stages is None else dict(stages.shares())


def zoo_of(given, place):
    """Write the manifest that describes the models given."""
    lines = []
    for name, file in given.get("weights", ()):
        arguments = f'model_name = "efficientnet-{name}", image_size = {given["size"]}'
        scaling = "255" if "folder" in given else '"minmax"'
        lines += [
            f'[[model]]\nname = "{name}"\nweights.file = "{file}"',
            'factory = "efficientnet_lite_pytorch:EfficientNet.from_name"',
            f"arguments = {{ {arguments} }}\n[model.preprocessing]",
            f'input = "image"\nsize = {given["size"]}\nfit = "crop"\ninterpolation = "bicubic"',
            f"scaling = {scaling}\nmean = {MEAN}\nstd = {STD}",
        ]
    if "place" in given:
        lines.append(f'[[model]]\nname = "minilm"\nsource = "hf:{given["place"]}"')
    for file in given.get("files", ()):
        lines += [
            f'[[model]]\nname = "{Path(file).stem}"\nfactory = "fcn:FCN"',
            f'arguments_from_weights = {{ n_classes = "final.bias" }}\nweights.file = "{file}"',
            'preprocessing = { input = "series", scaling = "standardize" }',
        ]
    place.mkdir(parents=True)
    (place / "zoo.toml").write_text("\n".join(lines))
    return place / "zoo.toml"


# Loops.


def image_loop(*, channels_last):
    def prepare(given, _place):
        import efficientnet_lite_pytorch  # noqa: F401 - imports are not measured
        import torch
        from torch.utils.data import DataLoader

        def work():
            samples, found = Samples(given), {}
            for name, file in given["weights"]:
                model = network(name, file, given["size"])
                if channels_last:
                    model = model.to(memory_format=torch.channels_last)
                    batches = DataLoader(samples, batch_size=32)
                else:
                    starts = range(0, len(samples), 32)
                    batches = (
                        torch.stack([samples[i] for i in range(s, min(s + 32, len(samples)))])
                        for s in starts
                    )
                encoded = []
                with torch.inference_mode():
                    for batch in batches:
                        if channels_last:
                            batch = batch.contiguous(memory_format=torch.channels_last)  # noqa: PLW2901
                        encoded.append(model.extract_features(batch).mean(dim=(2, 3)).numpy())
                found[name] = np.concatenate(encoded)
            return found, {}

        return work

    return prepare


def network(name, file, size):
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    made = EfficientNet.from_name(f"efficientnet-{name}", image_size=size).eval()
    made.load_state_dict(torch.load(file, weights_only=True))
    return made


class Samples:
    """Images as a loop reads them: decoded, resized and scaled again for every network."""

    def __init__(self, given):
        self.size = given["size"]
        if "folder" in given:
            self.items = sorted(Path(given["folder"]).glob("*/*.jpg"))
        else:
            self.items = given["X"]
            self.low, self.high = given["X"].min(), given["X"].max()

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        import torch
        from PIL import Image

        item, size = self.items[index], self.size
        image = Image.open(item).convert("RGB") if isinstance(item, Path) else Image.fromarray(item)
        width, height = image.size
        short = min(width, height)
        resized = image.resize(
            (width * size // short, height * size // short), Image.Resampling.BICUBIC
        )
        left, top = ((side - size) // 2 for side in resized.size)
        pixels = np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.float32)
        if pixels.ndim == 2:
            pixels = np.stack([(pixels - self.low) / (self.high - self.low)] * 3, axis=2)
        else:
            pixels = pixels / 255
        return torch.from_numpy((pixels.transpose(2, 0, 1) - MEAN) / STD).float()


def thingsvision(given, _place):
    from torch.utils.data import DataLoader

    np.AxisError = np.exceptions.AxisError  # noqa: NPY201 - where thingsvision 2.7 looks for it
    from thingsvision import get_extractor_from_model

    def work():
        samples, found = Samples(given), {}
        for name, file in given["weights"]:
            extractor = get_extractor_from_model(
                network(name, file, given["size"]), device="cpu", backend="pt"
            )
            found[name] = extractor.extract_features(
                DataLoader(samples, batch_size=32), module_name="_avg_pooling", flatten_acts=True
            )
        return found, {}

    return work


def text_loop(given, _place):
    import torch
    from transformers import AutoModel, AutoTokenizer

    def work():
        tokenizer = AutoTokenizer.from_pretrained(given["place"])
        model = AutoModel.from_pretrained(given["place"]).eval()
        encoded = []
        with torch.inference_mode():
            for start in range(0, len(given["texts"]), 32):
                some = list(given["texts"][start : start + 32])
                batch = tokenizer(some, padding=True, truncation=True, return_tensors="pt")
                states = model(**batch).last_hidden_state
                mask = batch["attention_mask"][..., None]
                encoded.append(((states * mask).sum(1) / mask.sum(1)).numpy())
        return {"minilm": np.concatenate(encoded)}, {}

    return work


def series_loop(given, _place):
    import torch
    from safetensors.torch import load_file

    sys.path.insert(0, str(ROOT / "examples" / "ucr"))
    from fcn import FCN

    def work():
        found = {}
        X = given["X"]
        scaled = torch.from_numpy(((X - X.mean()) / X.std()).astype(np.float32))[:, None]
        for file in given["files"]:
            weights = load_file(file)
            model = FCN(len(weights["final.bias"])).eval()
            model.load_state_dict(weights)
            encoded = []
            with torch.inference_mode():
                for start in range(0, len(scaled), 32):
                    x = scaled[start : start + 32]
                    for block in model.layers:
                        x = block(x)
                    encoded.append(x.mean(dim=-1).numpy())
            found[Path(file).stem] = np.concatenate(encoded)
        return found, {}

    return work


def transformer_ranker(given, _place):
    from datasets import ClassLabel, Dataset, Features, Value
    from transformer_ranker import TransformerRanker

    names = sorted(set(given["labels"]))
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    labels = [names.index(label) for label in given["labels"]]
    data = Dataset.from_dict({"text": list(given["texts"]), "label": labels}, features=features)

    def work():
        ranker = TransformerRanker(data, text_column="text", label_column="label")
        ranker.run([given["place"]], estimator="logme", layer_aggregator="lastlayer", device="cpu")
        return {}, {}

    return work


WAYS = {
    ("photos", "plain loop"): image_loop(channels_last=False),
    ("photos", "channels-last loop"): image_loop(channels_last=True),
    ("photos", "thingsvision"): thingsvision,
    ("digits", "plain loop"): image_loop(channels_last=False),
    ("digits", "channels-last loop"): image_loop(channels_last=True),
    ("digits", "thingsvision"): thingsvision,
    ("texts", "plain loop"): text_loop,
    ("texts", "transformer-ranker"): transformer_ranker,
    ("series", "plain loop"): series_loop,
}
PREPARED = {"photos": photos, "digits": digits, "texts": texts, "series": series}
for _case in PREPARED:
    WAYS[_case, "zoorank"] = zoorank()
    WAYS[_case, "zoorank, bf16"] = zoorank("bf16")
CASES = {
    case: (prepare, [way for known, way in WAYS if known == case])
    for case, prepare in PREPARED.items()
}

if __name__ == "__main__":
    sys.exit(main())

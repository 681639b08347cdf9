"""README.md and docs/ quote the figures that were measured."""

import difflib
import shutil
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pictures need it: pip install 'zoorank[plots]'")

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
]
PAGES.remove("docs/ucr-study.md")  # tests/benchmarks/test_ucr_study.py
PICTURE = "docs/estimator_scaling.svg"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "figures")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_figures_are_those_measured(page):
    from pages import as_measured
    from quoted import TABLES, figures

    text = text_of(page)
    measured = as_measured(text, TABLES, figures())
    stale = "\n".join(
        difflib.unified_diff(
            text.splitlines(), measured.splitlines(), page, "measured", "", "", 0, ""
        )
    )
    assert not stale, f"`make figures` puts this right:\n{stale}"


@pytest.mark.parametrize("page", [*PAGES, "docs/ucr-study.md"])
def test_no_line_begins_with_a_figure(page):
    """A comment at the beginning of a line ends the paragraph, and what follows it is no text."""
    lines = text_of(page).splitlines()
    assert [line for line in lines if line.lstrip(" >").startswith("<!--=")] == []


def test_the_picture_shows_what_was_measured():
    from pictures import is_stale, scaling

    assert not is_stale(ROOT / PICTURE, scaling()), "`make figures` draws it anew"


def test_labels_in_the_picture_do_not_overlap():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from pictures import draw_scaling, scaling

    figure = draw_scaling(scaling())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    legend = [text.get_window_extent() for text in axes.get_legend().get_texts()]
    ticks = [label.get_window_extent() for label in axes.get_xticklabels()]
    for boxes in (legend, ticks):
        assert len(boxes) == 3
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_every_table_and_figure_is_on_one_page():
    from pages import names_on
    from quoted import TABLES, figures

    tables, single = names_on("".join(map(text_of, PAGES)))
    assert sorted(tables) == sorted(TABLES)
    assert sorted(single) == sorted(figures())


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
    assert "<text" in (tmp_path / PICTURE).read_text()
    assert page.read_text() == text_of("docs/ids.md")


def test_a_table_is_replaced_and_what_stands_around_it_is_not():
    from measured import table
    from pages import as_measured

    new = table("b | share", "{b x:.1f} | {share:.0%}", [{"b x": 3.14159, "share": 0.5}])
    before = "| a |\n|---|\n| 1 |\n\n<!-- figures: new -->\n"
    whole = f"{before}\n| b | share |\n|---|---|\n| 3.1 | 50 % |\n"
    # A line right below a table would be a row of it.
    for text in ("\n| b |\n|---|\n| 2 |\n\nwords\n", "| b |\n|---|\n| 2 |\nwords\n", "\nwords\n"):
        assert as_measured(before + text, {"new": lambda: new}, {}) == f"{whole}\nwords\n"
    text = before + "\n| b |\n"
    assert as_measured(text, {"new": lambda: new}, {}) == whole
    with pytest.raises(ValueError, match="no table is called new; there are old, older"):
        as_measured(text, {"old": str, "older": str}, {})


def test_a_figure_is_replaced_between_its_marks_alone():
    from pages import as_measured

    text = "It took <!--=a.b-->3 s\nor so<!--/-->, or <!--=c-->4<!--/-->."
    assert as_measured(text, {}, {"a.b": "12.1 s", "c": "5"}) == (
        "It took <!--=a.b-->12.1 s<!--/-->, or <!--=c-->5<!--/-->."
    )
    with pytest.raises(ValueError, match=r"no figure is called a\.b; there are c"):
        as_measured(text, {}, {"c": "5"})


def test_the_readme_shows_the_guidance_of_today():
    from zoorank.ranking.guidance import guidance
    from zoorank.ranking.ranking import RankRow, TargetFacts

    digits = TargetFacts("digits", "", "image", 1797, "(8, 8)", tuple("0123456789"), "")
    text = guidance("consensus", [RankRow(1, "lite2", "_blocks.14", dim=120)], digits)
    assert text in " ".join(text_of("README.md").split())

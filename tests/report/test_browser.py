"""report.html in a browser: as people see it, on a desk and on a phone, by day and by night."""

import pytest
from tests.report.browser import chromium, lacks
from tests.report.rankings import HOSTILE, large, of_every_column, of_images, of_series, of_texts

pytest.importorskip("jinja2", reason="the page needs it: pip install 'zoorank[report]'")
if lacks():
    pytest.skip(lacks(), allow_module_level=True)

from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from zoorank.report.html import page

MADE = {
    "images": of_images,
    "series": of_series,
    "texts": of_texts,
    "large": lambda: (large(),),
    "columns": of_every_column,
}


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")

    def path(kind):
        place = folder / f"{kind}.html"
        if not place.exists():
            place.write_text(page(*MADE[kind]()), encoding="utf-8")
        return place

    return path


def cells(browser, column):
    return browser.run(
        "const at = document.querySelector(`th[data-column='${arguments[0]}']`).cellIndex;"
        "return [...document.querySelectorAll('#table tbody tr:not([hidden])')]"
        ".map((row) => row.cells[at].innerText)",
        column,
    )


def eventually(browser, condition):
    return WebDriverWait(browser.driver, 10).until(lambda _: condition())


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("kind", ["images", "series", "texts"])
def test_a_page_opens_without_a_complaint_or_a_request(browser, report, kind, width, colours):
    browser.open(report(kind), width, colours=colours)
    assert browser.draw_all() == 0
    assert browser.messages() == []
    assert browser.requests() == []
    assert len(browser.all(".chart svg")) == 5
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.driver.title == "pets: which model to transfer from"
    background = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, background[4:-1].split(","))) < 60) == (colours == "dark")


def test_no_text_of_a_chart_is_wider_than_the_window(browser, report):
    browser.open(report("texts"), 400)
    browser.draw_all()
    outside = browser.run(
        "return [...document.querySelectorAll('.chart text')].filter((text) => {"
        " const box = text.getBoundingClientRect();"
        " return box.width && (box.left < -1 || box.right > innerWidth + 1); })"
        ".map((text) => text.textContent)"
    )
    assert outside == []


def test_every_column_is_in_sight_on_a_desk(browser, report):
    browser.open(report("columns"), 1400)
    assert cells(browser, "memory")[0] == "289 MB"
    assert browser.run(
        "const scroll = document.querySelector('.scroll');"
        "return scroll.scrollWidth - scroll.clientWidth"
    ) == 0  # fmt: skip
    headings = browser.run(
        "return [...document.querySelectorAll('thead th')].map((th) => th.innerText)"
    )
    assert "H\u2011score" in headings


def test_names_are_text(browser, report):
    browser.open(report("texts"))
    browser.draw_all()
    shown = browser.run("return document.body.innerText")
    for name in (*HOSTILE[:3], HOSTILE[4], HOSTILE[7], HOSTILE[8]):
        assert name in shown
    assert "evil\\u202egpj.exe" in shown
    assert browser.all("main img, main script") == []
    legend = browser.run(
        "return [...document.querySelectorAll('.chart text')].map((text) => text.textContent)"
    )
    assert any(text.startswith("<script>") for text in legend)


def test_sorting(browser, report):
    browser.open(report("images"))
    assert cells(browser, "rank")[:2] == ["1", "2"]
    heading = browser.one("th[data-column='parameters_kept']")
    heading.find_element("css selector", "button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert len(browser.all("[aria-sort]")) == 1
    upwards = cells(browser, "model")
    heading.find_element("css selector", "button").send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    ranked = [name for name in cells(browser, "model") if name != "raw input"]
    assert ranked == [name for name in reversed(upwards) if name != "raw input"]
    browser.one("th[data-column='score logme'] button").click()
    values = [float(text.replace("−", "-")) for text in cells(browser, "score logme")]
    assert values == sorted(values, reverse=True)


def test_what_is_unknown_comes_last_in_both_directions(browser, report):
    browser.open(report("images"))
    for _ in range(2):
        browser.one("th[data-column='dim'] button").click()
        assert cells(browser, "dim")[-1] == "–"


def test_filtering_the_table_and_the_charts(browser, report):
    browser.open(report("images"))
    browser.draw_all()
    browser.one("#find").send_keys("VIT layer")
    eventually(browser, lambda: len(cells(browser, "model")) == 3)
    assert {text.split("\n")[0] for text in cells(browser, "model")} == {"vit"}
    assert browser.one("#count").text == "3 of 10 shown"
    points = "[data-chart=depth] [aria-roledescription=point]"
    eventually(browser, lambda: len(browser.all(points)) == 3)
    browser.one("#find").send_keys(Keys.CONTROL, "a", Keys.DELETE)
    eventually(browser, lambda: len(cells(browser, "model")) == 10)
    browser.one("#best-only").click()
    assert len(cells(browser, "model")) == 4


def test_the_tip_of_a_point(browser, report):
    browser.open(report("texts"))
    browser.draw_all()
    point = browser.all("[data-chart=cost] [aria-roledescription=point]")[-1]
    browser.point_at(point)
    tip = browser.one("#tip")
    eventually(browser, tip.is_displayed)
    assert tip.find_element("css selector", "strong").text in point.get_attribute("aria-label")
    assert "parameters" in tip.text
    browser.point_at(browser.one("#cost-title"))
    eventually(browser, lambda: not tip.is_displayed())


@pytest.mark.parametrize(
    ("kind", "shown"), [("images", "img"), ("series", "svg"), ("texts", "div")]
)
def test_the_sample_at_a_point(browser, report, kind, shown):
    browser.open(report(kind))
    browser.draw_all()
    point = browser.all("[data-chart=plane] [aria-roledescription=point]")[5]
    browser.point_at(point)
    eventually(browser, browser.one("#tip").is_displayed)
    assert len(browser.all(f"#tip {shown}")) == 1
    assert browser.messages() == []


def test_marks_are_reached_by_keyboard(browser, report):
    browser.open(report("images"))
    browser.draw_all()

    def step():
        # A chart that is drawn again, at another width, loses the focus.
        browser.run(
            "const chart = document.querySelector('[data-chart=depth] svg');"
            "if (document.activeElement !== chart) chart.focus();"
        )
        ActionChains(browser.driver).send_keys(Keys.ARROW_RIGHT).perform()
        return browser.one("#tip").is_displayed()

    seen = []
    for _ in range(3):
        eventually(browser, step)
        seen.append(browser.one("#tip").text)
    assert len(set(seen)) == 3
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert not browser.one("#tip").is_displayed()


def test_every_control_is_reached_by_keyboard(browser, report):
    browser.open(report("images"))
    browser.draw_all()
    reached = set()
    for _ in range(80):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        reached.add(browser.run(
            "const e = document.activeElement; return e.id || e.getAttribute('data-copy')"
            " || e.closest('[data-chart]')?.dataset.chart || e.tagName"
        ))  # fmt: skip
    wanted = {"theme", "find", "best-only", "depth-score", "cost-score", "cost-choice", "command"}
    assert wanted | {"depth", "cost", "plane"} <= reached


def test_the_switch_of_colours_is_kept(browser, report):
    browser.open(report("images"))
    browser.draw_all()
    colour = "return getComputedStyle(document.body).backgroundColor"
    line = "return document.querySelector('[data-chart=cost] [aria-roledescription=point]')"
    line += ".getAttribute('fill')"
    light, light_line = browser.run(colour), browser.run(line)
    browser.one("#theme").click()
    assert browser.run(colour) != light
    eventually(browser, lambda: browser.run(line) != light_line)
    browser.driver.refresh()
    assert browser.run(colour) != light
    assert browser.one("#theme").text == "Light"
    browser.one("#theme").click()
    assert browser.run(colour) == light


def test_choices_of_score_cost_and_pick(browser, report):
    browser.open(report("images"))
    browser.draw_all()
    Select(browser.one("#depth-score")).select_by_visible_text("LogME")
    title = "return document.querySelector('[data-chart=depth] svg').innerHTML.includes('LogME')"
    eventually(browser, lambda: browser.run(title))
    before = browser.one("#plane-text").text
    browser.all("[name=pick]")[1].send_keys(Keys.SPACE)
    eventually(browser, lambda: browser.one("#plane-text").text != before)
    assert browser.messages() == []


def test_a_large_report_shows_a_part_and_all_on_demand(browser, report):
    browser.open(report("large"))
    assert len(cells(browser, "rank")) == 100
    assert browser.draw_all() == 0
    assert len(browser.all("[data-chart=depth] [aria-roledescription=point]")) == 2500
    browser.one("#find").send_keys("model-499 blocks.4")
    eventually(browser, lambda: len(cells(browser, "rank")) == 1)
    browser.one("#find").send_keys(Keys.CONTROL, "a", Keys.DELETE)
    eventually(browser, lambda: len(cells(browser, "rank")) == 100)
    browser.one("#more").click()
    assert len(cells(browser, "rank")) == 2501
    assert browser.messages() == []

"""Chromium without a screen, for pages that are opened from files."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
DRAW_ALL = """
const done = arguments[arguments.length - 1];
(async () => {
  document.documentElement.style.scrollBehavior = "auto";
  for (const chart of document.querySelectorAll("[data-chart]")) {
    chart.scrollIntoView();
    for (let i = 0; i < 1000 && !("drawn" in chart.dataset); i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
  }
  scrollTo(0, 0);
  done(document.querySelectorAll("[data-chart]:not([data-drawn])").length);
})();
"""


def lacks() -> str:
    """Why no browser can be had; empty where one can."""
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError:
        return "needs selenium: pip install 'zoorank[test]'"
    if not any(map(shutil.which, BROWSERS)) or not shutil.which("chromedriver"):
        return "needs a browser: apt-get install chromium chromium-driver"
    return ""


@contextmanager
def chromium():
    """Start a browser with nothing in it."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = next(path for name in BROWSERS if (path := shutil.which(name)))
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(60)
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """A browser that counts what a page complains of and asks for."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path: Path, width: int = 1400, height: int = 900, colours: str = "light"):
        """Open a page with a window of this inner size, and colours as the system prefers."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        preference = {"name": "prefers-color-scheme", "value": colours}
        self.command("Emulation.setEmulatedMedia", features=[preference])
        self.driver.get("about:blank")
        self.messages()
        self.requests()
        self.driver.get(path.as_uri())

    def command(self, name, **given):
        return self.driver.execute_cdp_cmd(name, given)

    def draw_all(self) -> int:
        """Scroll to every chart, and wait until it is drawn; how many are not."""
        return self.driver.execute_async_script(DRAW_ALL)

    def point_at(self, element):
        """Bring an element to the middle of the window, and the pointer to it."""
        from selenium.webdriver import ActionChains

        # What scrolling sets off comes with the next frame.
        self.driver.execute_async_script(
            "const done = arguments[1]; arguments[0].scrollIntoView({block: 'center'});"
            "requestAnimationFrame(() => requestAnimationFrame(done))",
            element,
        )
        ActionChains(self.driver).move_to_element(element).perform()

    def run(self, script, *given):
        return self.driver.execute_script(script, *given)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def messages(self):
        """What the console has shown since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses asked for since, other than the page itself and data in it."""
        events = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        sent = [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("file:", "data:", "about:"))]

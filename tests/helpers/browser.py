"""A real Chromium, and what the console's playground shows in it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator

from axe_selenium_python import Axe
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 90  # a busy machine opens a page slowly

# Holds back the page's next request whose address begins as named, until LET_GO; then a moment passes, in which the
# page works on the answer.
HOLD = """
const send = window.fetch, [start] = arguments;
window.fetch = (address, options) => {
  if (!address.startsWith(start) || window.letGo) return send(address, options);
  return new Promise((answer) => { window.letGo = () => send(address, options).then(answer); });
};
"""
LET_GO = "const [done] = arguments; window.letGo().then(() => setTimeout(done, 500));"

# How often the console has looked at the models' state.
LOOKS = "return performance.getEntriesByName(new URL('data/models.json', location.href).href).length"

# What an element shows; null where there is none.
SHOWN = """
const node = document.querySelector(arguments[0]);
return node && (node.checkVisibility() ? node.innerText.trim() : '');
"""


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Start a browser without a window; end it with the block."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary, "apt-get install chromium chromium-driver"
    assert driver, "apt-get install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1600", "--no-proxy-server"):
        options.add_argument(flag)
    for flag in ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"):  # a microphone that beeps
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def text(page: webdriver.Chrome, selector: str) -> str:
    """Return what the first such element shows, read at one moment, as `texts` does; it must be there."""
    content: str | None = page.execute_script(SHOWN, selector)
    if content is None:
        raise NoSuchElementException(selector)
    return content


def texts(page: webdriver.Chrome, selector: str) -> list[str]:
    """Return the texts of all such elements, at one moment: the page is drawn anew every few seconds."""
    script = "return [...document.querySelectorAll(arguments[0])].map((node) => node.innerText)"
    contents: list[str] = page.execute_script(script, selector)
    return contents


def wait_text(page: webdriver.Chrome, selector: str, part: str) -> str:
    """Wait until the text of the first such element has a part; return the text."""

    def content(driver: webdriver.Chrome) -> str:
        shown = text(driver, selector)
        return shown if part in shown else ""

    waiting = WebDriverWait(page, WAIT_S, ignored_exceptions=[NoSuchElementException])
    return waiting.until(content, f"{selector} never said {part}")


def looks(page: webdriver.Chrome, more: int) -> None:
    """Wait until the console has looked at its models so many times more."""
    wanted = page.execute_script(LOOKS) + more
    WebDriverWait(page, WAIT_S).until(lambda driver: driver.execute_script(LOOKS) >= wanted)


def press(page: webdriver.Chrome, words: str) -> None:
    """Click the button with these words that is shown; once more if the page draws it anew meanwhile."""
    script = (
        "return [...document.querySelectorAll('button')].find((b) => b.textContent === arguments[0] && b.offsetParent)"
    )

    def click(driver: webdriver.Chrome) -> bool:
        button = driver.execute_script(script, words)
        if button:
            button.click()
        return bool(button)

    WebDriverWait(page, WAIT_S, ignored_exceptions=[StaleElementReferenceException]).until(click, f"no button {words}")


def open_hash(page: webdriver.Chrome, address: str) -> None:
    """Go to a page of the console by its address after #."""
    page.execute_script("location.hash = arguments[0]", address)


@contextlib.contextmanager
def phone(page: webdriver.Chrome, width: int = 360) -> Iterator[None]:
    """Show the page in a phone's width within the block."""
    screen = {"width": width, "height": 780, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        yield
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def violations(page: webdriver.Chrome) -> str:
    """Return what axe finds inaccessible, empty for nothing."""
    axe = Axe(page)
    axe.inject()
    faults = axe.run()["violations"]
    return str(axe.report(faults)) if faults else ""


def playground_reply(page: webdriver.Chrome) -> str:
    """Return the body of the answer that the playground shows after a click."""
    script = "return document.getElementById('play-answer').textContent"
    page.execute_script("document.getElementById('play-answer').textContent = 'waiting'")
    page.find_element(By.CSS_SELECTOR, "#play [type=submit]").click()
    WebDriverWait(page, WAIT_S).until(lambda driver: driver.execute_script(script) != "waiting")
    return str(page.execute_script(script))


def playground_answer(page: webdriver.Chrome) -> dict[str, object]:
    """Return the answer in JSON."""
    answer: dict[str, object] = json.loads(playground_reply(page))
    return answer

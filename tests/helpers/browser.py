"""A real Chromium, and what the console's playground shows in it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 90  # a busy machine opens a page slowly


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
    """Return the text of an element."""
    content: str = page.find_element(By.CSS_SELECTOR, selector).text
    return content


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

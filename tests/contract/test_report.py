"""The report of an export in a real Chromium: it fills the page, on a phone too, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.helpers.browser import chromium

DESK, PHONE = (1280, 900), (360, 800)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture
def page(browser: webdriver.Chrome, archive: Path) -> Iterator[webdriver.Chrome]:
    """The report that a real export wrote."""
    browser.get(archive.with_suffix(".report.html").as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def resize(page: webdriver.Chrome, size: tuple[int, int]) -> None:
    width, height = size
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
    )


def boxes(page: webdriver.Chrome) -> list[dict[str, float]]:
    script = "return [...document.querySelectorAll('.plot')].map(plot => plot.getBoundingClientRect().toJSON())"
    rectangles: list[dict[str, float]] = page.execute_script(script)
    return rectangles


def test_the_answer_and_both_plots_fill_the_first_page(page):
    resize(page, DESK)
    verdict = page.find_element(By.CSS_SELECTOR, ".verdict")
    assert verdict.text.startswith("fp32 serves: its accuracy drops by at most ")
    losses, speeds = boxes(page)
    assert losses["top"] == speeds["top"] < DESK[1] / 3
    assert max(losses["bottom"], speeds["bottom"]) <= DESK[1]
    assert losses["width"] + speeds["width"] > 0.9 * DESK[0]


def test_a_phone_shows_one_below_the_other_and_nothing_beside_the_page(page):
    resize(page, PHONE)
    losses, speeds = boxes(page)
    assert losses["bottom"] < speeds["top"]
    assert losses["width"] == speeds["width"] > 0.9 * PHONE[0]
    assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]


def test_a_fold_opens_by_keyboard(page):
    fold = page.find_element(By.CSS_SELECTOR, "details:not([open])")
    fold.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert fold.get_attribute("open")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_accessible(page, scheme, size):
    resize(page, size)
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    page.execute_script("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    axe = Axe(page)
    axe.inject()
    violations = axe.run()["violations"]
    assert not violations, axe.report(violations)

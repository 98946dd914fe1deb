"""The console in a real Chromium: what it shows of real models, and a playground that asks them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from axe_selenium_python import Axe
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from onnxserve.gateway.gateway import METRICS_PAGE
from tests.helpers import plain_http
from tests.helpers.browser import WAIT_S, playground_answer, text
from tests.helpers.gateway import gateway_before
from tests.helpers.observed import observing
from tests.helpers.torchserve import Running

FEW_ROWS = {"certify": 12, "unit": "rows", "needed": 20, "wanted": 67}


@pytest.fixture(scope="module")
def console(demo: Running) -> Iterator[str]:
    """The gateway of the demo server, with something in its history."""
    with gateway_before(demo) as front, observing(front.running.gateway):
        demo.release.promote("segment", "1.0.0")
        yield front.console


@pytest.fixture
def page(browser: webdriver.Chrome, console: str) -> webdriver.Chrome:
    browser.get(console)
    WebDriverWait(browser, WAIT_S).until(
        lambda driver: len(driver.find_elements(By.CSS_SELECTOR, "#models tbody tr")) == 4
    )
    return browser


def table(page: webdriver.Chrome) -> list[list[str]]:
    """Cells of the models' table, at one moment: it is drawn anew every few seconds."""
    script = "return [...document.querySelectorAll('#models tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    cells: list[list[str]] = page.execute_script(script)
    return cells


def test_every_version_is_there_with_its_traffic_workers_and_proof(page):
    rows = table(page)
    assert [row[0] for row in rows] == ["churn", "digits", "segment", "sentiment"]
    for row in rows:
        assert "stable 100 %" in row[2]
        assert "ready" in row[3]
        assert row[5].startswith(("loses at most", "parity"))
    assert "promote segment 1.0.0" in text(page, "#history")
    assert "4 versions" in text(page, "#state")


def test_what_was_proven_is_there_beside_what_the_worker_found(page):
    script = "return [...document.querySelectorAll('#proof tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    rows = {row[0]: row for row in page.execute_script(script)}
    assert set(rows) == {"churn", "digits", "segment", "sentiment"}
    for name, (_, _, proof, count, torch, ours, lost, allowed, _, parity, golden, digest) in rows.items():
        assert proof in ("certified", "parity"), name
        assert int(count) > 100, name
        assert float(torch[:-2]) - float(ours[:-2]) <= float(lost[:-2]) <= float(allowed[:-2])
        assert float(parity) < 1e-3
        assert float(golden) < 10
        assert len(digest) == 12


@pytest.mark.parametrize(
    ("row", "cell"),
    [
        ({"windows": 0, "drift": "judged"}, "not judged yet"),
        ({"windows": 3, "alarms": 1, "drift": "judged"}, "; 1 of 3 windows raise an alarm"),
        ({"windows": 0, "drift": "no profile"}, "not judged: no profile"),
        ({"windows": 0, "evidence": {}}, "not judged yet"),  # an archive of an earlier version
        (
            {"drift": "no profile", "evidence": {"drift_profile": FEW_ROWS}},
            "not judged: 12 certify rows are too few, about 67 rows in all would do",
        ),
    ],
)
def test_a_version_whose_drift_is_not_judged_says_why(page, row, cell):
    script = "const [row, done] = arguments; import('./drift.js').then((module) => done(module.drift(row).textContent))"
    assert page.execute_async_script(script, row) == cell


def test_the_playgrounds_form_is_the_models_signature(page):
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text("sentiment")
    assert playground_answer(page)["predictions"][0]["label"] == "positive"  # type: ignore[index]
    assert text(page, "#play-time").startswith("200 in ")
    assert "by version 1.0.0" in text(page, "#play-time")
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text("segment")
    assert len(page.find_elements(By.CSS_SELECTOR, "#play-row input")) == 18
    assert "predictions" in playground_answer(page)
    assert "/predictions/segment" in text(page, "#play-curl")
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text("churn")
    names = [field.get_attribute("name") for field in page.find_elements(By.CSS_SELECTOR, "#play-row input")]
    assert names == ["customer_id", "basket"]


def test_an_image_that_is_chosen_is_shown_and_asked_about(page, tmp_path):
    Image.new("RGB", (8, 8), "white").save(tmp_path / "digit.png")
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text("digits")
    page.find_element(By.CSS_SELECTOR, "#play-row input[type=file]").send_keys(str(tmp_path / "digit.png"))
    WebDriverWait(page, WAIT_S).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#play-row img"))
    assert "predictions" in playground_answer(page)


def test_requests_are_seen_while_they_come(page, console):
    for _ in range(30):
        plain_http.post(f"{console}/ask/predictions/segment", json=[1.0] * 18, timeout=30)
    deadline = time.monotonic() + WAIT_S
    while True:
        _, _, segment, _ = table(page)
        rate, p99 = segment[6], segment[8]
        if float(rate) > 0 and p99[0].isdigit():
            return
        assert time.monotonic() < deadline, segment
        plain_http.post(f"{console}/ask/predictions/segment", json=[1.0] * 18, timeout=30)
        time.sleep(0.2)


def test_models_are_shown_though_nobody_counts(page, demo):
    counters = demo.settings.run / METRICS_PAGE
    elsewhere = counters.rename(counters.with_suffix(".away"))
    try:
        WebDriverWait(page, WAIT_S).until(lambda page: text(page, "#state").endswith("; no counters"))
        assert [row[0] for row in table(page)] == ["churn", "digits", "segment", "sentiment"]
    finally:
        elsewhere.rename(counters)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_in_light_and_dark(page, scheme, tmp_path):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    axe = Axe(page)
    axe.inject()
    violations = axe.run()["violations"]
    assert not violations, axe.report(violations)
    page.save_screenshot(str(tmp_path / f"{scheme}.png"))
    with Image.open(tmp_path / f"{scheme}.png") as shot:
        corner = shot.convert("L").getpixel((2, 2))
    assert isinstance(corner, int)
    assert (corner > 128) == (scheme == "light")


def test_the_page_runs_without_an_error_and_loads_nothing_from_elsewhere(page, console):
    page.get_log("browser")
    page.refresh()
    time.sleep(4)
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    policy = plain_http.get(f"{console}/console/").headers["content-security-policy"]
    assert policy == "default-src 'self'; img-src 'self' data:; media-src data:"


def test_other_names_for_the_address_and_other_paths_lead_nowhere(console):
    assert plain_http.get(f"{console}/console/", headers={"Host": "evil.example"}).status_code == 404
    for path in ("/stats", "/roles", "/workers", "/console/../nginx.conf", "/ask/v2/models", "/models"):
        assert plain_http.get(f"{console}{path}").status_code == 404, path

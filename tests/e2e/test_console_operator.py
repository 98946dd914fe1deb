"""Operators at the console in a real Chromium: a plan is shown, then the canary, the promotion, the rollback happen."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from onnxserve.admin.version_page import read_documents
from onnxserve_handlers.telemetry.drift import Drift, Profile
from onnxserve_handlers.telemetry.metrics import VARIABLE, window_file
from tests.helpers.administration import Administered, administered
from tests.helpers.browser import HOLD, LET_GO, WAIT_S, chromium, open_hash, press, text, texts, violations, wait_text
from tests.helpers.gateway import gateway_before
from tests.helpers.observed import observing
from tests.helpers.torchserve import Running, running
from tests.helpers.waiting import wait_for


@pytest.fixture(scope="module")
def server(archive, next_archive, tmp_path_factory) -> Iterator[Running]:
    """A server with two versions of a small model."""
    with running(tmp_path_factory.mktemp("versions"), [archive, next_archive]) as two_versions:
        yield two_versions


@pytest.fixture(scope="module")
def console(server: Running, tmp_path_factory) -> Iterator[Administered]:
    with (
        gateway_before(server) as front,
        observing(front.running.gateway),
        administered(front, server.release, tmp_path_factory.mktemp("admin")) as service,
    ):
        server.release.promote("circle", "1.0.0")
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture
def steady(server: Running, console: Administered) -> Iterator[None]:
    """The model's roles are after a test as before, also if it fails."""
    roles = server.release.role_store.roles
    yield
    server.release.role_store.move(lambda _: roles)


@pytest.fixture
def page(browser: webdriver.Chrome, console: Administered, steady: None) -> webdriver.Chrome:
    """The page of the model, where nobody has signed in."""
    browser.get("about:blank")
    browser.get(f"{console.console}/console/#/models/circle")
    wait_for(lambda: texts(browser, "#model .card h3") == ["1.0.0", "2.0.0"], WAIT_S)
    return browser


@pytest.fixture
def operator(page: webdriver.Chrome, console: Administered) -> webdriver.Chrome:
    sign_in(page, console.key())
    wait_text(page, "#operator", "Operator: ops")
    return page


def sign_in(page: webdriver.Chrome, key: str) -> None:
    page.find_element(By.ID, "operator").click()
    page.find_element(By.ID, "operator-key").send_keys(key, Keys.ENTER)


def wait_tags(page: webdriver.Chrome, tags: list[str]) -> None:
    """Wait until the versions have these roles."""
    wait_for(lambda: texts(page, "#model .tag") == tags, WAIT_S)


def test_without_a_key_the_page_only_shows(page):
    assert [node for node in page.find_elements(By.CSS_SELECTOR, "#model button") if node.is_displayed()] == []
    assert text(page, "#access").startswith("Read only")


def test_a_key_without_the_scope_is_refused_with_the_reason_and_the_remedy(page, console):
    sign_in(page, console.key("predict", client="shop"))
    wait_text(page, "dialog .bad", "lacks the scope operate")
    assert "onnxserve keys add NAME --scope operate" in text(page, "dialog .bad")
    page.find_element(By.CSS_SELECTOR, "dialog").send_keys(Keys.ESCAPE)
    assert text(page, "#operator") == "Operate…"


def test_a_canary_is_planned_taken_promoted_and_rolled_back(operator, server):
    press(operator, "Canary…")
    share = operator.find_element(By.ID, "canary-percent")
    share.clear()
    share.send_keys("25")
    press(operator, "Show the plan")
    wait_text(operator, ".plan", "circle canary: none -> 2.0.0 at 25 %")
    assert "1.0.0 answers it instead" in text(operator, "dialog")
    assert operator.switch_to.active_element.text == "Cancel"  # a key that is held down applies nothing
    assert violations(operator) == ""
    assert server.release.role_store.roles.models["circle"].canary is None
    press(operator, "Apply")
    wait_text(operator, "dialog", "Done.")
    press(operator, "Close")
    wait_tags(operator, ["stable 75 %", "canary 25 %"])
    for words, title, tags in (
        ("Promote…", "Promote circle 2.0.0", ["fallback", "stable 100 %"]),
        ("Roll back…", "Roll back circle", ["stable 100 %", "loaded"]),
    ):
        press(operator, words)
        wait_text(operator, "#dialog-title", title)
        press(operator, "Apply")
        wait_text(operator, "dialog", "Done.")
        press(operator, "Close")
        wait_tags(operator, tags)
    events = server.release.history.events("circle")[-3:]
    assert [event.action for event in events] == ["canary", "promote", "rollback"]
    assert all(event.by.startswith("ops (key ") for event in events)
    assert "by ops (key " in texts(operator, "#model .timeline > li")[0]


def test_a_plan_that_comes_late_does_not_take_the_place_of_another_dialog(operator):
    operator.execute_script(HOLD, "api/plan")
    press(operator, "Promote…")
    operator.find_element(By.CSS_SELECTOR, "dialog").send_keys(Keys.ESCAPE)
    press(operator, "Canary…")
    operator.execute_async_script(LET_GO)
    assert text(operator, "#dialog-title") == "Canary circle 2.0.0"
    assert texts(operator, ".plan") == []


def test_a_key_with_other_letters_is_refused_in_words(page):
    sign_in(page, "osk_schlüssel\u2026")
    wait_text(page, "dialog .bad", "a key has letters, digits")


def test_a_plan_that_holds_no_longer_is_not_taken(operator, server):
    press(operator, "Promote…")
    wait_text(operator, ".plan", "circle stable: 1.0.0 -> 2.0.0")
    server.release.promote("circle", "2.0.0")
    try:
        press(operator, "Apply")
        wait_text(operator, "dialog .bad", "look at the plan again")
    finally:
        server.release.rollback("circle")
    assert server.release.role_store.roles.models["circle"].stable == "1.0.0"


def test_a_key_is_forgotten_when_the_operator_leaves_and_when_the_page_is_loaded_again(operator):
    press(operator, "Operator: ops")
    press(operator, "Forget the key")
    wait_text(operator, "#operator", "Operate…")
    assert [node for node in operator.find_elements(By.CSS_SELECTOR, "#model button") if node.is_displayed()] == []
    stored = "return [localStorage.length, sessionStorage.length, document.cookie]"
    assert operator.execute_script(stored) == [0, 0, ""]


class Shifted:
    """Rows that lie elsewhere than those of the proof."""

    def measures(self, rows):
        return {"x": np.array(rows)}

    def prediction_measures(self, predictions):
        return {}

    def label(self, prediction):
        return str(prediction)


def test_the_distributions_of_the_proof_and_of_live_rows_stand_side_by_side(page, console, archive, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(console.windows))
    document = read_documents(archive).profile
    profile = msgspec.convert({"rows": 0, **(document or {})}, Profile)
    drift = Drift(profile, lambda *_: None, lambda _: None, report_window=window_file("circle", "1.0.0"))
    drift.add([[1e6]] * 300, ["inside"] * 150 + ["elsewhere"] * 150, Shifted())
    drift.close_window()
    open_hash(page, "#/")
    open_hash(page, "#/models/circle")
    wait_text(page, "#model", "Seen: 300 live rows of one worker")
    script = "return [...document.querySelectorAll('.chart')].map((c) => c.getAttribute('aria-label') || '')"
    wait_for(lambda: any(line.startswith("x: ") for line in page.execute_script(script)), WAIT_S)
    shapes = {line.partition(":")[0]: line for line in page.execute_script(script)}
    assert "seen 100\u00a0%" in shapes["x"]  # of the last bin, which is open
    assert "reference 0.0\u00a0%, seen 50\u00a0%" in shapes["label"]  # other labels


def test_an_operator_sees_the_newest_logged_rows(operator):
    press(operator, "Show the newest rows")
    wait_text(operator, "#model", "no row was logged yet")

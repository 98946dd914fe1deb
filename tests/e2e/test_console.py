"""The console in a real Chromium: what it shows of real models, and a playground that asks them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from onnxserve.gateway.gateway import METRICS_PAGE
from tests.helpers import plain_http
from tests.helpers.administration import administered
from tests.helpers.browser import WAIT_S, looks, open_hash, phone, playground_answer, text, texts, violations, wait_text
from tests.helpers.gateway import gateway_before
from tests.helpers.observed import observing
from tests.helpers.torchserve import Running
from tests.helpers.waiting import wait_for

FEW_ROWS = {"certify": 12, "unit": "rows", "needed": 20, "wanted": 67}
NAMES = ["churn", "digits", "segment", "sentiment"]
PAGES = ["#/", "#/models/segment"]
# Whether every chart that is shown has its canvas.
DRAWN = """
const shown = [...document.querySelectorAll('#model .chart')].filter((chart) => !chart.closest('details:not([open])'));
return shown.every((chart) => chart.querySelector('canvas'));
"""
# What sticks out of the screen, without what scrolls by itself.
WIDE = """
const out = (node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest('.scroll, .chart, .spark');
return [...document.querySelectorAll('main *')].filter(out).map((node) => node.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="module")
def console(demo: Running, tmp_path_factory) -> Iterator[str]:
    """The gateway of the demo server, with something in its history."""
    folder = tmp_path_factory.mktemp("admin")
    with (
        gateway_before(demo) as front,
        observing(front.running.gateway),
        administered(front, demo.release, folder, logged=False),
    ):
        demo.release.promote("segment", "1.0.0")
        yield front.console


@pytest.fixture
def page(browser: webdriver.Chrome, console: str) -> webdriver.Chrome:
    browser.get("about:blank")  # another address after # alone would load nothing
    browser.get(console)
    wait_for(lambda: len(texts(browser, "#models > li")) == len(NAMES), WAIT_S)
    return browser


@pytest.fixture
def model(page: webdriver.Chrome) -> webdriver.Chrome:
    """The page of one model, with what its archive says."""
    open_hash(page, "#/models/segment")
    wait_text(page, "#model h1", "segment")
    wait_for(lambda: len(texts(page, "#model figure")) > 4, WAIT_S)
    return page


def facts(page: webdriver.Chrome) -> dict[str, str]:
    """Return the proof's terms with their values."""
    return dict(zip(texts(page, ".facts .term"), texts(page, ".facts b"), strict=True))


def ask(console: str, body: object, times: int = 1) -> None:
    for _ in range(times):
        plain_http.post(f"{console}/ask/predictions/segment", json=body, timeout=30)


def test_every_model_has_a_card_with_its_state_traffic_and_proof(page):
    assert texts(page, "#models h2") == NAMES
    assert texts(page, "#models .health") == ["healthy"] * len(NAMES)
    assert text(page, "#summary") == "all 4 are healthy"
    for serving, proof in zip(texts(page, "#models .serving"), texts(page, "#models .proof"), strict=True):
        assert serving == "1.0.0 serves"
        assert re.search(r"loses at most \d|answers as its source does", proof)
    wait_for(lambda: len(page.find_elements(By.CSS_SELECTOR, "#models .spark canvas")) == len(NAMES), WAIT_S)
    assert "promote segment 1.0.0" in text(page, "#history")
    assert "4 versions" in text(page, "#state")


@pytest.mark.parametrize("name", NAMES)
def test_what_was_proven_is_there_beside_what_the_worker_measured(page, name):
    open_hash(page, f"#/models/{name}")
    wait_text(page, "#model h1", name)
    wait_for(lambda: texts(page, ".facts b"), WAIT_S)
    proof = facts(page)
    assert proof["proof"] in ("certified", "parity")
    assert int(proof["rows"]) > 100
    source, graph, lost, allowed = (float(proof[key][:-2]) for key in ("source", "graph", "loses at most", "allowed"))
    assert source - graph <= lost <= allowed
    assert float(proof["traced graph off by"]) < 1e-3
    assert float(proof["golden rows off by"]) < 10
    assert len(proof["graph's SHA-256"]) == 12


def test_a_models_page_shows_plots_of_its_proof_its_profile_and_its_releases(model):
    captions = texts(model, "#model figcaption")
    assert captions[:2] == ["Requests per second", "Latency"]
    assert {"Loss of each variant", "Deviation from the source, by batch"} <= set(captions)
    assert len([caption for caption in captions if caption.endswith("-mean")]) >= 3
    wait_for(lambda: model.execute_script(DRAWN), WAIT_S)
    assert "No window of live rows has been compared yet" in text(model, "#model")
    assert "promote segment 1.0.0" in texts(model, "#model .timeline li")[0]
    assert "The prediction log is off" in text(model, "#model")
    assert "loss that was seen 0.0" in chart(model, "Loss of each variant")


def chart(page: webdriver.Chrome, label: str) -> str:
    """Return what a chart says of itself."""
    script = "return [...document.querySelectorAll('.chart')].map((c) => c.getAttribute('aria-label'))"
    [summary] = [line for line in page.execute_script(script) if line and line.startswith(label)]
    return str(summary)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"windows": 0, "drift": "judged"}, "not judged yet"),
        ({"windows": 3, "alarms": 1, "drift": "judged"}, "1 of 3 windows raise an alarm"),
        ({"windows": 0, "drift": "no profile"}, "not judged: no profile"),
        ({"windows": 0, "evidence": {}}, "not judged yet"),  # an archive of an earlier version
        (
            {"drift": "no profile", "evidence": {"drift_profile": FEW_ROWS}},
            "not judged: 12 certify rows are too few, about 67 rows in all would do",
        ),
    ],
)
def test_a_version_whose_drift_is_not_judged_says_why(page, row, sentence):
    script = "const [row, done] = arguments; import('./drift.js').then((module) => done(module.verdict(row)[0]))"
    assert page.execute_async_script(script, row) == sentence


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


def test_requests_are_seen_while_they_come_and_stay_seen_by_a_page_that_opens_later(model, console):
    def numbers() -> dict[str, str]:
        ask(console, [1.0] * 18, 5)
        return dict(zip(texts(model, "#model .numbers .term"), texts(model, "#model .numbers b"), strict=True))

    wait_for(lambda: float(numbers()["requests/s"]) > 0 and "ms" in numbers()["99 %"], WAIT_S)
    model.refresh()
    wait_for(lambda: "answered" in (texts(model, "#model .legend") or [""])[0], WAIT_S)
    document = plain_http.get(f"{console}/console/data/traffic.json").json()
    [points] = [version["points"] for version in document["versions"] if version["model"] == "segment"]
    assert sum(point[1] for point in points) >= 5
    assert all(0 < point[4] <= point[6] < 30 for point in points if point[4] is not None)
    assert plain_http.get(f"{console}/console/data/traffic.json?since={document['last']}").json()["versions"] != []


COUNTERS = """
onnxserve_gateway_refusals_total{model="segment",type="overloaded"} 12.0
onnxserve_gateway_refusals_total{model="other",type="overloaded"} 99.0
onnxserve_requests_total{model="segment",version="1.0.0",outcome="ok"} 1000.0
onnxserve_requests_total{model="segment",version="1.0.0",outcome="invalid_row"} 1234.0
onnxserve_requests_total{model="segment",version="1.1.0",outcome="not_finite"} 0.0
"""
LISTED = """
const [text, done] = arguments;
Promise.all([import('./figures.js'), import('./failures.js')]).then(([figures, failures]) => {
  const list = document.createElement('ul');
  failures.drawFailures(list, failures.failuresOf(figures.parse(text), 'segment'));
  done([...list.children].map((item) => item.textContent));
});
"""


def test_errors_are_listed_by_kind_the_most_frequent_first(page):
    assert page.execute_async_script(LISTED, COUNTERS) == [
        "invalid_row version 1.0.0 1\u202f234",
        "overloaded gateway 12",
    ]
    assert page.execute_async_script(LISTED, "") == ["no error since the server started "]


def test_models_are_shown_though_nobody_counts(page, demo):
    counters = demo.settings.run / METRICS_PAGE
    elsewhere = counters.rename(counters.with_suffix(".away"))
    try:
        WebDriverWait(page, WAIT_S).until(lambda page: text(page, "#state").endswith("; no counters"))
        assert texts(page, "#models h2") == NAMES
    finally:
        elsewhere.rename(counters)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_in_light_and_dark(page, scheme, address, tmp_path):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    open_hash(page, address)
    if address != "#/":
        wait_for(lambda: len(texts(page, "#model figure")) > 4, WAIT_S)
    assert violations(page) == ""
    page.save_screenshot(str(tmp_path / f"{scheme}.png"))
    with Image.open(tmp_path / f"{scheme}.png") as shot:
        corner = shot.convert("L").getpixel((2, 2))
    assert isinstance(corner, int)
    assert (corner > 128) == (scheme == "light")


@pytest.mark.parametrize("address", PAGES)
def test_a_phone_shows_all_of_the_page_without_scrolling_sideways(page, address):
    with phone(page):
        open_hash(page, address)
        if address != "#/":
            wait_for(lambda: len(texts(page, "#model figure")) > 4, WAIT_S)
        wait_for(lambda: page.execute_script(WIDE) == [], WAIT_S)
        assert page.execute_script("return document.documentElement.scrollWidth") <= 360
        assert violations(page) == ""


def test_the_switch_takes_the_place_of_the_systems_colours_and_is_remembered(page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    button = page.find_element(By.ID, "theme")
    colours = {}
    for _ in range(3):
        button.click()
        colours[button.text] = page.execute_script(ground)
    assert set(colours) == {"Theme: light", "Theme: dark", "Theme: system"}
    assert colours["Theme: light"] != colours["Theme: dark"]
    button.click()
    page.refresh()
    assert page.find_element(By.ID, "theme").text == "Theme: light"
    assert page.execute_script(ground) == colours["Theme: light"]
    page.execute_script("localStorage.clear()")


def test_everything_is_reached_by_the_keyboard_and_charts_are_read_by_it(model):
    model.execute_script("document.activeElement.blur()")
    reached = set()
    for _ in range(80):
        model.switch_to.active_element.send_keys(Keys.TAB)
        node = model.switch_to.active_element
        outline = node.value_of_css_property("outline-style")
        reached.add((node.tag_name, node.get_attribute("class") or node.get_attribute("id") or ""))
        assert outline != "none" or node.tag_name in ("body", "main"), node.get_attribute("outerHTML")[:80]
    assert {("button", "quiet"), ("div", "chart"), ("select", "chart-version"), ("a", "skip")} <= reached
    first = model.find_element(By.CSS_SELECTOR, "#model .chart")
    first.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    wait_for(lambda: re.search(r"\d:\d\d", text(model, "#model figcaption")), WAIT_S)


def test_the_page_runs_without_an_error_and_loads_nothing_from_elsewhere(page, console):
    page.get_log("browser")
    page.refresh()
    for address in PAGES:
        open_hash(page, address)
        looks(page, 2)  # it is drawn anew with the second look
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    policy = plain_http.get(f"{console}/console/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' data:; media-src data:; ")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def test_an_address_of_a_model_that_is_gone_leads_back_to_all_models(page):
    open_hash(page, "#/models/nobody%2F..")
    wait_for(lambda: page.execute_script("return location.hash") == "#/", WAIT_S)
    wait_for(lambda: texts(page, "#models h2") == NAMES, WAIT_S)


def test_other_names_for_the_address_and_other_paths_lead_nowhere(console):
    assert plain_http.get(f"{console}/console/", headers={"Host": "evil.example"}).status_code == 404
    for path in ("/stats", "/roles", "/workers", "/console/../nginx.conf", "/ask/v2/models", "/models", "/apply"):
        assert plain_http.get(f"{console}{path}").status_code == 404, path

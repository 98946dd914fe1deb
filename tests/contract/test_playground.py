"""The playground in a real Chromium: a form for each kind, predictions by task, errors at the fields."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from onnxserve.gateway.config import Auth
from onnxserve.gateway.keys import Key, add
from tests.helpers.browser import WAIT_S, chromium, playground_answer, playground_reply, text
from tests.helpers.model_server import INHERITED, SERVED, ModelServer, model_server
from tests.helpers.playground import choose, opened
from tests.helpers.task_models import MODELS, picture, sound

PHONE = (360, 800)
BARS = """
const lines = [...document.querySelectorAll('#play-shown .scores li')];
return lines.map(line => [...line.children].map(part => part.innerText));
"""
PASTE = """
const area = document.getElementById('play-csv');
area.value = arguments[0];
area.dispatchEvent(new Event('input', { bubbles: true }));
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    with model_server(tmp_path_factory.mktemp("models")) as models:
        yield models


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture
def page(browser: webdriver.Chrome, server: ModelServer) -> Iterator[webdriver.Chrome]:
    """The console, which ends without an error in the browser's log; refused requests don't count."""
    opened(browser, server)
    yield browser
    entries = [entry for entry in browser.get_log("browser") if entry["source"] != "network"]
    assert [entry for entry in entries if entry["level"] == "SEVERE"] == []


def choose_file(page: webdriver.Chrome, model: str, path: Path, content: str, shown: str) -> None:
    choose(page, model)
    path.write_bytes(base64.b64decode(content))
    page.find_element(By.CSS_SELECTOR, "#play-row [type=file]").send_keys(str(path))
    WebDriverWait(page, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, f"#play-row {shown}"))


def predictions(page: webdriver.Chrome) -> Any:
    return playground_answer(page)["predictions"]


def invalid(page: webdriver.Chrome) -> tuple[str, str]:
    """Return the name of the field that is marked, and the message that describes it."""
    [field] = page.find_elements(By.CSS_SELECTOR, "[aria-invalid=true]")
    message = text(page, f"#{field.get_attribute('aria-describedby')}")
    assert page.switch_to.active_element == field
    return field.get_attribute("name") or field.get_attribute("id") or "", message


def test_a_classifiers_labels_are_bars_with_the_best_first(page, server):
    choose(page, "classification", text="late late rude bread")
    [prediction] = predictions(page)
    assert [prediction] == server.predictions("classification", {"text": "late late rude bread"}, top_k=10)
    assert [*prediction["scores"]] == ["late", "rude", "kind"]
    assert page.execute_script(BARS) == [[name, "", f"{score:.4f}"] for name, score in prediction["scores"].items()]
    assert text(page, "#play-shown .figure") == "late"
    choose(page, "classification", text="kind", top_k="1")
    assert len(predictions(page)[0]["scores"]) == 1


def test_a_sounds_labels_are_bars_and_those_above_the_threshold_are_marked(page, server, tmp_path):
    row = MODELS["multilabel"].rows[0]
    choose_file(page, "multilabel", tmp_path / "low.wav", row, "audio")
    [prediction] = predictions(page)
    assert [prediction] == server.predictions("multilabel", row)
    chosen = page.find_elements(By.CSS_SELECTOR, "#play-shown .chosen .name")
    assert [name.text for name in chosen] == prediction["labels"] != []


def test_a_microphones_sound_is_recorded_as_a_file_that_the_model_reads(page, server):
    choose(page, "multilabel")
    button = page.find_element(By.XPATH, "//button[text()='Record']")
    button.click()
    WebDriverWait(page, WAIT_S).until(lambda _: button.text.startswith("Stop, ") and button.text > "Stop, 0.2 s")
    heard = "return document.querySelector('#play-row audio')?.duration > 0"
    button.click()
    WebDriverWait(page, WAIT_S).until(lambda page: page.execute_script(heard))
    assert predictions(page)[0].keys() == {"labels", "scores"}
    content = server.upstream.requests[-1].body
    assert (content[:4], content[8:12]) == (b"RIFF", b"WAVE")
    assert len(content) > 5000
    assert text(page, "#play-row [download]") == "save recording.wav"
    assert button.text == "Record"


def test_the_browsers_wav_file_has_the_samples_that_it_was_given(page, server):
    script = """
      const [blocks, rate, done] = arguments;
      Promise.all([import('/console/playground/recorder.js'), import('/console/playground/request.js')]).then(
        async ([{ wav }, { base64 }]) => done(await base64(new Blob([wav(blocks, rate)]))));
    """
    content = page.execute_async_script(script, [[0.5, 0.25], [-0.5, 0]], 1000)
    [exact] = server.predictions("multilabel", sound(0.5, 0.25, -0.5, 0))
    [rounded] = server.predictions("multilabel", content)
    assert rounded["scores"] == pytest.approx(exact["scores"], abs=1e-4)


def test_a_pictures_labels_are_bars_too(page, server, tmp_path):
    choose_file(page, "pictures", tmp_path / "light.png", picture(), "img")
    [prediction] = predictions(page)
    assert [prediction] == server.predictions("pictures", picture(), top_k=10)
    assert [line[0] for line in page.execute_script(BARS)] == [*prediction["scores"]] == ["light", "dark"]


def test_boxes_and_shares_have_the_colours_of_the_picture(page, tmp_path):
    for model, parts in (("detection", ["cat", "dog"]), ("segmentation", ["ground", "roof"])):
        choose_file(page, model, tmp_path / f"{model}.png", picture((0, 0), (4, 4)), "img")
        playground_answer(page)
        WebDriverWait(page, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#play-shown canvas"))
        assert {line[0] for line in page.execute_script(BARS)} <= {*parts}
        assert page.find_element(By.CSS_SELECTOR, "#play-shown canvas").get_attribute("aria-label")
    ink = "return getComputedStyle(document.querySelector('#play-shown .scores .meter span')).backgroundColor"
    assert page.execute_script(ink) in ("rgb(230, 159, 0)", "rgb(86, 180, 233)")


def test_documents_of_a_query_stand_in_their_order(page, server):
    choose(page, "rerank", text="the bread", text_pair="late\nfresh bread\n\nthe bread")
    assert len(predictions(page)) == 3
    order = [line.text for line in page.find_elements(By.CSS_SELECTOR, "#play-shown .ranking li")]
    assert [line.rpartition(" ")[0] for line in order] == ["fresh bread", "the bread", "late"]
    body = json.loads(server.upstream.requests[-1].body)
    assert body["instances"][0] == {"text": "the bread", "text_pair": "late"}


def test_the_spans_of_a_text_are_marked_in_it(page):
    choose(page, "tokens", text="the 😀 Ann met New York")
    spans = predictions(page)[0]["spans"]
    assert [(span["label"], span["text"]) for span in spans] == [("PER", "Ann"), ("LOC", "New York")]
    marks = "return [...document.querySelectorAll('#play-shown mark')].map(mark => mark.firstChild.textContent)"
    assert page.execute_script(marks) == ["Ann", "New York"]
    whole = page.execute_script("return document.querySelector('#play-shown .spans').textContent")
    assert whole == "the 😀 AnnPER met New YorkLOC"


def test_an_embedding_is_its_size_and_its_first_numbers(page):
    choose(page, "embedding", text="fresh bread")
    [prediction] = predictions(page)
    assert text(page, "#play-shown .figure") == f"{len(prediction['embedding'])} numbers"
    assert text(page, "#play-shown .values") == "  ".join(f"{value:.5g}" for value in prediction["embedding"])
    choose(page, "embedding")
    Select(page.find_element(By.NAME, "dimensions")).select_by_visible_text("2")
    assert len(predictions(page)[0]["embedding"]) == 2


def test_tensors_are_written_as_json_and_each_output_has_its_shape(page):
    choose(page, "raw", row="[1.5, 2]")
    assert "float32, time" in text(page, "#play-row")
    [prediction] = predictions(page)
    headings = [heading.text for heading in page.find_elements(By.CSS_SELECTOR, "#play-shown h4")]
    assert headings == [*prediction["outputs"]] == ["temperature", "largest"]
    assert text(page, "#play-shown .soft") == "shape 2"


@pytest.mark.parametrize(
    "pasted",
    ["3,1\n1.005,4", "rooms,age\n3,1\n1.005,4\n", 'age;"rooms"\r\n1;3\r\n4;1.005', "rooms\tage\n3\t1\n1.005\t4"],
)
def test_pasted_csv_gives_a_prediction_for_each_row(page, server, pasted):
    choose(page, "regression")
    page.find_element(By.CSS_SELECTOR, "#play-row summary").click()
    page.execute_script(PASTE, pasted)
    assert text(page, "#play-row [role=status]") == "2 rows in place of the fields above"
    assert predictions(page) == server.predictions("regression", [3, 1], [1.005, 4])
    assert len(page.find_elements(By.CSS_SELECTOR, "#play-shown .rows > li")) == 2
    body = json.loads(server.upstream.requests[-1].body)
    assert [sorted(row) for row in body["instances"]] == [["age", "rooms"]] * 2


@pytest.mark.parametrize(
    ("pasted", "reason"),
    [("1,2\n3", "row 2 has 1 cells, 2 are expected"), ("rooms,age", "there is a header and no row")],
)
def test_csv_that_is_no_table_is_refused_at_its_field(page, pasted, reason):
    choose(page, "regression")
    page.find_element(By.CSS_SELECTOR, "#play-row summary").click()
    page.find_element(By.ID, "play-csv").send_keys(pasted)
    page.find_element(By.CSS_SELECTOR, "#play [type=submit]").click()
    name, message = invalid(page)
    assert name == "play-csv"
    assert reason in message
    assert "rooms, age" in message


def test_an_error_stands_at_its_field_with_place_and_remedy(page):
    choose(page, "regression", rooms="3", age="")
    playground_reply(page)
    name, message = invalid(page)
    assert name == "age"
    assert message.startswith("invalid_row expected a number, got null, at instances[0].age")
    assert "To fix it: " in message
    choose(page, "classification", text="kind", top_k="-1")
    playground_reply(page)
    assert invalid(page)[0] == "top_k"
    choose(page, "raw", row="[1,")
    page.find_element(By.CSS_SELECTOR, "#play [type=submit]").click()
    name, message = invalid(page)
    assert (name, message.partition(":")[0]) == ("row", "the row isn't JSON")
    choose(page, "detection")
    page.find_element(By.CSS_SELECTOR, "#play [type=submit]").click()
    assert "there is no file: the model reads an image" in invalid(page)[1]


def test_names_that_javascript_has_itself_are_names_like_any_other(page, server):
    choose(page, "constructor", append="3", constructor="2", __proto__="1", toString="0")
    row = dict(zip(INHERITED, (3, 2, 1, 0), strict=True))
    assert predictions(page) == server.predictions("constructor", row, top_k=10)
    assert [line[0] for line in page.execute_script(BARS)] == ["append", "constructor", "__proto__"]
    assert json.loads(server.upstream.requests[-1].body)["instances"] == [row]
    code = "return document.getElementById('play-typescript').textContent"
    assert '"constructor":2,["__proto__"]:1' in page.execute_script(code)
    choose(page, "constructor", append="")
    playground_reply(page)
    assert invalid(page)[0] == "append"


def test_an_error_is_gone_with_the_next_answer(page):
    choose(page, "regression", rooms="3", age="")
    playground_reply(page)
    page.find_element(By.NAME, "age").send_keys("1")
    assert predictions(page)
    assert page.find_elements(By.CSS_SELECTOR, "[aria-invalid]") == []
    assert not page.find_element(By.ID, "play-refusal").is_displayed()


def test_a_handler_of_which_nothing_is_known_gets_any_text(page, server):
    choose(page, "unknown", row="anything, even this")
    assert playground_reply(page) == "got anything, even this"
    assert server.upstream.requests[-1].headers["content-type"] == "text/plain"
    assert page.find_element(By.ID, "play-answer").is_displayed()


def test_a_missing_key_is_asked_for_at_its_field(browser, tmp_path):
    secret = add(tmp_path / "keys.json", Key("desk"))
    auth = Auth(required=True, keys=str(tmp_path / "keys.json"))
    with model_server(tmp_path, auth=auth) as locked:
        opened(browser, locked)
        choose(browser, "classification", text="kind")
        playground_reply(browser)
        name, message = invalid(browser)
        assert (name, message.partition(" ")[0]) == ("play-key", "unauthenticated")
        browser.find_element(By.ID, "play-key").send_keys(secret)
        assert predictions(browser)[0]["label"] == "kind"


def test_the_form_is_filled_and_asked_by_keyboard(page):
    choose(page, "classification", text="kind")
    page.find_element(By.NAME, "top_k").send_keys(Keys.ENTER)
    WebDriverWait(page, WAIT_S).until(lambda page: page.execute_script(BARS))
    assert text(page, "#play-shown .figure") == "kind"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_form_is_accessible_and_fits_a_phone(page, scheme, tmp_path):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    width, height = PHONE
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        for model in SERVED:
            choose(page, model)
            if not page.find_elements(By.CSS_SELECTOR, "#play-row [type=file]"):
                playground_answer(page)
            widest = page.execute_script("return document.querySelector('#playground').scrollWidth")
            assert widest <= width, model
            axe = Axe(page)
            axe.inject()
            violations = axe.run({"include": [["#playground"]]})["violations"]
            assert not violations, f"{model}: {axe.report(violations)}"
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

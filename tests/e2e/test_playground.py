"""The console's playground in a real Chromium: a form for each kind of model, whose answers are the source's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from onnxserve_handlers.tasks.segmentation_masks import decode_runs, encode_png
from tests.helpers import credit, detector, magika, minilm, premises, residual, sound_classifier
from tests.helpers.browser import WAIT_S, playground_answer, text
from tests.helpers.photos import photos
from tests.helpers.scores import same
from tests.helpers.sounds import sounds

# Draws a mask that came as a PNG file, and returns the colour of a place.
PNG = """
const [png, x, y, done] = arguments;
import('/console/playground/picture.js').then(async ({ drawn }) => {
  const canvas = await drawn(document.querySelector('#play-row img'), { png }, ['ground', 'thing']);
  done([...canvas.getContext('2d').getImageData(x, y, 1, 1).data]);
});
"""
PHOTO = photos()["landscape.jpg"]


@pytest.fixture(scope="module")
def page(real_models, browser) -> Iterator[webdriver.Chrome]:
    """The console, for all tests: a model's form takes the place of another's."""
    browser.get(f"{real_models.console}/console/")
    WebDriverWait(browser, WAIT_S).until(lambda shown: shown.find_elements(By.CSS_SELECTOR, "#play-model option"))
    yield browser
    # A handler's refusal is found among the requests alone.
    entries = [entry for entry in browser.get_log("browser") if entry["source"] != "network"]
    assert [entry for entry in entries if entry["level"] == "SEVERE"] == []


def choose(page: webdriver.Chrome, model: str, **fields: str) -> None:
    """Choose a model and type into its fields."""
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text(model)
    for name, value in fields.items():
        field = page.find_element(By.CSS_SELECTOR, f"#play-row [name={name}]")
        field.clear()
        field.send_keys(value)


def predicted(page: webdriver.Chrome) -> Any:
    predictions: Any = playground_answer(page)["predictions"]
    return predictions[0]


def upload(page: webdriver.Chrome, model: str, path: Path, content: bytes, shown: str) -> Any:
    """Choose a file for a model; return the prediction, once the file is shown by an element of a name."""
    choose(page, model)
    path.write_bytes(content)
    page.find_element(By.CSS_SELECTOR, "#play-row input[type=file]").send_keys(str(path))
    WebDriverWait(page, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, f"#play-row {shown}"))
    return predicted(page)


def test_texts_are_embedded_and_classified(page):
    choose(page, "minilm", text=minilm.TEXTS[0])
    np.testing.assert_allclose(predicted(page)["embedding"], minilm.vector(minilm.TEXTS[0]), atol=2e-5)
    choose(page, "recurrent", text="a very good film")
    assert predicted(page)["label"] in ("no", "yes")


def test_a_pair_has_a_field_for_each_text(page, artefacts):
    choose(page, "cross", text="how can I return a parcel", text_pair=minilm.TEXTS[3])
    score = minilm.relevance("how can I return a parcel", minilm.TEXTS[3])
    assert predicted(page)["score"] == pytest.approx(score, abs=2e-5)
    choose(page, "premises", text="good film", text_pair="the bad")
    assert same(predicted(page), premises.scores(artefacts, "good film", "the bad"))


def test_a_table_has_a_field_of_each_columns_type(page):
    choose(page, "credit")
    script = "return [...document.querySelectorAll('#play-row [name]')].map(f => [f.name, f.type])"
    fields = page.execute_script(script)
    assert fields == [["amount", "number"], ["plan", "text"], ["member", "select-one"], ["joined", "date"]]
    page.find_element(By.CSS_SELECTOR, "#play-row [name=amount]").clear()
    plan = page.find_element(By.CSS_SELECTOR, "#play-row [name=plan]")
    plan.clear()
    plan.send_keys("team")  # the command follows what is typed
    row = {"amount": None, "plan": "team", "member": True, "joined": "2024-02-29"}
    assert json.dumps(row, separators=(",", ":")) in text(page, "#play-curl")
    [good] = credit.trees().predict(credit.encoded([row]))
    assert same(predicted(page), {"good": good, "bad": 1 - good})


def test_photos_are_classified_by_a_function_and_by_an_old_archive(page, tmp_path):
    assert same(upload(page, "residual", tmp_path / "photo.jpg", PHOTO, "img"), residual.scores(PHOTO))
    old = upload(page, "old", tmp_path / "photo.jpg", PHOTO, "img")
    assert same(old, residual.scores(PHOTO, 256, 224))


def test_a_chosen_sound_can_be_heard(page, real_models, tmp_path):
    content, samples = sounds(sound_classifier.RATE)["low.wav"]
    prediction = upload(page, "sound-classifier", tmp_path / "low.wav", content, "audio")
    duration = "return document.querySelector('#play-row audio')?.duration"
    WebDriverWait(page, WAIT_S).until(lambda page: page.execute_script(duration) == 0.5)
    assert "base64 < low.wav" in text(page, "#play-curl")
    assert f"{real_models.url}/predictions/sound-classifier" in text(page, "#play-curl")
    assert same(prediction, sound_classifier.scores(samples))


def test_a_handler_of_a_users_own_gets_the_file_that_it_reads(page, real_models, tmp_path):
    prediction = upload(page, "file-types", tmp_path / "main.c", magika.FILES["c"], "output")
    label, score = magika.expected(magika.FILES["c"])
    assert (prediction["label"], prediction["score"]) == (label, pytest.approx(score, abs=1e-4))
    assert text(page, "#play-row output") == "main.c"
    assert text(page, "#play-curl").startswith("""printf '{"instances":[{"file":"%s"}]""")
    assert f"{real_models.url}/predictions/file-types" in text(page, "#play-curl")


def test_a_handler_of_which_nothing_is_known_gets_the_body_as_it_is_typed(page):
    choose(page, "doubler", row='{"numbers": [1, 2.5]}')
    assert playground_answer(page) == {"numbers": [2, 5]}
    assert '{"numbers":[1,2.5]}' in text(page, "#play-curl")


def pixel(page: webdriver.Chrome, x: int, y: int) -> list[int]:
    """Return the colour of the drawn picture at a place."""
    script = "document.querySelector('#play-shown canvas').getContext('2d').getImageData(...arguments, 1, 1).data"
    colour: list[int] = page.execute_script(f"return [...{script}]", x, y)
    return colour


def drawn(page: webdriver.Chrome) -> Any:
    """Return the canvas, once it is there."""
    WebDriverWait(page, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#play-shown canvas"))
    return page.find_element(By.CSS_SELECTOR, "#play-shown canvas")


def test_boxes_are_drawn_over_the_picture(page, tmp_path):
    prediction = upload(page, "detector", tmp_path / "picture.jpg", PHOTO, "img")
    assert detector.same(prediction, detector.expected(PHOTO))
    canvas = drawn(page)
    assert (canvas.get_attribute("width"), canvas.get_attribute("height")) == (str(3 * 131), str(3 * 67))
    assert canvas.get_attribute("aria-label").startswith(f"{prediction['objects'][0]['label']} 0.")
    last = prediction["objects"][-1]  # drawn over the others
    left, top, _, bottom = last["box"]
    ink = {"cat": [230, 159, 0], "dog": [86, 180, 233]}[last["label"]]
    colour = pixel(page, int(3 * left), int(3 * (top + bottom) / 2))
    assert np.abs(np.array(colour[:3]) - ink).max() < 10


def test_masks_are_drawn_over_the_picture(page, artefacts, tmp_path):
    golden = json.loads((artefacts / "models" / "discs" / "golden.jsonl").read_text().splitlines()[0])
    prediction = upload(page, "discs", tmp_path / "disc.png", base64.b64decode(golden["input"]), "img")
    mask = prediction["masks"]["thing"]
    flags = decode_runs(mask["counts"], *mask["size"])
    assert flags[16, 16]
    assert not flags[0, 0]
    label = drawn(page).get_attribute("aria-label")
    colour, ground = pixel(page, 165, 165), pixel(page, 0, 0)  # of 320 x 320
    assert colour[2] > colour[0]  # the second colour is blue over light grey
    assert ground[0] > ground[2]  # the first is orange over dark grey
    assert label.startswith("ground ")
    assert set(prediction["shares"]) == {"ground", "thing"}
    as_file = base64.b64encode(encode_png(flags.astype(np.uint8))).decode()
    assert page.execute_async_script(PNG, as_file, 165, 165) == colour
    assert page.execute_async_script(PNG, as_file, 0, 0) == ground


def test_a_model_that_is_registered_meanwhile_is_offered_and_the_form_stays(page, real_models, archive):
    choose(page, "minilm", text="half a sentence")
    with real_models.registered(archive):
        option = "#play-model option[value=circle]"
        WebDriverWait(page, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, option))
        assert page.find_element(By.ID, "play-model").get_attribute("value") == "minilm"
        assert page.find_element(By.CSS_SELECTOR, "#play-row [name=text]").get_attribute("value") == "half a sentence"
        choose(page, "circle", x="0", y="0")
        assert predicted(page)["label"] == "inside"

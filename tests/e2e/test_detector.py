"""A detector and a segmenter: from a ready graph or a template to boxes and masks in the client's pictures."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from onnxserve.archive.evidence import describe_proof
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.options import ExportOptions
from onnxserve_export.rerun import rerun
from onnxserve_export.steps import STEPS
from onnxserve_handlers.tasks.segmentation_masks import decode_runs, encode_png
from tests.helpers import batch_jobs
from tests.helpers.browser import WAIT_S, asked
from tests.helpers.detector import expected, pictures, same, write_model
from tests.helpers.gateway import TorchServeClient, gateway_before
from tests.helpers.photos import photos
from tests.helpers.torchserve import running

# Draws a mask that came as a PNG file, and returns the colour of a place.
PNG = """
const [png, x, y, done] = arguments;
import('/console/picture.js').then(async ({ drawn }) => {
  const canvas = await drawn(document.querySelector('#play-row img'), { png }, ['ground', 'thing']);
  done([...canvas.getContext('2d').getImageData(x, y, 1, 1).data]);
});
"""


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> ExportState:
    folder = write_model(tmp_path_factory.mktemp("models") / "detector")
    state: ExportState = export_model(folder, folder / "store", STEPS, lambda _: None)
    return state


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory) -> Path:
    folder = new_model("image", "discs", tmp_path_factory.mktemp("models"), "segmentation")
    export_model(folder, folder / "store", STEPS, lambda _: None, options=ExportOptions(draft=True))
    path: Path = folder / "store" / "discs-1.0.0.mar"
    return path


@pytest.fixture(scope="module")
def front(detector, segmenter, tmp_path_factory) -> Iterator[TorchServeClient]:
    archives = [detector.archive, segmenter]
    with running(tmp_path_factory.mktemp("server"), archives) as server, gateway_before(server) as fronted:
        yield fronted


def test_the_number_of_boxes_is_free_and_the_graph_is_equal_to_its_source(detector):
    assert detector.output_axes["boxes"].keys() == {1}
    summary = detector.evidence["summary"]
    assert (summary["proof"], summary["task"], summary["claim"]) == ("parity", "detection", "agreement")
    assert "mean F1 of matched boxes beside the source's answers 100.00%" in " ".join(describe_proof(summary))
    again = rerun(detector.archive)
    assert again.refusal == ""
    assert again.paired.accuracy == pytest.approx(1)


@pytest.mark.parametrize("name", photos())
def test_an_uploaded_picture_gets_the_sources_boxes_in_its_own_pixels(front, name):
    answer = front.post("/predictions/detector", photos()[name], **{"content-type": "application/octet-stream"})
    assert answer.status_code == 200, answer.text
    assert same(answer.json()["predictions"][0], expected(photos()[name]))


def test_pictures_have_other_numbers_of_boxes():
    assert len({len(expected(content)) for content in pictures().values()}) > 2


def test_a_folder_of_pictures_is_scored_with_the_same_boxes(detector, tmp_path):
    folder = detector.definition.folder / "rows"
    batch_jobs.run(detector.archive, folder, tmp_path / "out", keep=("path",))
    rows = batch_jobs.read(tmp_path / "out").to_pylist()
    assert len(rows) == len(pictures())
    for row in rows:
        assert row["error"] is None
        objects = expected(pictures()[os.path.basename(row["path"])])  # noqa: PTH119 - a URL
        assert same(json.loads(row["prediction"]), objects)
        assert row["score"] == pytest.approx(objects[0]["score"] if objects else 0, abs=1e-4)


def chosen(browser: Any, front: TorchServeClient, model: str, path: Path) -> Any:
    """Ask the playground about a file; return the answer's prediction, once it is drawn."""
    browser.get(front.console)
    WebDriverWait(browser, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#play-model option"))
    Select(browser.find_element(By.ID, "play-model")).select_by_visible_text(model)
    browser.find_element(By.CSS_SELECTOR, "#play-row input[type=file]").send_keys(str(path))
    WebDriverWait(browser, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#play-row img"))
    answer: Any = asked(browser)
    WebDriverWait(browser, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#play-picture canvas"))
    return answer["predictions"][0]


def pixel(browser: Any, x: int, y: int) -> list[int]:
    """Return the colour of the drawn picture at a place."""
    script = "document.querySelector('#play-picture canvas').getContext('2d').getImageData(...arguments, 1, 1).data"
    colour: list[int] = browser.execute_script(f"return [...{script}]", x, y)
    return colour


def test_the_playground_draws_boxes_over_the_picture(front, browser, tmp_path):
    content = photos()["landscape.jpg"]
    (tmp_path / "picture.jpg").write_bytes(content)
    prediction = chosen(browser, front, "detector", tmp_path / "picture.jpg")
    assert same(prediction, expected(content))
    canvas = browser.find_element(By.CSS_SELECTOR, "#play-picture canvas")
    assert (canvas.get_attribute("width"), canvas.get_attribute("height")) == (str(3 * 131), str(3 * 67))
    assert canvas.get_attribute("aria-label").startswith(f"{prediction['objects'][0]['label']} 0.")
    last = prediction["objects"][-1]  # drawn over the others
    left, top, _, bottom = last["box"]
    ink = {"cat": [230, 159, 0], "dog": [86, 180, 233]}[last["label"]]
    drawn = pixel(browser, int(3 * left), int(3 * (top + bottom) / 2))
    assert np.abs(np.array(drawn[:3]) - ink).max() < 10
    # No counters are served here, which the console's requests find.
    entries = [entry for entry in browser.get_log("browser") if entry["source"] != "network"]
    assert [entry for entry in entries if entry["level"] == "SEVERE"] == []


def test_the_playground_draws_masks_over_the_picture(front, browser, segmenter, tmp_path):
    golden = json.loads((segmenter.parents[1] / "golden.jsonl").read_text().splitlines()[0])
    (tmp_path / "disc.png").write_bytes(base64.b64decode(golden["input"]))
    prediction = chosen(browser, front, "discs", tmp_path / "disc.png")
    mask = prediction["masks"]["thing"]
    flags = decode_runs(mask["counts"], *mask["size"])
    assert flags[16, 16]
    assert not flags[0, 0]
    thing, ground = pixel(browser, 165, 165), pixel(browser, 0, 0)  # of 320 x 320
    assert thing[2] > thing[0]  # the second colour is blue over light grey
    assert ground[0] > ground[2]  # the first is orange over dark grey
    label = browser.find_element(By.CSS_SELECTOR, "#play-picture canvas").get_attribute("aria-label")
    assert label.startswith("ground ")
    assert set(prediction["shares"]) == {"ground", "thing"}
    as_file = base64.b64encode(encode_png(flags.astype(np.uint8))).decode()
    assert browser.execute_async_script(PNG, as_file, 165, 165) == thing
    assert browser.execute_async_script(PNG, as_file, 0, 0) == ground

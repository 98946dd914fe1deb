"""The console's charts in a real Chromium: what they draw of few samples, and of names that JavaScript has itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

from tests.helpers.browser import chromium
from tests.helpers.model_server import model_server

STEPS = 720
# How many pixels of a chart have the colour of its only line.
COLOURED = """
const [values, done] = arguments;
import('/console/chart.js').then(async ({ LineChart }) => {
  const chart = new LineChart({ label: 'Latency', format: String, series: [{ label: 'median', ink: 'first' }] });
  document.body.append(chart.node);
  chart.set([values.map((_, at) => at), values]);
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const canvas = chart.canvas.querySelector('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const ink = getComputedStyle(document.getElementById('ink-first')).color.match(/\\d+/g).map(Number);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) count += ink.every((part, place) => data[at + place] === part);
  chart.remove();
  chart.node.remove();
  done(count);
});
"""
SHAPES = """
const [documents, samples, done] = arguments, { profile, window } = JSON.parse(documents);
Promise.all([import('/console/drift.js'), import('/console/figures.js')]).then(([drift, figures]) => {
  const { distances } = drift.driftOf(figures.parse(samples))('constructor', '1.0');
  const shapes = drift.shapesOf(profile, window, distances);
  done(shapes.map(({ measure, distance, columns }) => [measure, distance ?? null, columns[2]]));
});
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with model_server(tmp_path_factory.mktemp("models")) as server, chromium() as browser:
        browser.get(server.page)
        yield browser


def coloured(page: webdriver.Chrome, **samples: float) -> int:
    values: list[float | None] = [None] * STEPS
    for place, value in samples.items():
        values[int(place.removeprefix("at"))] = value
    return int(page.execute_async_script(COLOURED, values))


@pytest.mark.parametrize("place", ["at0", "at360", "at719"])
def test_a_sample_alone_is_drawn_as_a_point(page, place):
    assert coloured(page) == 0
    assert coloured(page, **{place: 5.0}) >= 4


def test_a_sample_beside_others_has_a_point_of_its_own_where_there_is_a_gap(page):
    line = coloured(page, at100=5.0, at101=5.0, at102=5.0)
    assert line > 0
    assert coloured(page, at100=5.0, at101=5.0, at102=5.0, at500=5.0) > line


def test_measures_and_labels_may_have_names_that_every_object_has(page: Any):
    measure = {"edges": [1.0], "counts": [1, 3]}
    profile = {"rows": 4, "measures": {"constructor": measure, "x": measure}, "labels": {"toString": 1, "__proto__": 3}}
    window = {"rows": 4, "measures": {"x": [2, 2]}, "labels": {"__proto__": 4}, "unknown": 0}
    samples = 'onnxserve_drift{model="constructor",version="1.0",measure="x",stat="psi"} 0.5'
    documents = json.dumps({"profile": profile, "window": window})
    assert page.execute_async_script(SHAPES, documents, samples) == [
        ["x", 0.5, [50, 50]],
        ["constructor", None, [None, None]],
        ["label", None, [0, 100, 0]],
    ]


# What the page says of a version, and the card of its model.
SAID = """
const [row, page, done] = arguments;
Promise.all([import('/console/proof.js'), import('/console/overview.js')]).then(([proof, overview]) => {
  const section = new proof.ProofSection();
  section.set(row, page);
  done([section.node.textContent, overview.claim(row)]);
}).catch((error) => done(String(error)));
"""
WRONG = {"proof": 5, "bound": "much", "budget": None, "flips": [], "model_sha256": 7, "worst_parity": "a", "rows": {}}


def test_evidence_of_another_form_leaves_gaps_and_a_line_that_says_why(page: Any):
    row = {"evidence": WRONG, "golden": "far", "ready": 1, "signature": {"variant": "fp32"}}
    reason = "evidence.json of the archive has another form than the console reads"
    shown, card = page.execute_async_script(SAID, row, {"evidence": None, "reason": reason})
    assert shown.endswith(reason)
    assert "loses at most \u2013" in shown
    assert "golden rows off by \u2013" in shown
    assert card == "fp32, loses at most \u2013, allowed \u2013"


# What the charts of a version's proof are drawn from.
COLUMNS = """
const [page, done] = arguments;
import('/console/proof.js').then(({ ProofSection }) => {
  const section = new ProofSection();
  section.set({ evidence: page.evidence.summary }, page);
  done(section.charts.map(([chart, columns]) => [chart.label, columns.slice(1)]));
}).catch((error) => done(String(error)));
"""


def test_a_number_that_is_not_finite_is_no_small_one_in_the_charts(page: Any):
    variants = [
        {"variant": "int8", "paired": {"drop": 0.01, "bound": 0.02}},
        {"variant": "w8", "paired": {"drop": None, "bound": 0.03}},
        {"variant": "w4", "paired": {"drop": 0.01, "bound": None}},
    ]
    parity = [{"group": "1", "deviation": 1e-6}, {"group": "2", "deviation": None}]
    evidence = {"summary": {"budget": None, "bound": 0.02, "rows": 900}, "variants": variants, "parity": parity}
    assert page.execute_async_script(COLUMNS, {"evidence": evidence}) == [
        ["Loss of each variant", [[1, None], [2, 3], [None, None]]],
        ["Deviation from the source, by batch", [[1e-6, None]]],
    ]

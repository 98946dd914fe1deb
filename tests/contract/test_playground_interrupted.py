"""The playground when something comes in between: another model is chosen, or the browser can't record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.helpers.browser import HOLD, LET_GO, WAIT_S, chromium, text
from tests.helpers.model_server import ModelServer, model_server
from tests.helpers.playground import choose, opened

WITHOUT_WORKLETS = """
AudioWorklet.prototype.addModule = () => Promise.reject(new Error('no worklet'));
const media = navigator.mediaDevices, open = media.getUserMedia.bind(media);
media.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  window.tracks = stream.getTracks();
  return stream;
};
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    with model_server(tmp_path_factory.mktemp("models")) as models:
        yield models


@pytest.fixture
def page(server: ModelServer) -> Iterator[webdriver.Chrome]:
    with chromium() as browser:
        opened(browser, server)
        yield browser


def test_an_answer_that_comes_late_is_not_shown_as_that_of_another_model(page, server):
    choose(page, "classification", text="kind")
    page.execute_script(HOLD, "/ask/")
    page.find_element(By.CSS_SELECTOR, "#play [type=submit]").click()
    choose(page, "regression")
    page.execute_async_script(LET_GO)
    assert server.upstream.requests[-1].path.endswith("/classification/1.0.0")
    assert text(page, "#play-shown") == "Ask the model to see what it predicts."
    assert text(page, "#play-time") == ""


def test_a_microphone_is_let_go_if_the_browser_cannot_record(page):
    choose(page, "multilabel")
    page.execute_script(WITHOUT_WORKLETS)
    page.find_element(By.XPATH, "//button[text()='Record']").click()
    stopped = "return window.tracks?.every((track) => track.readyState === 'ended')"
    WebDriverWait(page, WAIT_S).until(lambda page: page.execute_script(stopped))
    assert "no worklet" in text(page, "#play-row .refusal")
    assert page.find_element(By.XPATH, "//button[text()='Record']").is_enabled()

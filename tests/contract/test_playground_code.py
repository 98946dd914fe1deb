"""The programs that the playground shows send what it sends: they are run, in each language."""

from __future__ import annotations

import ast
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from onnxserve.gateway.config import Auth
from onnxserve.gateway.keys import Key, add
from tests.helpers.browser import WAIT_S, chromium, playground_reply
from tests.helpers.model_server import SERVED, ModelServer, model_server
from tests.helpers.npm import install_packages

ROOT = Path(__file__).parents[2]
TYPESCRIPT = ROOT / "tests" / "typescript"
AWKWARD = 'it\'s "5 %"\\ü😀'  # and few tokens
FILES = {
    "multilabel": "it's a sound.wav",
    "detection": "a picture.png",
    "segmentation": "100 %.png",
    "pictures": "it's.png",
}


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file of keys, and the one that it has."""
    path: Path = tmp_path_factory.mktemp("keys") / "keys.json"
    return path, add(path, Key("desk"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, secret: tuple[Path, str]) -> Iterator[ModelServer]:
    auth = Auth(required=True, keys=str(secret[0]))
    with model_server(tmp_path_factory.mktemp("models"), auth=auth) as models:
        yield models


@pytest.fixture(scope="module")
def page(server: ModelServer, secret: tuple[Path, str]) -> Iterator[webdriver.Chrome]:
    with chromium() as browser:
        browser.get(server.page)
        WebDriverWait(browser, WAIT_S).until(lambda shown: shown.find_elements(By.CSS_SELECTOR, "#play-model option"))
        browser.find_element(By.ID, "play-key").send_keys(secret[1])
        yield browser


def run(command: list[str], folder: Path, secret: str, stdin: str = "") -> str:
    environment = {**os.environ, "ONNXSERVE_KEY": secret, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    completed = subprocess.run(
        command, cwd=folder, env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=120
    )
    assert completed.returncode == 0, (stdin, completed.stderr)
    return completed.stdout


def code(page: webdriver.Chrome) -> dict[str, str]:
    """Return the shown programs by language."""
    script = "return [...document.querySelectorAll('#playground pre[role=tabpanel]')].map(p => [p.id, p.textContent])"
    return {name.removeprefix("play-"): shown for name, shown in page.execute_script(script)}


def fill(page: webdriver.Chrome, model: str, folder: Path) -> None:
    """Fill the form of a model with a row."""
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text(model)
    for field in page.find_elements(By.CSS_SELECTOR, "#play-row textarea[name=text]"):
        field.clear()
        page.execute_script("arguments[0].value = arguments[1]", field, AWKWARD)
        field.send_keys(" .")
    if model in FILES:
        path = folder / FILES[model]
        path.write_bytes(base64.b64decode(SERVED[model].rows[0]))
        page.find_element(By.CSS_SELECTOR, "#play-row [type=file]").send_keys(str(path))
        shown = "#play-row .preview :is(img, audio)"
        WebDriverWait(page, WAIT_S).until(lambda page: page.find_elements(By.CSS_SELECTOR, shown))


def exchanged(server: ModelServer) -> tuple[str, Any]:
    """Return path and body of the last request; a body in JSON is decoded, since programs differ in their spaces."""
    last = server.upstream.requests[-1]
    is_json = last.headers.get("content-type") == "application/json"
    return last.path, json.loads(last.body) if is_json else last.body


@dataclass(frozen=True)
class Exchange:
    """What the page sent for a model and got, and the programs that it showed."""

    sent: tuple[str, Any]
    reply: str
    programs: dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs lie, beside the files that they send."""
    path: Path = tmp_path_factory.mktemp("programs")
    return path


@pytest.fixture(scope="module")
def exchanges(page: webdriver.Chrome, server: ModelServer, folder: Path) -> dict[str, Exchange]:
    """Ask every model; the programs in TypeScript are compiled at once, into `<model>.js`."""
    done = {}
    for model in [*SERVED, "unknown"]:
        fill(page, model, folder)
        reply = playground_reply(page)
        done[model] = Exchange(exchanged(server), reply, code(page))
        (folder / f"{model}.ts").write_text(done[model].programs["typescript"])
    for path in TYPESCRIPT.glob("*.json"):  # the compiler and its settings, without the programs of other tests
        shutil.copy(path, folder)
    install_packages(folder)
    compiler = folder / "node_modules" / ".bin" / "tsc"
    compiled = subprocess.run([compiler], cwd=folder, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stdout
    return done


@pytest.mark.parametrize("model", [*SERVED, "unknown"])
def test_the_programs_send_the_request_that_the_page_sends(exchanges, server, secret, folder, model):
    exchange = exchanges[model]
    assert not any(secret[1] in program for program in exchange.programs.values())
    outputs = []
    for command, stdin in (
        (["sh", "-s"], exchange.programs["curl"]),
        ([sys.executable, "-"], exchange.programs["python"]),
        (["node", f"{model}.js"], ""),
    ):
        outputs.append(run(command, folder, secret[1], stdin))
        assert exchanged(server) == exchange.sent, command
    if model != "unknown":
        assert json.loads(outputs[0]) == json.loads(exchange.reply)
        assert ast.literal_eval(outputs[1]) == json.loads(exchange.reply)["predictions"]


def test_a_file_without_parameters_is_the_shortest_command(page, server, tmp_path):
    fill(page, "multilabel", tmp_path)
    address = f"{server.client.url}/predictions/multilabel"
    assert code(page)["curl"] == f"curl -H \"x-api-key: $ONNXSERVE_KEY\" -T 'it'\\''s a sound.wav' {address}"


def test_the_code_follows_what_is_typed_and_says_why_there_is_none(page):
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text("raw")
    field = page.find_element(By.CSS_SELECTOR, "#play-row textarea")
    field.clear()
    field.send_keys("[0.5]")
    assert '{"instances":[[0.5]]}' in code(page)["curl"]
    field.send_keys(Keys.BACKSPACE)
    assert {shown.partition(":")[0] for shown in code(page).values()} == {"the row isn't JSON"}


def test_tabs_are_changed_by_arrows_and_the_shown_program_is_copied(page):
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text("regression")
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    page.execute_cdp_cmd("Browser.grantPermissions", {"permissions": permissions})
    tabs = page.find_elements(By.CSS_SELECTOR, "#playground [role=tab]")
    tabs[0].click()
    for key, place in ((Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_RIGHT, 0), (Keys.ARROW_LEFT, 2)):
        page.switch_to.active_element.send_keys(key)
        assert page.switch_to.active_element == tabs[place]
        panels = page.find_elements(By.CSS_SELECTOR, "#playground pre[role=tabpanel]")
        assert [panel.is_displayed() for panel in panels] == [index == place for index in range(3)]
    page.find_element(By.ID, "play-copy").click()
    status = "return document.querySelector('#play-copy + [role=status]').textContent"
    WebDriverWait(page, WAIT_S).until(lambda page: page.execute_script(status))
    read = "navigator.clipboard.readText().then(arguments[0])"
    assert page.execute_async_script(read) == code(page)["typescript"]
    assert page.execute_script(status) == "copied"

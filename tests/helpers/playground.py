"""The console's playground in a browser: its page, and its fields."""

from __future__ import annotations

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from .browser import WAIT_S
from .model_server import ModelServer


def opened(browser: webdriver.Chrome, server: ModelServer) -> None:
    """Open the console, and wait for the playground."""
    browser.get(server.page)
    WebDriverWait(browser, WAIT_S).until(lambda shown: shown.find_elements(By.CSS_SELECTOR, "#play-model option"))


def choose(page: webdriver.Chrome, model: str, **fields: str) -> None:
    """Choose a model, and fill fields of its row and its parameters by name."""
    Select(page.find_element(By.ID, "play-model")).select_by_visible_text(model)
    for name, value in fields.items():
        field = page.find_element(By.CSS_SELECTOR, f"#play-row [name={name}], #play-parameters [name={name}]")
        field.clear()
        field.send_keys(value)

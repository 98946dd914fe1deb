"""Handlers that many tests ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.helpers.inference import table_handler, text_handler

# An example may take as long as a busy machine needs.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def table() -> Any:
    return table_handler()


@pytest.fixture
def text(tmp_path: Path) -> Any:
    return text_handler(tmp_path)

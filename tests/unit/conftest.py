"""Handlers that many tests ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.inference import table_handler, text_handler


@pytest.fixture
def table() -> Any:
    return table_handler()


@pytest.fixture
def text(tmp_path: Path) -> Any:
    return text_handler(tmp_path)

"""A store and a state folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.torchserve import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "store").mkdir()
    (tmp_path / "state").mkdir()
    gateway = tmp_path / "gateway.toml"
    gateway.write_text("[auth]\nkeys = 'keys.json'\n")
    return Settings(tmp_path / "config.properties", tmp_path / "store", tmp_path / "state", gateway_file=gateway)

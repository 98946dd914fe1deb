"""Archives that several tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.steps import STEPS


@pytest.fixture(scope="session")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small table model, as `onnxserve new` makes it."""
    return new_model("tabular", "circle", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def archive(definition: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its archive, exported once for all tests; read only."""
    return export_model(definition, tmp_path_factory.mktemp("store"), STEPS, lambda _: None).archive


@pytest.fixture(scope="session")
def next_archive(definition: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 2.0.0 of the same model."""
    folder = tmp_path_factory.mktemp("models2") / "circle"
    shutil.copytree(definition, folder)
    toml = folder / "model.toml"
    toml.write_text(toml.read_text().replace('version = "1.0.0"', 'version = "2.0.0"'))
    return export_model(folder, tmp_path_factory.mktemp("store2"), STEPS, lambda _: None).archive

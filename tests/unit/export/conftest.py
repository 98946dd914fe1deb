"""Definitions of models as `onnxserve new` writes them."""

from __future__ import annotations

import pytest

from onnxserve.definition import Definition, read_definition
from onnxserve.scaffold import new_model


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Definition:
    """A table of columns x and y, with the labels `outside` and `inside`."""
    return read_definition(new_model("table", "circle", tmp_path_factory.mktemp("table")))


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Definition:
    return read_definition(new_model("text", "words", tmp_path_factory.mktemp("text")))

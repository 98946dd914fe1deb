"""Files that a kind of input needs are found beside the definition or the source."""

import pytest

from onnxserve.definition import read_definition
from onnxserve.errors import DefinitionError
from onnxserve.scaffold import new_model
from onnxserve_export.assets import read_assets


@pytest.fixture
def definition(tmp_path):
    folder = new_model("text", "reviews", tmp_path / "models")
    toml = folder / "model.toml"
    toml.write_text(toml.read_text().replace('assets = "model.py:assets"\n', ""))
    return read_definition(folder)


def test_a_tokenizer_lies_beside_the_definition_or_in_the_source_or_beside_it(definition, tmp_path):
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "tokenizer.json").write_bytes(b"inner")
    assert read_assets(definition, source, {}) == {"tokenizer.json": b"inner"}
    (source / "tokenizer.json").write_bytes(b"source")
    assert read_assets(definition, source / "model.onnx", {}) == {"tokenizer.json": b"source"}
    (definition.folder / "tokenizer.json").write_bytes(b"own")
    assert read_assets(definition, source, {}) == {"tokenizer.json": b"own"}


def test_what_lies_nowhere_is_named(definition):
    with pytest.raises(DefinitionError, match=r"rows of kind text need tokenizer\.json") as caught:
        read_assets(definition, None, {})
    assert "beside model.toml" in caught.value.fix


def test_a_kind_that_needs_no_file_has_none(tmp_path):
    definition = read_definition(new_model("table", "circle", tmp_path / "models"))
    assert read_assets(definition, None, {}) == {}

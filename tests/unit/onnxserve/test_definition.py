"""Model definitions: read whole, or refused with field, reason and fix."""

from pathlib import Path

import pytest

from onnxserve.definition import read_definition
from onnxserve.errors import DefinitionError
from tests import ROOT

MODELS = ROOT / "models"
GOOD = """
name = "demo"
version = "1.0"
handler = "tabular:TabularClassifier"
loader = "package:factory"
rows = "package:rows"
"""


def definition(folder: Path, text: str) -> Path:
    (folder / "model.toml").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["segment", "sentiment", "digits"])
def test_the_definitions_we_ship_are_read(name):
    read = read_definition(MODELS / name)
    assert read.name == name
    assert read.sources
    assert read.folder == MODELS / name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('name = "demo"\nversion = 1', r"Expected `str`, got `int` - at `\$.version`"),
        (GOOD + 'colour = "red"', "unknown field `colour`"),
        (GOOD + "[serve]\nworkers = 0", r"at `\$.serve.workers`"),
        (GOOD + '[quantise]\nvariants = ["int9"]', r"at `\$.quantise.variants"),
        (GOOD + 'labels = ["a", "a"]', "labels must differ"),
        (GOOD.replace("package:factory", "model.py:load"), "there is no such file"),
        (GOOD.replace("package:factory", "load"), "must be `file.py:name` or `module:name`"),
        (GOOD.replace('"demo"', '"a/b"'), r"at `\$.name`"),
        ("name = ", "not valid TOML"),
        (GOOD + 'folder = "/"', "unknown field `folder`"),
    ],
)
def test_a_wrong_definition_is_refused_with_the_reason(tmp_path, change, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        read_definition(definition(tmp_path, change))
    assert "model.toml" in str(caught.value)


def test_a_missing_definition_says_how_to_make_one(tmp_path):
    with pytest.raises(DefinitionError, match="onnxserve new"):
        read_definition(tmp_path)

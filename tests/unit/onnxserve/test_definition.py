"""Model definitions: read whole, or refused with field, reason and fix."""

from pathlib import Path

import msgspec
import pytest

from onnxserve.definition import make_definition, read_definition
from onnxserve.errors import DefinitionError
from onnxserve_handlers.inputs.image import ImageOptions
from tests import ROOT

MODELS = ROOT / "models"
GOOD = """
name = "demo"
version = "1.0"
source = "package:factory"
rows = "package:rows"
"""
ROWS = """
[input]
kind = "text"
"""
FORMER = """
name = "demo"
version = "1.0"
handler = "{handler}"
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


def test_a_definition_that_an_editor_of_windows_wrote_is_read(tmp_path):
    text = (GOOD + ROWS + '[output]\ntask = "raw"').replace("\n", "\r\n")
    (tmp_path / "model.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_definition(tmp_path).name == "demo"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('name = "demo"\nversion = 1', r"Expected `str`, got `int` - at `\$.version`"),
        (GOOD + 'colour = "red"', "unknown field `colour`"),
        (GOOD + "[serve]\nworkers = 0", r"at `\$.serve.workers`"),
        (GOOD + '[quantise]\nvariants = ["int9"]', r"at `\$.quantise.variants"),
        (GOOD + ROWS + '[output]\nlabels = ["a", "a"]', "labels must differ"),
        (GOOD, "input.kind says what rows are"),
        (GOOD + '[input]\nkind = "smell"', "kind = 'smell' is unknown: choose text, image"),
        (GOOD + ROWS + '[output]\ntask = "guess"', "task = 'guess' is unknown: choose classification"),
        (GOOD + ROWS + "height = 3", r"unknown field `height` - at `\$.input`"),
        (GOOD + ROWS + "max_tokens = 0", r"at `\$.input.max_tokens`"),
        (GOOD + '[input]\nkind = "table"', r"missing required field `columns` - at `\$.input`"),
        (GOOD + ROWS + '[output]\ntask = "classification"', r"missing required field `labels` - at `\$.output`"),
        (GOOD.replace("package:factory", "model.py:load"), "there is no such file"),
        (GOOD.replace("package:factory", "../elsewhere.py:load"), "there is no such file in"),
        (GOOD + 'handler = "../elsewhere.py:Handler"', "handler = '../elsewhere.py:Handler': there is no such file in"),
        (GOOD + f'assets = "{__file__}:assets"', "assets = .*: there is no such file in"),
        (
            GOOD.replace("package:factory", "load"),
            "source = 'load' is neither a file in .* nor `file.py:name` or `module:name`",
        ),
        (GOOD.replace("package:rows", "rows"), "rows = 'rows' is neither a file in .* nor `file.py:name`"),
        (GOOD.replace('"demo"', '"a/b"'), r"at `\$.name`"),
        ("name = ", "not valid TOML"),
        (GOOD + 'folder = "/"', "unknown field `folder`"),
    ],
)
def test_a_wrong_definition_is_refused_with_the_reason(tmp_path, change, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        read_definition(definition(tmp_path, change))
    assert "model.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("handler", "fields", "kind", "task"),
    [
        ("text:TextClassifier", 'labels = ["a", "b"]\n[input]\nmax_tokens = 9', "text", "classification"),
        ("image:ImageClassifier", 'labels = ["a"]\n[input]\nheight = 8\nwidth = 9', "image", "classification"),
        ("tabular:TabularClassifier", '[input]\ncolumns = ["x"]', "table", "regression"),
        ("joined:JoinedClassifier", '[input]\ncolumns = ["x"]', "table", "regression"),
        ("handler.py:Own", '[input]\ncolumns = ["x"]', "table", "regression"),
        ("handler.py:Other", '[input]\ncolumns = ["x"]', "", "regression"),
    ],
)
def test_a_definition_of_an_earlier_version_is_read_as_a_kind_and_a_task(tmp_path, handler, fields, kind, task):
    base = "TabularClassifier" if handler.endswith("Own") else "Handler"
    (tmp_path / "handler.py").write_text(f"class Own({base}):\n    pass\n")
    read = read_definition(definition(tmp_path, FORMER.format(handler=handler) + fields))
    assert (read.source, read.input.kind, read.output.task) == ("package:factory", kind, task)
    assert read.handler == (handler if handler.startswith("handler.py") else "")


def test_scale_of_an_image_of_an_earlier_version_is_std(tmp_path):
    fields = 'labels = ["a"]\n[input]\nheight = 8\nwidth = 9\nmean = 2.0\nscale = 4.0'
    rows = read_definition(definition(tmp_path, FORMER.format(handler="image:ImageClassifier") + fields)).input
    assert isinstance(rows, ImageOptions)
    assert (rows.mean, rows.std, rows.scale) == (2.0, 4.0, 4.0)


def test_options_of_images_that_contradict_each_other_are_told_with_their_section(tmp_path):
    fields = '[input]\nkind = "image"\nheight = 8\nwidth = 9\nmean = [1, 2]\nstd = 0'
    with pytest.raises(
        DefinitionError, match=r"mean has 2 numbers for 3 channels.*; std must not be 0 - at `\$\.input`"
    ):
        read_definition(definition(tmp_path, FORMER.format(handler="image:ImageClassifier") + fields))


@pytest.mark.parametrize("former", ["int8-static", "int8-percentile", "int8-entropy", "int8-default"])
def test_a_variant_of_an_earlier_version_is_refused_with_the_name_of_the_present_one(tmp_path, former):
    text = GOOD + ROWS + f'[quantise]\nvariants = ["{former}", "fp32"]'
    with pytest.raises(DefinitionError, match=f"the variant {former} doesn't exist any more: `int8`") as caught:
        read_definition(definition(tmp_path, text))
    assert f'write "int8" in place of {former}' in caught.value.fix
    assert "quantise.variants" in caught.value.where


def test_a_definition_may_have_no_rows(tmp_path):
    assert (
        read_definition(definition(tmp_path, (GOOD + ROWS).replace('rows = "package:rows"\n', ""))).rows.location == ""
    )


def test_a_missing_definition_says_how_to_make_one(tmp_path):
    with pytest.raises(DefinitionError, match="onnxserve new"):
        read_definition(tmp_path)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(DefinitionError, match="there is no model definition here"):
        read_definition(tmp_path / "model.onnx")


def test_fields_that_a_program_gives_take_the_place_of_the_file_s_and_leave_the_others(tmp_path):
    text = GOOD + ROWS + 'max_tokens = 16\n[output]\ntask = "raw"\n'
    changes = {"version": "2.0", "input": {"max_tokens": 32}, "rows": {"label": "stars"}, "serve": {"workers": 3}}
    changed = read_definition(definition(tmp_path, text), changes)
    assert (changed.name, changed.version) == ("demo", "2.0")
    assert msgspec.to_builtins(changed.input)["max_tokens"] == 32
    assert changed.input.kind == "text"
    assert (changed.rows.location, changed.rows.label) == ("package:rows", "stars")
    assert changed.serve.workers == 3
    assert read_definition(tmp_path).version == "1.0"


def test_a_definition_without_a_file_names_its_own_place(tmp_path):
    fields = {"name": "demo", "version": "1.0", "source": "package:factory", "colour": "red"}
    with pytest.raises(DefinitionError, match="unknown field `colour`") as caught:
        make_definition(fields, tmp_path, where="a program")
    assert caught.value.where == "a program"

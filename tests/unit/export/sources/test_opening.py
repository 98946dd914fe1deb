"""What is no model is refused with the forms that are."""

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import open_source
from onnxserve_export.sources.opening import is_function


@pytest.mark.parametrize(
    ("name", "message"), [("other.onnx", "there is no file"), ("net.h5", "is no model that can be read")]
)
def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path, name, message):
    (tmp_path / "net.h5").write_bytes(b"nothing")
    with pytest.raises(DefinitionError, match=message) as caught:
        open_source(name, tmp_path, {})
    assert ".onnx" in caught.value.fix


def test_a_function_that_gives_no_model_is_refused(tmp_path):
    (tmp_path / "model.py").write_text("def load(): return 3\n")
    with pytest.raises(DefinitionError, match=r"model\.py:load gave int, which is no model"):
        open_source("model.py:load", tmp_path, {})


@pytest.mark.parametrize(
    ("reference", "function"),
    [
        ("model.py:load", True),
        ("package.zoo:make", True),
        ("model.onnx", False),
        ("a/b.pt2", False),
        ("C:\\m.onnx", False),
    ],
)
def test_a_function_has_a_name_behind_a_colon(reference, function):
    assert is_function(reference) is function

"""What is written as TOML is read back as it was, whatever the values and keys are."""

import tomllib

import pytest

from onnxserve.definition.toml_literal import key, literal


@pytest.mark.parametrize(
    "value",
    [
        *(True, 3, 1e-05, 0.5, 'say "hi"\n\\', "naïve 🙂 \x7f", [1, 2]),
        ["x" * 90, "y" * 90],
        [{"name": "a", "shape": ["t", 3]}],
    ],
)
def test_a_value_is_read_back_as_it_was(value):
    assert tomllib.loads(f"value = {literal(value)}")["value"] == value


@pytest.mark.parametrize("name", ["time", "a-b", "a.b", 'say "hi"', "🙂", ""])
def test_a_key_is_read_back_as_it_was(name):
    assert tomllib.loads(f"{key(name)} = 1") == {name: 1}

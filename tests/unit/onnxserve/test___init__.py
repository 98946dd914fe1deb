"""The public names: each is there, and none is imported before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import onnxserve

HEAVY = ("httpx", "numpy", "msgspec", "onnxserve.client")


def test_every_public_name_is_there():
    assert set(onnxserve._LAZY) <= set(onnxserve.__all__) <= set(dir(onnxserve))
    for name in onnxserve.__all__:
        assert getattr(onnxserve, name), name


def test_a_name_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match="module 'onnxserve' has no attribute 'Clent'"):
        onnxserve.Clent  # type: ignore[attr-defined]  # noqa: B018 - it is looked up


def test_an_import_brings_none_of_the_libraries_that_names_need():
    code = f"import sys, onnxserve; print([name for name in {HEAVY} if name in sys.modules])"
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"

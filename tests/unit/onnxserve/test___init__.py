"""The names of the Python API, which come when they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import onnxserve

HEAVY = ("torch", "onnxruntime", "onnx", "numpy", "typer", "rich", "httpx", "jinja2", "msgspec")


def test_the_package_imports_nothing_heavy():
    code = f"import sys, onnxserve; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_archive_predicts_without_torch_and_without_the_commands(archive):
    code = f"""if True:
        import sys, onnxserve
        archive = onnxserve.Archive({str(archive)!r})
        archive.predict(archive.golden_rows)
        print([name for name in ("torch", "typer", "rich", "onnx") if name in sys.modules])"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", sorted(onnxserve._LAZY))
def test_each_name_is_that_of_its_module_and_is_listed(name):
    assert getattr(onnxserve, name) is getattr(import_module(onnxserve._LAZY[name]), name)
    assert name in dir(onnxserve)
    assert getattr(onnxserve, name).__doc__


def test_type_checkers_see_the_names_that_programs_get():
    tree = ast.parse(Path(str(onnxserve.__file__)).read_text())
    guarded = [statement for block in tree.body if isinstance(block, ast.If) for statement in block.body]
    imports = [statement for statement in guarded if isinstance(statement, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == onnxserve._LAZY
    assert sorted([*onnxserve._LAZY, "__version__"]) == sorted(onnxserve.__all__)
    assert Path(str(onnxserve.__file__)).with_name("py.typed").is_file()


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'bake'"):
        getattr(onnxserve, "bake")  # noqa: B009 - mypy knows that there is none

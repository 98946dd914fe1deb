"""Imports and metrics of an archive's code, read from its syntax."""

from __future__ import annotations

from onnxserve.migrate.code import missing, read_code


def read(*modules: str, **files: str):
    members = {name.replace("__", "/") + ".py": text.encode() for name, text in files.items()}
    code = read_code(members, *modules)
    return code, missing(code, members)


def test_imports_are_followed_through_the_archive_and_only_what_nobody_has_is_missing():
    code, absent = read(
        "handler",
        handler="import json, numpy\nfrom net import Net\nfrom lib.deep import thing\n",
        net="import absent_one\n",
        lib____init__="",
        lib__deep="from . import other\nfrom .other import y\nimport absent_two.part\n",
        lib__other="import absent_three\n",
        unreached="import absent_four\n",
    )
    assert set(absent) == {"absent_one", "absent_two", "absent_three"}
    assert absent["absent_two"] == "lib/deep.py:3"
    assert code.faults == []


def test_an_import_that_the_code_can_do_without_is_not_missing():
    text = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import absent_for_types
try:
    import absent_but_caught
except ImportError:
    absent_but_caught = None
try:
    import absent_and_not_caught
except ValueError:
    pass
def later():
    import absent_later
"""
    assert set(read("handler", handler=text)[1]) == {"absent_and_not_caught", "absent_later"}


def test_torchserves_own_handlers_are_followed_too():
    code, absent = read("handler", handler="from ts.torch_handler.vision_handler import VisionHandler\n")
    assert code.imports["torch"].startswith("TorchServe's ts/torch_handler/")
    assert "captum" in absent
    assert "ts" not in absent


def test_what_this_python_can_not_parse_is_named_with_its_line():
    code, _ = read("handler", handler="x = 1\nprint 'old'\n")
    [fault] = code.faults
    assert fault.startswith("handler.py:2: ")


def test_metrics_are_known_by_the_names_that_stand_in_the_code():
    text = """
def handle(data, context):
    context.metrics.add_counter("Seen", 1)
    self.metrics.add_metric(name="Deep", value=2)
    context.metrics.add_time(variable, 3)
    other.add("Nothing")
"""
    assert set(read("handler", handler=text)[0].metrics) == {"Seen", "Deep"}

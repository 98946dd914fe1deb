"""The written definition says where each value was read, and is TOML whatever the values are."""

import tomllib

from onnxserve_export.importing.outline import Fact, Outline
from onnxserve_export.importing.toml_text import toml_text


def test_fields_stand_in_their_sections_with_where_they_were_read():
    outline = Outline("net.onnx", {"name": Fact("net", ""), "input.kind": Fact("tensors", "the graph")})
    outline.add("input.limits.time", 512, "--set")
    outline.add("serve.workers", 2, "config.pbtxt")
    text = toml_text(outline, "net.onnx")
    assert 'kind = "tensors"  # the graph' in text
    document = tomllib.loads(text)
    assert document["input"] == {"kind": "tensors", "limits": {"time": 512}}
    assert document["serve"] == {"workers": 2}


def test_a_comment_never_breaks_the_line_that_it_explains():
    outline = Outline("net.onnx", {"name": Fact("net", "a\nb")})
    assert tomllib.loads(toml_text(outline, "net.onnx"))["name"] == "net"


def test_neither_an_artefact_nor_an_origin_can_add_lines_or_control_characters():
    outline = Outline("net.onnx", {"name": Fact("net", "a\x1b[1m\r b\x00")})
    text = toml_text(outline, "net\nversion = 3\x07.onnx")
    assert tomllib.loads(text) == {"name": "net", "input": {}, "output": {}}

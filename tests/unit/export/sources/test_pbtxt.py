"""Protocol buffers in text, as Triton's configurations are written."""

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.pbtxt import read_message


def test_neighbouring_texts_are_one():
    assert read_message("name: 'a' \"b\" other: 3", "config.pbtxt") == {"name": ["ab"], "other": [3]}


def test_messages_lists_comments_and_either_way_of_writing_are_read():
    text = """
    name: 'net' # a comment
    input [ { name: "x" dims: [ 3, -1 ] }, { name: "y" dims: 3 dims: 4 } ]
    dynamic_batching { max_queue_delay_microseconds: 100; }
    instance_group: < kind: KIND_CPU >
    input { name: "z\\n" }
    share: 0.5 on: true
    """
    message = read_message(text, "config.pbtxt")
    assert message["name"] == ["net"]
    assert [value["name"] for value in message["input"]] == [["x"], ["y"], ["z\n"]]
    assert [value.get("dims") for value in message["input"]] == [[3, -1], [3, 4], None]
    assert message["dynamic_batching"] == [{"max_queue_delay_microseconds": [100]}]
    assert message["instance_group"] == [{"kind": ["KIND_CPU"]}]
    assert (message["share"], message["on"]) == ([0.5], [True])
    assert read_message("", "config.pbtxt") == {}


@pytest.mark.parametrize("text", ["input {", "input [ 1", "name:", "name: %", 'name: "x', 'name: "a\nb"', "a {" * 5000])
def test_a_damaged_text_is_refused_without_a_traceback(text):
    with pytest.raises(DefinitionError):
        read_message(text, "config.pbtxt")

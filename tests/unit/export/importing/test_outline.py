"""The outline of a definition: answers win, and all that is missing is asked for at once."""

import pytest

from onnxserve.errors import DefinitionError, OnnxserveError, StepFailed
from onnxserve_export.importing.outline import Fact, Outline


def test_what_the_user_answered_is_never_replaced():
    outline = Outline("net.onnx", {"input.kind": Fact("table", "--kind")})
    outline.add("input.kind", "tensors", "the graph")
    assert outline.get("input.kind") == "table"


def test_everything_that_is_missing_is_asked_for_with_its_option():
    facts = {"input.kind": Fact("image", "--kind"), "output.task": Fact("classification", "--task")}
    outline = Outline("net.onnx", facts)
    outline.ask("input.mean", "only the maker knows it")
    with pytest.raises(DefinitionError) as caught:
        outline.check()
    text = str(caught.value)
    for field in ("input.mean: only the maker knows it", "input.height", "input.width", "output.labels"):
        assert field in text
    assert "--set input.mean=VALUE" in caught.value.fix
    assert "--labels A,B" in caught.value.fix
    assert caught.value.where == "net.onnx"


def test_without_a_kind_and_a_task_both_are_asked_for():
    with pytest.raises(DefinitionError, match="2 values can't be read") as caught:
        Outline("net.onnx", {}).check()
    assert "--kind, one of text, image" in caught.value.fix


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("input.kind", "picture", "input.kind = 'picture' is unknown"),
        ("output.task", "guess", "output.task = 'guess' is unknown"),
        ("input.colour", 3, r"\[input\] has no field colour where it is 'table'"),
    ],
)
def test_an_unknown_kind_task_or_option_is_refused_with_what_there_is(field, value, message):
    answers = {"input.kind": Fact("table", ""), "output.task": Fact("raw", ""), field: Fact(value, "--set")}
    with pytest.raises(OnnxserveError, match=message):
        Outline("net.onnx", answers).check()


def test_an_unknown_option_and_what_is_missing_are_said_at_once():
    answers = {"input.kind": Fact("table", ""), "output.task": Fact("raw", ""), "input.colour": Fact(3, "--set")}
    with pytest.raises(StepFailed, match="2 things are wrong") as caught:
        Outline("net.onnx", answers).check()
    assert "no field colour" in str(caught.value)
    assert "input.columns" in str(caught.value)

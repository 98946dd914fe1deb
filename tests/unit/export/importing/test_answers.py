"""Options of an import become fields of the definition."""

import pytest

from onnxserve.errors import DefinitionError, StepFailed
from onnxserve_export.faults import FaultList
from onnxserve_export.importing.answers import names_of, read_answers, tensor_of, value_of
from onnxserve_export.importing.options import ImportOptions


def answers_of(options):
    """The answers, or the faults as the user sees them."""
    faults = FaultList()
    answers = read_answers(options, faults)
    faults.check()
    return answers


def test_options_and_fields_are_answers_by_dotted_path():
    options = ImportOptions(kind="text", labels="ham, spam", fields=("input.max_tokens=256", "output.activation=none"))
    answers = answers_of(options)
    assert {field: fact.value for field, fact in answers.items()} == {
        "input.kind": "text",
        "output.labels": ["ham", "spam"],
        "input.max_tokens": 256,
        "output.activation": "none",
    }
    assert answers["input.kind"].origin == "--kind"


def test_names_may_be_the_lines_of_a_file(tmp_path):
    (tmp_path / "labels.txt").write_text("a, or b\n\nc\n")
    assert names_of(str(tmp_path / "labels.txt"), "--labels") == ["a, or b", "c"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("[0.5, 1]", [0.5, 1]), ("true", True), ("crop", "crop"), ("2024-01-01", "2024-01-01"), ('"1"', "1")],
)
def test_a_value_is_toml_or_else_a_text(text, value):
    assert value_of(text) == value


def test_a_tensor_is_a_name_a_type_and_sizes_of_which_names_are_free():
    assert tensor_of("frames=float32[time, 80]") == {"name": "frames", "dtype": "float32", "shape": ["time", 80]}
    assert tensor_of("age=int64[]")["shape"] == []
    with pytest.raises(DefinitionError, match="no tensor"):
        tensor_of("frames:float32")


def test_a_field_without_a_value_is_refused():
    with pytest.raises(DefinitionError, match=r"--set max tokens: no field of model\.toml"):
        answers_of(ImportOptions(fields=("max tokens",)))


def test_hundreds_of_names_are_no_path():
    assert len(names_of(",".join(f"label {number}" for number in range(1000)), "--labels")) == 1000


def test_a_file_of_names_may_begin_with_a_mark_of_its_encoding_and_is_utf8(tmp_path):
    (tmp_path / "labels.txt").write_bytes("ä\nb\n".encode("utf-8-sig"))
    assert names_of(str(tmp_path / "labels.txt"), "--labels") == ["ä", "b"]
    (tmp_path / "labels.txt").write_bytes("ä\n".encode("latin-1"))
    with pytest.raises(DefinitionError, match="isn't UTF-8"):
        names_of(str(tmp_path / "labels.txt"), "--labels")


def test_a_free_axis_may_begin_with_a_digit():
    assert answers_of(ImportOptions(fields=("input.limits.2d=5",)))["input.limits.2d"].value == 5


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        (('rows={location="a.csv", input=["x"]}',), {"rows.location": "a.csv", "rows.input": ["x"]}),
        (("rows=a.csv", 'rows.input=["x"]'), {"rows.location": "a.csv", "rows.input": ["x"]}),
        (("input.limits={time = 3}",), {"input.limits": {"time": 3}}),
    ],
)
def test_a_section_is_the_same_as_its_fields(fields, answers):
    assert {field: fact.value for field, fact in answers_of(ImportOptions(fields=fields)).items()} == answers


@pytest.mark.parametrize("name", ["labels.txt", "lists/imagenet.names", "Labels of all.CSV"])
def test_a_file_of_names_that_is_not_there_is_no_name(name):
    with pytest.raises(DefinitionError, match=f"--labels: there is no file {name}"):
        names_of(name, "--labels")
    assert names_of("lists/labels,labels.txt", "--labels") == ["lists/labels", "labels.txt"]


def test_a_file_of_names_in_json_is_refused_with_what_is_read(tmp_path):
    (tmp_path / "names.json").write_text('{"0": "cat"}')
    with pytest.raises(DefinitionError, match="JSON") as refusal:
        names_of(str(tmp_path / "names.json"), "--labels")
    assert "a name on each line" in refusal.value.fix


def test_every_option_that_cannot_be_read_is_said_at_once():
    options = ImportOptions("picture", "guess", "nowhere.txt", tensors=("frames:float32",), fields=("max tokens",))
    with pytest.raises(StepFailed, match="5 things are wrong") as refusal:
        answers_of(options)
    for part in ("nowhere.txt", "frames:float32", "max tokens", "'picture' is unknown", "'guess' is unknown"):
        assert part in str(refusal.value)

"""What an import asks for: fields that only a model's maker knows, and files that rows of a kind need."""

import re
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from onnxserve.errors import DefinitionError, StepFailed
from onnxserve_export.importing import ImportOptions, import_model
from tests.helpers.artefacts import CONFIG, write_linear, write_pretrained, write_triton

LINEAR = "import torch\n\n\ndef build():\n    return torch.nn.Linear(3, 2)\n"

TOKENS = """import torch


class Words(torch.nn.Module):
    def forward(self, input_ids):
        return input_ids.float()


def build():
    return Words()
"""


def document(source: object, tmp_path, **options):
    imported = import_model(str(source), "net", tmp_path / "models", ImportOptions(**options))
    return tomllib.loads((imported.folder / "model.toml").read_text())


@pytest.mark.parametrize("layout", ["separate", "table"])
def test_a_detector_is_asked_for_the_number_of_its_first_label(tmp_path, layout):
    write_linear(tmp_path / "net.onnx")
    options = ImportOptions("tensors", "detection", "cat,dog", fields=(f"output.layout={layout}",))
    with pytest.raises(DefinitionError, match=r"output\.first_label: 1 if .* is the background") as refusal:
        import_model(str(tmp_path / "net.onnx"), "net", tmp_path / "models", options)
    assert "--set output.first_label=VALUE" in refusal.value.fix
    answered = replace(options, fields=(*options.fields, "output.first_label=1"))
    imported = import_model(str(tmp_path / "net.onnx"), "net", tmp_path / "models", answered)
    assert tomllib.loads((imported.folder / "model.toml").read_text())["output"]["first_label"] == 1


def test_a_detector_whose_outputs_have_each_label_is_asked_for_no_number(tmp_path):
    write_linear(tmp_path / "net.onnx")
    options = ImportOptions("tensors", "detection", "cat,dog", fields=("output.layout=anchors",))
    imported = import_model(str(tmp_path / "net.onnx"), "net", tmp_path / "models", options)
    assert "first_label" not in (imported.folder / "model.toml").read_text()


def test_the_rate_of_sounds_is_asked_for_since_another_gives_other_answers_without_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").write_text(LINEAR)
    with pytest.raises(DefinitionError, match="the rate that the model was trained at") as refusal:
        document("network.py:build", tmp_path, kind="audio", task="raw")
    assert "--set input.sample_rate=VALUE" in refusal.value.fix
    written = document("network.py:build", tmp_path, kind="audio", task="raw", fields=("input.sample_rate=8000",))
    assert written["input"] == {"kind": "audio", "sample_rate": 8000}


def test_a_tokenizer_beside_a_functions_file_is_copied_for_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").write_text(LINEAR)
    (tmp_path / "tokenizer.json").write_text("{}")
    document("network.py:build", tmp_path, kind="text", task="raw", fields=("input.max_tokens=8",))
    assert (tmp_path / "models" / "net" / "tokenizer.json").read_text() == "{}"


def test_a_function_that_takes_tokens_is_asked_for_all_that_texts_need_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").write_text(TOKENS)
    with pytest.raises(DefinitionError, match="2 values can't be read") as refusal:
        document("network.py:build", tmp_path)
    assert "--file PATH/tokenizer.json" in refusal.value.fix
    assert "--set input.max_tokens=VALUE" in refusal.value.fix
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "tokenizer.json").write_text("{}")
    answers = {"files": (tmp_path / "words" / "tokenizer.json",), "fields": ("input.max_tokens=8",)}
    assert document("network.py:build", tmp_path, **answers)["input"] == {"kind": "text", "max_tokens": 8}


def test_tokens_are_taken_as_numbers_where_their_type_or_the_kind_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").write_text(TOKENS)
    with pytest.raises(DefinitionError, match=r"input\.tensors: torch states neither types nor sizes"):
        document("network.py:build", tmp_path, kind="tensors")
    assert document("network.py:build", tmp_path, tensors=("input_ids=int64[8]",))["input"]["kind"] == "tensors"


@pytest.mark.parametrize("source", ["network.py:build", "network:build", "net.onnx", "repository"])
def test_all_that_texts_need_is_asked_for_at_once_whatever_the_source(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "network", sys)  # so that it is forgotten: other tests have others of this name
    del sys.modules["network"]
    (tmp_path / "network.py").write_text(LINEAR)
    write_linear(tmp_path / "net.onnx")
    write_triton(tmp_path / "repository")
    with pytest.raises(DefinitionError, match="2 values can't be read") as refusal:
        document(source, tmp_path, kind="text", task="raw")
    assert set(re.findall(r"^  \d\. ([\w.]+): ", refusal.value.what, re.MULTILINE)) == {
        "tokenizer.json",
        "input.max_tokens",
    }
    assert "--file PATH/tokenizer.json" in refusal.value.fix
    assert not (tmp_path / "models").exists()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "tokenizer.json").write_text("{}")
    options = {"files": (Path("elsewhere/tokenizer.json"),), "fields": ("input.max_tokens=8",)}
    assert document(source, tmp_path, task="raw", **options)["input"] == {"kind": "text", "max_tokens": 8}
    assert (tmp_path / "models" / "net" / "tokenizer.json").read_text() == "{}"


def test_a_triton_model_of_pictures_is_asked_what_pixels_become(tmp_path):
    with pytest.raises(DefinitionError, match="4 values can't be read") as refusal:
        document(write_triton(tmp_path / "repository"), tmp_path, kind="image", task="raw")
    for field in ("height", "width", "mean", "std"):
        assert f"--set input.{field}=VALUE" in refusal.value.fix
    config = CONFIG.replace("dims: [ 3 ]", "dims: [ 3, 8, 16 ]")
    sized = document(
        write_triton(tmp_path / "sized", config),
        tmp_path,
        kind="image",
        task="raw",
        fields=("input.mean=0", "input.std=1"),
    )
    assert [sized["input"][field] for field in ("channels", "height", "width")] == [3, 8, 16]


@pytest.mark.parametrize(("name", "message"), [("vocab.txt", "no kind of input reads"), ("tokenizer.json", "no file")])
def test_a_file_that_no_kind_reads_or_that_is_not_there_is_refused(tmp_path, name, message):
    source = write_linear(tmp_path / "net.onnx")
    with pytest.raises(DefinitionError, match=message) as refusal:
        document(source, tmp_path, files=(tmp_path / "nowhere" / name,))
    assert refusal.value.where == f"--file {tmp_path / 'nowhere' / name}"


def test_columns_of_rows_that_fit_nothing_are_told_beside_what_is_missing_and_nothing_is_written(tmp_path):
    (tmp_path / "rows.csv").write_text("review,stars\ngood,5\n")
    (tmp_path / "tokenizer.json").write_text("{}")
    source, rows = write_linear(tmp_path / "net.onnx"), str(tmp_path / "rows.csv")
    with pytest.raises(StepFailed, match="2 things are wrong") as refusal:
        document(source, tmp_path, kind="text", task="raw", rows=rows)
    text = str(refusal.value)
    assert "several columns may be the input: review, stars" in text
    assert """--set 'rows.input=["review"]' --set 'rows.label="stars"' of an import""" in text
    assert "--set input.max_tokens=VALUE" in text
    assert not (tmp_path / "models").exists()
    fields = ("input.max_tokens=8", 'rows.input=["review"]', 'rows.label="stars"')
    assert document(source, tmp_path, kind="text", task="raw", rows=rows, fields=fields)["rows"]["label"] == "stars"


@pytest.mark.parametrize(
    ("content", "task", "fields", "lines"),
    [
        ("a,bought,b\n1,yes,2\n", "classification", (), 2),
        ("a,bought,b\n1,yes,2\n", "classification", ('rows.label="bought"',), 0),
        ("a,bought,b,label\n1,2,3,yes\n", "classification", (), 0),
        ("a,b\n1,2\n", "classification", (), 0),
        ("a,bought,b\n1,yes,2\n", "raw", (), 0),
    ],
)
def test_a_column_that_may_be_the_label_and_that_nothing_reads_is_named(tmp_path, content, task, fields, lines):
    (tmp_path / "rows.csv").write_text(content)
    labels = "no,yes" if task == "classification" else ""
    spoken = list[str]()
    source, rows = write_linear(tmp_path / "net.onnx"), str(tmp_path / "rows.csv")
    options = ImportOptions(columns="a,b", task=task, labels=labels, rows=rows, fields=fields)
    import_model(str(source), "net", tmp_path / "models", options, spoken.append)
    assert len([line for line in spoken if "bought" in line]) == lines
    assert lines == 0 or """--set 'rows.label="bought"'""" in spoken[-1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", "a,c\n1,2\n", "missing columns: b"),
        ("rows.xlsx", "PK", "unknown kind of file"),
        ("rows.jsonl", "[1, 2]\n", "the first row isn't an object"),
    ],
)
def test_rows_that_an_export_would_refuse_by_their_columns_are_refused_at_once(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    source = write_linear(tmp_path / "net.onnx")
    with pytest.raises(DefinitionError, match=message):
        document(source, tmp_path, columns="a,b", rows=str(tmp_path / name))
    assert not (tmp_path / "models").exists()


@pytest.fixture
def untrusted(tmp_path) -> dict[str, Path]:
    """Files that run code as they are read: of torch modules and of a fitted model."""
    module = torch.nn.Linear(3, 2)
    torch.save(module, tmp_path / "net.pt")
    rows = {"input": {0: torch.export.Dim("rows")}}
    program = torch.export.export(module, (torch.zeros(2, 3),), dynamic_shapes=rows)
    torch.export.save(program, tmp_path / "net.pt2")
    (tmp_path / "net.joblib").write_bytes(b"")
    return {path.suffix: path for path in tmp_path.glob("net.*")}


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_with_its_trust_a_torch_program_is_asked_for_what_no_such_file_states(untrusted, tmp_path, suffix):
    with pytest.raises(StepFailed, match="2 things are wrong") as refusal:
        document(untrusted[suffix], tmp_path, kind="table", task="classification", fields=("serve.workers=1",))
    for part in ("--trust", "2 values can't be read", "--columns A,B,…", "--labels A,B,…"):
        assert part in str(refusal.value)
    written = document(untrusted[suffix], tmp_path, columns="a,b,c", labels="no,yes", trust=True)
    assert (written["input"]["kind"], written["output"]["task"]) == ("table", "classification")


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".joblib"])
def test_what_a_file_may_state_itself_is_not_asked_for_before_it_is_trusted(untrusted, tmp_path, suffix):
    kind = "table" if suffix == ".joblib" else "tensors"
    with pytest.raises(DefinitionError) as refusal:
        document(untrusted[suffix], tmp_path, kind=kind)
    assert refusal.value.where == str(untrusted[suffix])
    assert "can't be read" not in refusal.value.what
    with pytest.raises(StepFailed, match=r"\[input\] has no field colour"):
        document(untrusted[suffix], tmp_path, kind=kind, fields=("input.colour=1",))


def test_pickled_weights_of_transformers_are_refused_before_anything_is_written(tmp_path):
    folder = write_pretrained(tmp_path / "bert", {"architectures": ["BertForSequenceClassification"]}, tokenizer={})
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(StepFailed, match=r"pytorch_model\.bin is a pickle") as refusal:
        document(folder, tmp_path)
    assert "--trust" in str(refusal.value)
    assert "--set input.max_tokens=VALUE" in str(refusal.value)
    assert not (tmp_path / "models").exists()

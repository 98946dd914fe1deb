"""From an artefact to a model folder: what is written, and that nothing stays of an import that fails."""

import json
import shutil
import tomllib
import warnings

import onnx
import pytest
import torch

from onnxserve.errors import ArchiveError, DefinitionError, OnnxserveError
from onnxserve.migrate.convert import Converted
from onnxserve_export.importing import ImportOptions, import_model, torchserve_archive, wanted_rows
from tests.helpers.artefacts import linear_graph, sequence_graph, write_linear, write_triton
from tests.helpers.stock import MANIFEST, doubler_members, write_zip
from tests.helpers.stock import document as stock_document

LINEAR = "import torch\n\n\ndef build():\n    return torch.nn.Linear(3, 2)\n"


def document(source: object, tmp_path, **options):
    imported = import_model(str(source), "net", tmp_path / "models", ImportOptions(**options))
    return tomllib.loads((imported.folder / "model.toml").read_text())


def test_a_ready_graph_needs_no_answers_and_one_file(tmp_path):
    source = write_linear(tmp_path / "net.onnx")
    written = document(source, tmp_path)
    assert written["source"] == str(source)
    assert written["input"] == {"kind": "tensors", "tensors": [{"name": "x", "dtype": "float32", "shape": [3]}]}
    assert written["output"] == {"task": "raw"}
    assert [path.name for path in (tmp_path / "models" / "net").iterdir()] == ["model.toml"]


def test_labels_and_columns_make_a_graph_a_classifier_of_tables(tmp_path):
    written = document(write_linear(tmp_path / "net.onnx"), tmp_path, columns="a,b,c", labels="low,high")
    assert written["input"] == {"kind": "table", "columns": ["a", "b", "c"]}
    assert written["output"] == {"task": "classification", "labels": ["low", "high"]}


def test_the_limit_of_a_free_axis_is_asked_for_and_taken(tmp_path):
    onnx.save(sequence_graph(), tmp_path / "net.onnx")
    with pytest.raises(DefinitionError, match=r"input\.limits\.time: the largest size of the free axis"):
        document(tmp_path / "net.onnx", tmp_path)
    assert not (tmp_path / "models" / "net").exists()
    written = document(tmp_path / "net.onnx", tmp_path, fields=("input.limits.time=40",))
    assert written["input"]["limits"] == {"time": 40}


def test_torchscript_is_asked_for_the_types_and_sizes_that_it_does_not_state(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), str(tmp_path / "net.pt"))
    with pytest.raises(DefinitionError, match=r"input\.tensors: torch states neither types nor sizes of inputs"):
        document(tmp_path / "net.pt", tmp_path)
    written = document(tmp_path / "net.pt", tmp_path, tensors=("input=float32[3]",))
    assert written["input"]["tensors"] == [{"name": "input", "dtype": "float32", "shape": [3]}]


def test_an_exported_program_states_its_inputs(tmp_path):
    program = torch.export.export(
        torch.nn.Linear(3, 2), (torch.zeros(2, 3),), dynamic_shapes=({0: torch.export.Dim.AUTO},)
    )
    torch.export.save(program, tmp_path / "net.pt2")
    assert document(tmp_path / "net.pt2", tmp_path, trust=True)["input"]["tensors"][0]["shape"] == [3]


def test_a_function_of_a_file_is_copied_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").write_text(LINEAR)
    written = document("network.py:build", tmp_path, tensors=("input=float32[3]",))
    assert written["source"] == "network.py:build"
    assert (tmp_path / "models" / "net" / "network.py").read_text() == LINEAR


def test_a_tokenizer_beside_a_functions_file_is_copied_for_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").write_text(LINEAR)
    (tmp_path / "tokenizer.json").write_text("{}")
    document("network.py:build", tmp_path, kind="text", task="raw", fields=("input.max_tokens=8",))
    assert (tmp_path / "models" / "net" / "tokenizer.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def build():\n    raise KeyError('weights')\n", "raises KeyError: 'weights'"),
        ("import no_such_module_of_mine\n", "raises ModuleNotFoundError"),
        ("def build(path): ...\n", "wants \\['path'\\]"),
    ],
)
def test_a_function_that_fails_is_told_without_a_traceback(tmp_path, monkeypatch, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").write_text(code)
    with pytest.raises(DefinitionError, match=message):
        document("network.py:build", tmp_path, tensors=("input=float32[3]",))


def test_a_triton_repository_is_named_by_the_file_of_its_highest_version(tmp_path):
    written = document(write_triton(tmp_path / "repository"), tmp_path)
    assert written["source"].endswith("repository/linear/2/model.onnx")
    assert written["serve"] == {"batch_size": 8, "max_batch_delay_ms": 2, "workers": 2}


def test_an_archive_of_torchserve_that_has_code_is_refused_with_what_it_has(tmp_path):
    with pytest.raises(ArchiveError, match="code of its own"):
        document(write_zip(tmp_path / "net.mar", doubler_members()), tmp_path)


def test_code_of_an_archive_of_torchserve_needs_trust(tmp_path):
    manifest = stock_document("net", "base_handler", serializedFile="net.pth", modelFile="network.py")
    members = {"network.py": b"class Net: ...\n", "net.pth": b"", MANIFEST: json.dumps(manifest).encode()}
    (tmp_path / "row.json").write_text("[1.0]")
    archive = write_zip(tmp_path / "net.mar", members)
    with pytest.raises(DefinitionError, match=r"network\.py of the archive is code, which an export runs") as caught:
        document(archive, tmp_path, row=tmp_path / "row.json")
    assert caught.value.fix.startswith("--trust")
    assert not (tmp_path / "models").exists()
    assert document(archive, tmp_path, row=tmp_path / "row.json", trust=True)["source"] == "model.py:load"


def test_an_archive_of_torchserve_takes_rows_for_its_proof_and_a_version(tmp_path, monkeypatch):
    manifest = stock_document("old", "base_handler", serializedFile="net.onnx", modelVersion="2.9")
    members = {"net.onnx": linear_graph().SerializeToString(), MANIFEST: json.dumps(manifest).encode()}
    (tmp_path / "row.json").write_text("[1.0, 2.0, 3.0]")
    (tmp_path / "rows.jsonl").write_text('{"input": [1, 2, 3]}')
    archive, row = write_zip(tmp_path / "old.mar", members), tmp_path / "row.json"
    monkeypatch.chdir(tmp_path)
    assert document(archive, tmp_path, row=row)["version"] == "2.10"
    shutil.rmtree(tmp_path / "models")
    written = document(archive, tmp_path, row=row, rows="rows.jsonl", version="3.0")
    assert (written["rows"], written["version"]) == ("../../rows.jsonl", "3.0")
    with pytest.raises(DefinitionError, match=r"there is no none\.jsonl"):
        import_model(str(archive), "other", tmp_path / "models", ImportOptions(row=row, rows="none.jsonl"))
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["net"]


def test_options_that_an_artefact_does_not_need_are_refused_rather_than_ignored(tmp_path):
    archive = write_zip(tmp_path / "net.mar", doubler_members())
    with pytest.raises(DefinitionError, match="--task, --set: the archive of TorchServe says it already"):
        document(archive, tmp_path, task="raw", fields=("serve.workers=2",))
    with pytest.raises(DefinitionError, match="--row is for archives of TorchServe"):
        document(write_linear(tmp_path / "net.onnx"), tmp_path, row=archive)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("../net", {}, "is no model name"),
        ("net", {"fields": ("quantise.variant=3",)}, "unknown field"),
        ("net", {"rows": "nowhere.csv"}, "there is no nowhere.csv"),
        ("net", {"task": "classification"}, r"output\.labels"),
    ],
)
def test_nothing_stays_of_an_import_that_fails(tmp_path, name, options, message):
    source = write_linear(tmp_path / "net.onnx")
    with pytest.raises(OnnxserveError, match=message):
        import_model(str(source), name, tmp_path / "models", ImportOptions(**options))
    assert not list(tmp_path.glob("models/*"))


def test_nothing_stays_of_an_archive_that_cannot_be_written_whole(tmp_path, monkeypatch):
    def half(stock, models, *_):
        (models / stock.name).mkdir(parents=True)
        (models / stock.name / "model.toml").write_text("name = 3")
        return Converted(models / stock.name, "1")

    monkeypatch.setattr(torchserve_archive, "convert", half)
    with pytest.raises(OnnxserveError):
        document(write_zip(tmp_path / "net.mar", doubler_members()), tmp_path)
    assert not list(tmp_path.glob("models/*"))
    assert not list(tmp_path.glob("models/.*"))


def test_a_model_that_exists_is_never_written_over(tmp_path):
    source = write_linear(tmp_path / "net.onnx")
    document(source, tmp_path)
    with pytest.raises(DefinitionError, match="a model with this name exists"):
        document(source, tmp_path)


def test_a_folder_of_several_models_is_asked_which(tmp_path):
    (tmp_path / "both").mkdir()
    write_linear(tmp_path / "both" / "a.onnx")
    write_linear(tmp_path / "both" / "b.onnx")
    with pytest.raises(DefinitionError, match=r"its models are: a\.onnx, b\.onnx"):
        document(tmp_path / "both", tmp_path)


def test_how_many_rows_would_do_follows_the_budget(tmp_path):
    imported = import_model(str(write_linear(tmp_path / "net.onnx")), "net", tmp_path / "models", ImportOptions())
    assert wanted_rows(imported.definition) > 100

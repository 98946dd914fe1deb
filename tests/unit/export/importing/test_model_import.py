"""From an artefact to a model folder: what is written, and that nothing stays of an import that fails."""

import json
import tomllib
import warnings

import onnx
import pytest
import torch

from onnxserve.errors import ArchiveError, DefinitionError, OnnxserveError, StepFailed
from onnxserve_export.importing import ImportOptions, import_model, wanted_rows
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


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def build():\n    raise KeyError('weights')\n", "raises KeyError: 'weights'"),
        ("import no_such_module_of_mine\n", "raises ModuleNotFoundError"),
        ("def build(path): ...\n", "wants path, which is not offered"),
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


def test_an_archive_with_code_around_its_model_is_told_that_at_once_with_what_serves_it_as_it_is(tmp_path):
    manifest = stock_document("net", "own.py", serializedFile="net.pth", modelFile="network.py")
    members = {"own.py": b"class Own: ...\n", "network.py": b"class Net: ...\n", "net.pth": b""}
    archive = write_zip(tmp_path / "my net.mar", members | {MANIFEST: json.dumps(manifest).encode()})
    with pytest.raises(StepFailed, match="2 things are wrong") as refusal:
        document(archive, tmp_path)
    for part in ("--trust", "code of its own", f"onnxserve migrate '{archive}'"):
        assert part in str(refusal.value)


def test_an_example_for_an_archive_is_refused_for_other_artefacts(tmp_path):
    source = write_linear(tmp_path / "net.onnx")
    with pytest.raises(DefinitionError, match="--row is for archives of TorchServe"):
        document(source, tmp_path, row=source)


def stock_archive(tmp_path, handler: str, **members: bytes):
    """An archive of TorchServe with a graph of one layer."""
    manifest = stock_document("old", handler, serializedFile="net.onnx", modelVersion="2.9")
    content = {"net.onnx": linear_graph().SerializeToString(), MANIFEST: json.dumps(manifest).encode()}
    return write_zip(
        tmp_path / "old.mar", content | {name.replace("_py", ".py"): code for name, code in members.items()}
    )


def test_answers_are_taken_beside_what_an_archive_of_torchserve_says(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,c\n1,2,3\n")
    archive = stock_archive(tmp_path, "base_handler")
    options = {"columns": "a,b,c", "labels": "low,high", "version": "3.0", "fields": ("serve.workers=2",)}
    tensor = ("x=float32[3]",)
    written = document(archive, tmp_path, **options, row=_row(tmp_path), rows=str(tmp_path / "rows.csv"))
    assert written["input"] == {"kind": "table", "columns": ["a", "b", "c"]}
    assert written["output"] == {"task": "classification", "labels": ["low", "high"]}
    assert (written["version"], written["serve"], written["source"]) == ("3.0", {"workers": 2}, "model.onnx")
    assert "quantise" not in written  # with rows, 8 bits may compete
    plain = import_model(str(archive), "plain", tmp_path / "models", ImportOptions(tensors=tensor)).definition
    assert (plain.version, plain.quantise.variants) == ("2.10", ("fp32",))
    assert (tmp_path / "models" / "plain" / "golden.jsonl").read_text() == '{"input":[0.0,0.0,0.0]}\n'


def _row(tmp_path):
    (tmp_path / "row.json").write_text("[1.0, 2.0, 3.0]")
    return tmp_path / "row.json"


def test_the_model_of_an_archive_with_a_handler_of_its_own_is_taken_where_the_user_describes_it(tmp_path):
    archive = stock_archive(tmp_path, "own.py", own_py=b"class Own: ...\n")
    with pytest.raises(ArchiveError, match="code of its own") as caught:
        document(archive, tmp_path)
    assert "--kind and --task" in caught.value.fix
    written = document(archive, tmp_path, columns="a,b,c", labels="low,high")
    assert written["input"]["kind"] == "table"
    assert not (tmp_path / "models" / "net" / "golden.jsonl").exists()


@pytest.mark.parametrize("names", [{"index_to_name.json": b'{"1": "cat", "2": "dog"}'}, {}])
def test_labels_of_the_users_own_stand_for_a_classifiers_that_number_no_output(tmp_path, names):
    archive = stock_archive(tmp_path, "image_classifier", **names)
    with pytest.raises(ArchiveError, match=r"index_to_name\.json") as refusal:
        document(archive, tmp_path)
    assert refusal.value.fix == "give --labels A,B,… in the order of the model's outputs"
    assert document(archive, tmp_path, labels="cat,dog")["output"]["labels"] == ["cat", "dog"]


def test_an_option_that_the_kind_of_an_archive_lacks_is_refused_by_name(tmp_path):
    archive = stock_archive(tmp_path, "image_classifier", **{"index_to_name.json": b'{"0": "cat", "1": "dog"}'})
    with pytest.raises(DefinitionError, match=r"\[input\] has no field tensors where it is 'image'"):
        document(archive, tmp_path, tensors=("x=float32[3]",))
    written = document(archive, tmp_path, labels="katze,hund", fields=("input.interpolation=bicubic",))
    assert (written["output"]["labels"], written["input"]["interpolation"]) == (["katze", "hund"], "bicubic")
    assert written["input"]["shorter_side"] == 256


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("../net", {}, "isn't a valid model name"),
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


def test_nothing_stays_of_an_archive_that_cannot_be_written_whole(tmp_path):
    with pytest.raises(OnnxserveError, match="unknown field"):
        document(stock_archive(tmp_path, "base_handler"), tmp_path, row=_row(tmp_path), fields=("serve.worker=2",))
    assert not list(tmp_path.glob("models/*"))


def test_rows_and_what_their_columns_are_stand_in_one_section(tmp_path):
    (tmp_path / "rows.csv").write_text("first,second,kind\n1,2,low\n")
    options = {"rows": str(tmp_path / "rows.csv"), "fields": ('rows.input=["first", "second"]', "rows.label=kind")}
    written = document(write_linear(tmp_path / "net.onnx"), tmp_path, **options)
    location = str(tmp_path / "rows.csv")
    assert written["rows"] == {"location": location, "input": ["first", "second"], "label": "kind"}


def test_a_folder_of_several_models_is_asked_which(tmp_path):
    (tmp_path / "both").mkdir()
    write_linear(tmp_path / "both" / "a.onnx")
    write_linear(tmp_path / "both" / "b.onnx")
    with pytest.raises(DefinitionError, match=r"its models are: a\.onnx, b\.onnx"):
        document(tmp_path / "both", tmp_path)


def test_how_many_rows_would_do_follows_the_budget(tmp_path):
    imported = import_model(str(write_linear(tmp_path / "net.onnx")), "net", tmp_path / "models", ImportOptions())
    assert wanted_rows(imported.definition) > 100


def test_all_that_is_wrong_with_name_options_and_places_is_said_at_once(tmp_path):
    options = ImportOptions(task="guess", labels="nowhere.txt", rows=str(tmp_path / "rows.csv"))
    with pytest.raises(StepFailed, match="5 things are wrong") as refusal:
        import_model(str(tmp_path / "net.onnx"), "my net", tmp_path / "models", options)
    text = str(refusal.value)
    for part in ("'my net' isn't a valid model name", "nowhere.txt", "'guess'", "net.onnx", "CSV or JSON-lines file"):
        assert part in text


@pytest.mark.parametrize("rows", ["photos", "rows.py:rows"])
def test_rows_that_are_not_there_are_told_what_rows_may_be(tmp_path, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DefinitionError, match="there is no") as refusal:
        document(write_linear(tmp_path / "net.onnx"), tmp_path, rows=rows)
    assert refusal.value.fix.startswith("--rows takes the path or URL of a Parquet")


def test_a_place_may_have_spaces_and_other_marks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "my models (1), späte"
    place.mkdir()
    (place / "my net.py").write_text(LINEAR)
    written = document(f"{place.name}/my net.py:build", tmp_path, tensors=("input=float32[3]",))
    assert written["source"] == "my net.py:build"
    assert (tmp_path / "models" / "net" / "my net.py").read_text() == LINEAR

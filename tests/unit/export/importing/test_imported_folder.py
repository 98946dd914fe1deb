"""The folder that an import writes: another import replaces it, unless a person changed something in it."""

import shutil
import tomllib
from pathlib import Path

import pytest

from onnxserve.errors import DefinitionError, OnnxserveError
from onnxserve_export.importing import ImportOptions, import_model
from onnxserve_export.importing.imported_folder import is_as_imported
from tests.helpers.artefacts import write_linear

CODE = "import torch\n\n\ndef build():\n    return torch.nn.Linear(3, 2)\n"


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Import a function with its code; return the model's folder, and what was said."""
    monkeypatch.chdir(tmp_path)
    Path("network.py").write_text(CODE)
    Path("rows.csv").write_text("a,b,c\n1,2,3\n")

    def call(**options):
        lines: list[str] = []
        given = ImportOptions(columns="a,b,c", task="raw", **options)
        folder = import_model("network.py:build", "net", Path("models"), given, lines.append).folder
        return folder, lines

    return call


def test_an_import_replaces_what_an_earlier_one_wrote_and_says_so(imported):
    folder, lines = imported(fields=("serve.workers=2",))
    assert not any("is replaced" in line for line in lines)
    folder, lines = imported(rows="rows.csv")
    assert f"      {folder} is as an earlier import wrote it, and is replaced" in lines
    written = tomllib.loads((folder / "model.toml").read_text())
    assert written["rows"] == "../../rows.csv" or written["rows"] == {"location": "../../rows.csv"}
    assert "serve" not in written
    assert sorted(path.name for path in Path("models").iterdir()) == ["net"]


CHANGES = {
    "a field": lambda folder: _edit(folder / "model.toml"),
    "code": lambda folder: _edit(folder / "network.py"),
    "a new file": lambda folder: _edit(folder / "golden.jsonl"),
    "a file less": lambda folder: (folder / "network.py").unlink(),
    "a link": lambda folder: (folder / "link").symlink_to(folder),
}


def _edit(path):
    path.write_text((path.read_text() if path.exists() else "") + "# mine\n")


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_a_person_changed_stays_and_the_error_says_what_to_write_in_it(imported, change):
    folder, _ = imported()
    CHANGES[change](folder)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(DefinitionError, match="a model with this name exists, and it was changed since its") as refusal:
        imported(rows="rows.csv", trust=True)
    assert 'rows.location = "../../rows.csv"' in refusal.value.fix
    assert "in models/net/model.toml, and run onnxserve export models/net --trust;" in refusal.value.fix
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_folder_that_no_import_wrote_stays(imported):
    Path("models/net").mkdir(parents=True)
    Path("models/net/model.toml").write_text('name = "net"\n')
    with pytest.raises(DefinitionError, match=r"^a model with this name exists\n"):
        imported()
    assert Path("models/net/model.toml").read_text() == 'name = "net"\n'


def test_caches_of_python_are_no_change_and_a_moved_folder_is_as_imported(imported):
    folder, _ = imported()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "network.cpython-311.pyc").write_bytes(b"")
    assert is_as_imported(folder)
    shutil.move(folder, "moved")
    assert is_as_imported(Path("moved"))


def test_an_import_that_fails_leaves_the_earlier_folder_as_it_is(imported):
    folder, _ = imported()
    with pytest.raises(OnnxserveError, match="unknown field"):
        imported(fields=("serve.worker=3",))
    assert is_as_imported(folder)
    assert [path.name for path in Path("models").iterdir()] == ["net"]


def test_a_model_inside_the_folder_is_not_lost_when_it_is_imported_under_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = import_model(str(write_linear(tmp_path / "net.onnx")), "net", Path("models"), ImportOptions()).folder
    shutil.copy("net.onnx", folder / "net.onnx")
    with pytest.raises(DefinitionError, match="a model with this name exists, and it was changed since its import"):
        import_model("models/net/net.onnx", "net", Path("models"), ImportOptions())
    assert (folder / "net.onnx").is_file()

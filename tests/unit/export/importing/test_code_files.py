"""What a function needs beside its file goes into the model's folder with it."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

from onnxserve.errors import DefinitionError
from onnxserve_export.importing import ImportOptions, import_model
from onnxserve_export.importing.code_files import check_size
from onnxserve_export.sources import open_source
from onnxserve_export.user_code import find_function

TINY = {
    "vocab_size": 9,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "num_labels": 2,
}


def test_what_a_function_imports_and_reads_beside_it_is_copied_too(tmp_path, monkeypatch):
    """Neighbours by either form of import, packages, and files that Python or another reader opens."""
    code = tmp_path / "code"
    (code / "parts" / "inner").mkdir(parents=True)
    (code / "weights").mkdir()
    (code / "network.py").write_text(
        "from pathlib import Path\n\nimport torch\nfrom safetensors.torch import load_file\n\n"
        "from layers import Block\n\n\ndef build():\n    from parts.inner import WIDTH\n\n"
        "    here = Path(__file__).parent\n"
        "    assert WIDTH == 3 and len(load_file(here / 'weights' / 'net.safetensors')) == 1\n"
        "    scale = float((here / ('sca' + 'le.txt')).read_text())\n    return Block(scale)\n"
    )
    (code / "layers.py").write_text(
        "import torch\n\n\nclass Block(torch.nn.Module):\n    def __init__(self, scale):\n        super().__init__()\n"
        "        self.scale = scale\n\n    def forward(self, x):\n        return x * self.scale\n"
    )
    (code / "parts" / "__init__.py").write_text("")
    (code / "parts" / "inner" / "__init__.py").write_text("from .size import WIDTH\n")
    (code / "parts" / "inner" / "size.py").write_text("WIDTH = 3\n")
    (code / "scale.txt").write_text("2")
    (code / "unread.txt").write_text("")
    save_file({"w": torch.zeros(1)}, code / "weights" / "net.safetensors")
    monkeypatch.chdir(tmp_path)
    imported = import_model(
        "code/network.py:build", "net", tmp_path / "models", ImportOptions(tensors=("x=float32[3]",))
    )
    files = {path.relative_to(imported.folder).as_posix() for path in imported.folder.rglob("*") if path.is_file()}
    assert files - {"model.toml"} == {
        "network.py",
        "layers.py",
        "parts/__init__.py",
        "parts/inner/__init__.py",
        "parts/inner/size.py",
        "scale.txt",
        "weights/net.safetensors",
    }
    shutil.rmtree(code)
    model = open_source("network.py:build", imported.folder, {})
    assert model.run({"x": np.ones((2, 3), np.float32)})["output_0"].tolist() == [[2.0] * 3] * 2


def test_a_file_that_is_read_from_the_current_folder_is_refused_with_the_path_to_write(tmp_path, monkeypatch):
    (tmp_path / "network.py").write_text(
        "import torch\n\n\ndef build():\n    open('weights.bin', 'rb').close()\n    return torch.nn.Flatten()\n"
    )
    (tmp_path / "weights.bin").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DefinitionError, match=r"opens 'weights\.bin' in the current folder") as caught:
        import_model("network.py:build", "net", tmp_path / "models", ImportOptions(tensors=("x=float32[3]",)))
    assert "Path(__file__).with_name('weights.bin')" in caught.value.fix


@pytest.mark.parametrize("folder", ["bert", "."])
def test_weights_that_from_pretrained_reads_are_copied_with_their_configuration(tmp_path, monkeypatch, folder):
    code = tmp_path / "code"
    BertForSequenceClassification(BertConfig(**TINY)).save_pretrained(code / folder)
    (code / "other.safetensors.bak").write_bytes(b"")
    (code / "network.py").write_text(
        "from pathlib import Path\n\nfrom transformers import AutoModelForSequenceClassification\n\n\n"
        "def build():\n    folder = Path(__file__).parent / 'bert'\n    folder = folder if folder.exists() else "
        "folder.parent\n    return AutoModelForSequenceClassification.from_pretrained(folder)\n"
    )
    monkeypatch.chdir(tmp_path)
    options = ImportOptions(tensors=("input_ids=int64[4]",))
    imported = import_model("code/network.py:build", "net", tmp_path / "models", options)
    written = open_source("network.py:build", imported.folder, {})
    ids = {"input_ids": np.arange(8).reshape(2, 4)}
    expected = open_source("network.py:build", code, {}).run(ids)["logits"]
    assert written.run(ids)["logits"].tolist() == expected.tolist()
    assert not list(imported.folder.rglob("*.bak"))


def test_a_file_that_another_reader_opens_by_a_text_with_its_folder_is_copied_and_told(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    save_file({"w": torch.zeros(1)}, tmp_path / "code" / "net.safetensors")
    (tmp_path / "code" / "network.py").write_text(
        "from pathlib import Path\n\nimport torch\nfrom safetensors.torch import load_file\n\n"
        "HERE = Path(__file__).parent\n\n\ndef build():\n    load_file(f'{HERE}/net.safetensors')\n"
        "    return torch.nn.Flatten()\n"
    )
    monkeypatch.chdir(tmp_path)
    lines: list[str] = []
    options = ImportOptions(tensors=("x=float32[3]",))
    imported = import_model("code/network.py:build", "net", tmp_path / "models", options, lines.append)
    assert (imported.folder / "net.safetensors").is_file()
    assert "      copied, since functions read or name them: net.safetensors, network.py" in lines


@pytest.mark.parametrize(("rows", "written"), [("data/rows.py:rows", "rows.py:rows"), ("net.py:rows", "net.py:rows")])
def test_a_function_of_rows_is_copied_with_the_files_that_it_names(tmp_path, monkeypatch, rows, written):
    for folder in ("code", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "code" / "net.py").write_text(
        "import torch\n\n\ndef build():\n    return torch.nn.Flatten()\n\n\n"
        "def rows():\n    return [([1.0, 2.0, 3.0], None)]\n"
    )
    (tmp_path / "data" / "rows.py").write_text(
        "import json\nfrom pathlib import Path\n\n\ndef rows():\n"
        "    return [(row, None) for row in json.loads(Path(__file__).with_name('examples.json').read_text())]\n"
    )
    (tmp_path / "data" / "examples.json").write_text("[[1, 2, 3]]")
    monkeypatch.chdir(tmp_path)
    options = ImportOptions(tensors=("x=float32[3]",), rows=rows)
    imported = import_model("code/net.py:build", "net", tmp_path / "models", options)
    assert imported.definition.rows.location == written
    shutil.rmtree(tmp_path / "data")
    assert find_function(written, imported.folder)() == [([1, 2, 3], None)]


def test_more_files_than_a_model_folder_should_hold_are_refused_by_the_largest(tmp_path):
    for name, size in (("net.py", 10), ("corpus.bin", 11 * 10**9)):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(size)  # a hole, which takes no space on the disk
    files = {name: tmp_path / name for name in ("net.py", "corpus.bin")}
    with pytest.raises(DefinitionError, match=r"files of 11\.0 GB, more than 10 GB") as refusal:
        check_size(files)
    assert "corpus.bin alone has 11.0 GB" in refusal.value.where
    check_size({"net.py": tmp_path / "net.py", "made.bin": b"x"})


def test_rows_and_model_in_different_files_of_one_name_are_refused(tmp_path, monkeypatch):
    for folder in ("code", "data"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(
            "import torch\n\n\ndef build():\n    return torch.nn.Flatten()\n\n\ndef rows():\n    return []\n"
        )
    monkeypatch.chdir(tmp_path)
    options = ImportOptions(tensors=("x=float32[3]",), rows="data/net.py:rows")
    with pytest.raises(DefinitionError, match=r"need different files of the name net\.py"):
        import_model("code/net.py:build", "net", tmp_path / "models", options)
    assert not (tmp_path / "models").exists()

"""What a function needs beside its file goes into the model's folder with it."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from onnxserve.errors import DefinitionError
from onnxserve_export.importing import ImportOptions, import_model
from onnxserve_export.sources import open_source


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

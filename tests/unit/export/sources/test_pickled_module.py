"""Pickled modules are read only where they are trusted."""

import numpy as np
import pytest
import torch

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import open_source


@pytest.fixture
def linear(tmp_path) -> torch.nn.Linear:
    module = torch.nn.Linear(3, 2)
    torch.save(module, tmp_path / "net.pt")
    return module


def test_a_pickled_module_is_not_read_without_trust(tmp_path, linear):
    with pytest.raises(DefinitionError, match=r"net\.pt is not TorchScript") as caught:
        open_source("net.pt", tmp_path, {})
    assert caught.value.fix.startswith("--trust, if it is a whole module that you pickled yourself")


def test_a_trusted_one_answers_as_the_module_does(tmp_path, linear):
    model = open_source("net.pt", tmp_path, {}, trust=True)
    rows = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model.run({"x": rows})["output_0"], linear(torch.from_numpy(rows)).detach().numpy())


@pytest.mark.parametrize("content", [{"weight": torch.zeros(2)}, None])
def test_a_trusted_file_without_a_module_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(DefinitionError, match="which isn't a module"):
        open_source("net.pt", tmp_path, {}, trust=True)


def test_a_damaged_file_is_refused_without_a_traceback(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"\x80no pickle")
    with pytest.raises(DefinitionError, match=r"net\.pt can't be read"):
        open_source("net.pt", tmp_path, {}, trust=True)

"""TorchScript: its graphs answer as torch.jit does, and a state dict is refused with the remedy."""

import warnings

import pytest
import torch

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import open_source

from .test_exported_program import Net, example, rows
from .test_torch_module import check_graph


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript_is_served_as_torch_jit_answers(net, tmp_path, how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.script(net) if how == "script" else torch.jit.trace(net, example(3))
        torch.jit.save(script, str(tmp_path / "net.pt"))
    model = open_source("net.pt", tmp_path, {})
    assert "8 parameters" in model.summary
    proto = check_graph(model, rows(3), {}, [rows(2), rows(7)], tmp_path)
    assert any("Gemm" in node.name or "MatMul" in node.name for node in proto.graph.node)


def test_a_state_dict_is_no_model_and_the_remedy_says_so(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(DefinitionError, match=r"net\.pt is not TorchScript") as caught:
        open_source("net.pt", tmp_path, {})
    assert "model.py:load" in caught.value.fix


class Named(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        both = self.layer(x + y)
        if both.sum() > 0:  # a branch, which a trace would lose
            both = both * 2
        return {"both": both, "sum": both.sum(1)}


@pytest.mark.parametrize("chosen", [(), ("sum",)])
def test_a_module_that_gives_a_mapping_is_served(tmp_path, chosen):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Named().eval()), str(tmp_path / "net.pt"))
    model = open_source("net.pt", tmp_path, {}, chosen)
    assert list(model.run(rows(2))) == list(chosen or ("both", "sum"))
    check_graph(model, rows(3), {}, [rows(2), rows(7)], tmp_path)

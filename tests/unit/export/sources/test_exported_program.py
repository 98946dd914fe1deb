"""Exported programs: their graphs answer as torch does, and a fixed batch is said with its remedy."""

import numpy as np
import pytest
import torch

from onnxserve.errors import CheckFailed, DefinitionError
from onnxserve_export.sources import open_source
from onnxserve_export.trace import check_ranges

from .test_torch_module import check_graph


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = self.layer(x + y)
        return both, both.sum(1)


def rows(count: int) -> dict[str, np.ndarray]:
    draws = np.random.default_rng(count)
    return {name: draws.normal(size=(count, 3)).astype(np.float32) for name in ("y", "x")}


def example(count: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(rows(count)[name]) for name in ("x", "y"))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def test_an_exported_program_is_served_as_torch_answers(net, tmp_path):
    free = {0: torch.export.Dim.DYNAMIC}
    x, y = example(3)
    program = torch.export.export(net, (x,), {"y": y}, dynamic_shapes={"x": free, "y": free})
    torch.export.save(program, tmp_path / "net.pt2")
    model = open_source("net.pt2", tmp_path, {}, trust=True)
    expected = net(*example(5))
    np.testing.assert_allclose(model.run(rows(5))["output_0"], expected[0].detach(), rtol=1e-6)
    check_graph(model, rows(3), {}, [rows(2), rows(7)], tmp_path)
    assert list(open_source("net.pt2", tmp_path, {}, ["output_1"], trust=True).run(rows(5))) == ["output_1"]


def test_a_program_with_a_fixed_batch_says_how_to_free_it(net, tmp_path):
    torch.export.save(torch.export.export(net, example(3)), tmp_path / "net.pt2")
    model = open_source("net.pt2", tmp_path, {}, trust=True)
    with pytest.raises(DefinitionError, match=r"the exported program refuses x \(4, 3\)") as caught:
        model.run(rows(4))
    assert "dynamic_shapes" in caught.value.fix
    _, ranges = model.graph(rows(3), {})
    with pytest.raises(CheckFailed, match="axis 0 of x holds from 3 to 3 only") as refused:
        check_ranges(ranges, {}, 8, {}, model.free_axis_fix)
    assert "dynamic_shapes" in refused.value.fix


def test_a_damaged_program_is_refused_without_traces_of_torch(tmp_path, caplog):
    (tmp_path / "net.pt2").write_bytes(b"nothing")
    with pytest.raises(DefinitionError, match=r"net\.pt2 can't be read as an exported program"):
        open_source("net.pt2", tmp_path, {}, trust=True)
    assert not caplog.records


def test_a_program_is_not_read_without_trust(net, tmp_path):
    torch.export.save(torch.export.export(net, example(3)), tmp_path / "net.pt2")
    with pytest.raises(
        DefinitionError, match=r"net\.pt2 is an exported program: reading it runs whatever code"
    ) as caught:
        open_source("net.pt2", tmp_path, {})
    assert caught.value.fix.startswith("--trust")


class Part(torch.nn.Module):
    def forward(self, tensors: dict[str, torch.Tensor], count: int) -> torch.Tensor:
        return tensors["x"][:, :count] - tensors["y"][:, :count]


def test_a_program_is_called_with_the_structure_and_the_constants_of_its_export(tmp_path):
    free = {0: torch.export.Dim.DYNAMIC}
    x, y = example(3)
    program = torch.export.export(Part(), ({"x": x, "y": y}, 2), dynamic_shapes=({"x": free, "y": free}, None))
    torch.export.save(program, tmp_path / "net.pt2")
    model = open_source("net.pt2", tmp_path, {}, trust=True)
    names = [spec.name for spec in model.inputs]

    def given(count: int) -> dict[str, np.ndarray]:
        return dict(zip(names, (rows(count)["x"], rows(count)["y"]), strict=True))

    np.testing.assert_allclose(model.run(given(5))["output_0"], (rows(5)["x"] - rows(5)["y"])[:, :2], rtol=1e-6)
    check_graph(model, given(3), {}, [given(2), given(7)], tmp_path)


def test_an_input_without_axes_has_none_for_the_batch(tmp_path):
    class Scaled(torch.nn.Module):
        def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            return x * scale

    free = {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(Scaled(), (example(3)[0], torch.tensor(2.0)), dynamic_shapes=(free, None))
    torch.export.save(program, tmp_path / "net.pt2")
    model = open_source("net.pt2", tmp_path, {}, trust=True)
    with pytest.raises(DefinitionError, match=r"scale has shape \(2,\), \(\) is expected"):
        model.run({"x": rows(2)["x"], "scale": np.ones(2, np.float32)})

"""Torch modules of every form: their graphs answer as they do, and what can't be exported is said with its cause."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch

from onnxserve.errors import CheckFailed, DefinitionError
from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.records import Range
from onnxserve_export.run import run_graph
from onnxserve_export.sources import open_source
from onnxserve_export.sources.source import SourceModel
from onnxserve_export.sources.torch_module import TorchModule
from onnxserve_export.trace import name_unnamed

SEQUENCE: Axes = {"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}}


def tokens(rows: int, length: int) -> Arrays:
    draws = np.random.default_rng(length)
    mask = np.ones((rows, length), np.int64)
    mask[-1, length // 2 :] = 0
    return {"attention_mask": mask, "input_ids": draws.integers(0, 20, (rows, length))}


def check_graph(model: SourceModel, example: Arrays, axes: Axes, others: list[Arrays], folder) -> onnx.ModelProto:
    """The graph of a source answers other batches as the source does, output by output."""
    proto, _ = model.graph(example, axes)
    name_unnamed(proto)
    path = folder / "graph.onnx"
    onnx.save(proto, path)
    for batch, outputs in zip(others, run_graph(path, others), strict=True):
        expected = model.run(batch)
        assert list(outputs) == list(expected)
        for name, array in expected.items():
            assert outputs[name].dtype == array.dtype
            np.testing.assert_allclose(outputs[name], array, rtol=1e-5, atol=1e-6)
    return proto


class Tagger(torch.nn.Module):
    """Tags a token, and one number a row: a mapping with a rank 3 and a rank 1 output."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(20, 4)
        self.head = torch.nn.Linear(4, 3)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, unused: None = None) -> dict[str, Any]:
        hidden = self.embed(input_ids) * attention_mask.unsqueeze(-1)
        return {"logits": self.head(hidden), "states": (hidden,), "count": attention_mask.sum(1), "none": unused}


def test_a_module_with_a_mapping_of_outputs_keeps_their_names_ranks_and_free_axes(tmp_path):
    torch.manual_seed(0)
    model = TorchModule(Tagger(), ["logits", "count"])
    proto = check_graph(model, tokens(3, 5), SEQUENCE, [tokens(1, 9), tokens(4, 2)], tmp_path)
    assert [value.name for value in proto.graph.input] == ["input_ids", "attention_mask"]
    assert [len(value.type.tensor_type.shape.dim) for value in proto.graph.output] == [3, 1]
    assert any(node.name.startswith("head/") for node in proto.graph.node)
    assert model.module(torch.zeros(1, 1).long(), torch.ones(1, 1).long()).keys() >= {"states"}  # it is as it was


class Reversed(torch.nn.Module):
    """Subtracts tensors of integers from numbers, as masks are in modules of transformers."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "left_out": 1.0 - attention_mask,
            "whole": 1 - attention_mask,
            "scaled": torch.rsub(input_ids, 0.5, alpha=3),
            "own": 2.0 - input_ids.float(),
        }


def test_a_number_less_a_tensor_of_integers_has_the_type_that_torch_gives_it(tmp_path):
    model = TorchModule(Reversed(), ["left_out", "whole", "scaled", "own"])
    check_graph(model, tokens(3, 5), SEQUENCE, [tokens(1, 9), tokens(4, 2)], tmp_path)


class Counting(torch.nn.Module):
    """Reads its batch's size as Python does, which only torch's strict trace leaves free, and fills a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.start = torch.nn.Parameter(torch.ones(1, 4))

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        start = self.start.tile([len(features), 1])
        sizes = torch.empty(2, dtype=torch.long)
        sizes[0], sizes[1] = features.shape[1], 3
        limit = torch.where(features > 0, features, torch.tensor(torch.finfo(features.dtype).max))
        return {"other": start, "logits": start * sizes.prod() + limit.clamp(max=5.0)}


class Whole(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = Counting()

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(self.model(features))


def test_a_module_that_asks_for_the_length_of_its_batch_has_a_free_one(tmp_path):
    rows = [{"features": np.random.default_rng(size).normal(size=(size, 4)).astype(np.float32)} for size in (1, 2, 5)]
    model = TorchModule(Whole(), ["logits"])
    check_graph(model, rows[1], {}, rows, tmp_path)
    assert type(model.module) is Whole


class Recurrent(torch.nn.Module):
    def __init__(
        self, kind: type[torch.nn.LSTM | torch.nn.GRU | torch.nn.RNN], *, batch_first: bool = True, **options: Any
    ) -> None:
        super().__init__()
        self.cells = kind(3, 4, batch_first=batch_first, **options)
        self.head = torch.nn.LazyLinear(2)
        self(torch.zeros(1, 1, 3))

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        is_first = self.cells.batch_first
        output, _ = self.cells(series if is_first else series.transpose(0, 1))
        logits: torch.Tensor = self.head(output if is_first else output.transpose(0, 1))
        return logits


def series(rows: int, length: int) -> Arrays:
    return {"series": np.random.default_rng(rows).normal(size=(rows, length, 3)).astype(np.float32)}


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU])
@pytest.mark.parametrize("batch_first", [True, False])
def test_recurrent_modules_of_either_layout_have_a_free_time_axis_however_many_a_process_exports(
    kind, batch_first, tmp_path
):
    torch.manual_seed(0)
    others = [series(1, 2), series(2, 11), series(7, 1)]
    for options in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False}):
        model = TorchModule(Recurrent(kind, batch_first=batch_first, **options))
        proto = check_graph(model, series(3, 5), {"series": {1: "time"}}, others, tmp_path)
        assert any(node.name.startswith("cells/") for node in proto.graph.node)


def test_a_recurrent_module_that_is_written_out_step_by_step_is_refused_by_its_name():
    with pytest.raises(CheckFailed) as caught:
        TorchModule(Recurrent(torch.nn.RNN)).graph(series(3, 5), {"series": {1: "time"}})
    assert "cells (RNN)" in caught.value.fix


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_an_lstm_with_a_projection_is_refused_by_its_name():
    with pytest.raises(CheckFailed, match="cells has a proj_size") as caught:
        TorchModule(Recurrent(torch.nn.LSTM, proj_size=2)).graph(series(3, 5), {"series": {1: "time"}})
    assert "torch.nn.Linear behind it" in caught.value.fix


class Steps(torch.nn.Module):
    """A cell that a loop calls for each time step."""

    def __init__(self, cell: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        state = series.new_zeros(len(series), 4)
        for step in range(series.shape[1]):
            state = self.cell(series[:, step], state) if self.cell else state + series[:, step].sum(1, keepdim=True)
        return state


def test_a_loop_over_time_steps_is_refused_with_its_axis_and_the_name_of_its_cell():
    with pytest.raises(CheckFailed, match="axis 1 of series holds for 5 only") as caught:
        TorchModule(Steps()).graph(series(3, 5), {"series": {1: "time"}})
    assert "a loop over this axis" in caught.value.fix
    with pytest.raises(CheckFailed, match="axis 1 of series holds for 5 only") as caught:
        TorchModule(Steps(torch.nn.GRUCell(3, 4))).graph(series(3, 5), {"series": {1: "time"}})
    assert "cell (GRUCell)" in caught.value.fix


def test_a_function_of_a_module_on_the_path_gives_the_model(tmp_path, monkeypatch):
    (tmp_path / "zoo_of_one.py").write_text("import torch\n\ndef make(): return torch.nn.Linear(3, 2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    model = open_source("zoo_of_one:make", tmp_path, {})
    assert model.summary == "Linear, 8 parameters"
    assert model.run({"features": np.ones((4, 3), np.float32)})["output_0"].shape == (4, 2)


def test_a_bfloat16_module_is_told_what_to_do():
    with pytest.raises(DefinitionError, match="2 of the module's tensors are bfloat16") as caught:
        TorchModule(torch.nn.Linear(3, 2).bfloat16())
    assert "return module.float()" in caught.value.fix


def test_a_module_that_cannot_be_exported_says_the_first_cause():
    class Branch(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(CheckFailed, match="torch can't export the module"):
        TorchModule(Branch()).graph({"x": np.ones((3, 2), np.float32)}, {})


def test_torch_export_itself_tells_of_a_branch_on_the_batch():
    class Branch(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * (2.0 if x.shape[0] > 4 else 1.0)

    _, axis_ranges = TorchModule(Branch()).graph({"x": np.ones((3, 4), np.float32)}, {})
    assert axis_ranges[0] == Range("x", 0, 0, 4)

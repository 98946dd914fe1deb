"""Recurrent modules of torch: those that become one node of a graph, and those that are written out step by step.

torch.export takes the length of an LSTM's or GRU's example for the only one: it runs the module's steps one by one. So
both are operators of their own while a graph is made, whose outputs have shapes that follow the inputs'. Onnxscript
translates them as it does torch's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import _VF  # what the modules' forward calls

STEPLESS = (torch.nn.LSTM, torch.nn.GRU)  # recurrent modules that are one node of a graph, with a free time axis
# The arguments are those of aten::lstm.input and aten::gru.input.
OPTIONS = "bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first"
SCHEMAS = {
    "lstm": f"(Tensor input, Tensor[] hx, Tensor[] params, {OPTIONS}) -> (Tensor, Tensor, Tensor)",
    "gru": f"(Tensor input, Tensor hx, Tensor[] params, {OPTIONS}) -> (Tensor, Tensor)",
}
Tensor = torch.Tensor


def unrolled(module: torch.nn.Module) -> list[str]:
    """Return the recurrent modules in a module that torch's exporter writes out step by step, with their types."""
    return [
        f"{path or 'the module itself'} ({type(part).__name__})"
        for path, part in module.named_modules()
        if isinstance(part, torch.nn.RNNBase | torch.nn.RNNCellBase) and not isinstance(part, STEPLESS)
    ]


def projected(module: torch.nn.Module) -> list[str]:
    """Return the paths of LSTM modules with a projection, which the LSTM of ONNX has none of."""
    parts = module.named_modules()
    return [path or "the module itself" for path, part in parts if isinstance(part, torch.nn.LSTM) and part.proj_size]


@contextlib.contextmanager
def as_operators() -> Iterator[None]:
    """Let LSTM and GRU modules call our operators meanwhile."""
    with contextlib.ExitStack() as stack:
        for name in SCHEMAS:
            stack.enter_context(mock.patch.object(_VF, name, getattr(torch.ops.onnxserve, name).default))
        yield


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the functions that make nodes of our operators, for torch.onnx.export."""
    from onnxscript.function_libs.torch_lib.ops.core import aten_gru, aten_lstm

    return {torch.ops.onnxserve.lstm.default: aten_lstm, torch.ops.onnxserve.gru.default: aten_gru}


def _lstm_shapes(series: Tensor, states: list[Tensor], *options: Any) -> tuple[Tensor, Tensor, Tensor]:
    hidden, cell = states
    return _output(series, hidden, *options), torch.empty_like(hidden), torch.empty_like(cell)


def _gru_shapes(series: Tensor, hidden: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    return _output(series, hidden, *options), torch.empty_like(hidden)


def _output(series: Tensor, hidden: Tensor, *options: Any) -> Tensor:
    *_, is_bidirectional, _ = options
    return series.new_empty((*series.shape[:-1], hidden.shape[-1] * (2 if is_bidirectional else 1)))


for name, shapes in (("lstm", _lstm_shapes), ("gru", _gru_shapes)):
    torch.library.define(f"onnxserve::{name}", SCHEMAS[name])
    torch.library.impl(f"onnxserve::{name}", "CPU", getattr(_VF, name))
    torch.library.register_fake(f"onnxserve::{name}", shapes)

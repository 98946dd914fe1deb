"""A row's answer in 8 bits is the same alone, in any batch and beside longer rows, whatever the network is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn import functional

from onnxserve_export.arrays import Array, Arrays, Axes
from onnxserve_export.batches import write_batches
from onnxserve_export.deviation import deviation, scale_of
from onnxserve_export.environment import cpu_flags
from onnxserve_export.fitting import quantise_fitted
from onnxserve_export.fusion import measure_fusion
from onnxserve_export.int8 import quantisable, types_for
from onnxserve_export.quantise import MAKERS, preprocess_graph
from onnxserve_export.sources.torch_module import TorchModule
from onnxserve_handlers.runtime.session import session_options

ROWS, TOKENS, WORDS = 70, 24, 40
SIZES = (2, 3, 7, 16, 33, 64)
SAME = 1e-5  # spreads: a product of floats that isn't in 8 bits may add in another order
Make = Callable[[np.random.Generator, int], Arrays]


class Convolutions(nn.Module):
    """A convolution in groups, a depthwise one and a pointwise one, with activations of three kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped, self.pointwise = nn.Conv2d(8, 16, 3, padding=1, groups=4), nn.Conv2d(16, 24, 1)
        self.depthwise, self.head = nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16), nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.hardswish(self.depthwise(functional.relu6(self.grouped(x))))
        return self.head(torch.relu(self.pointwise(x)).mean((2, 3)))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Embeddings, attention, norms and GELU; both layers have the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.parts, self.mixed = nn.Embedding(WORDS, 32), nn.Linear(32, 96), nn.Linear(32, 32)
        self.norm, self.wide, self.narrow = nn.LayerNorm(32), nn.Linear(32, 64), nn.Linear(64, 32)
        self.head = nn.Linear(32, 3)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        state, seen = self.words(input_ids), attention_mask[:, None, :] == 1
        for _ in range(2):
            query, key, value = self.parts(state).chunk(3, dim=-1)
            weights = (query @ key.transpose(1, 2) / 32**0.5).masked_fill(~seen, -1e9).softmax(-1)
            state = self.norm(state + self.mixed(weights @ value))
            state = self.norm(state + self.narrow(functional.gelu(self.wide(state))))
        mask = attention_mask[:, :, None].float()
        return self.head((state * mask).sum(1) / mask.sum(1))  # type: ignore[no-any-return]


class Recurrent(nn.Module):
    """An LSTM between products of rank 3."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.lstm, self.head = nn.Linear(6, 12), nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(torch.tanh(self.wide(x)))[0])[:, -1]  # type: ignore[no-any-return]


def numbers(*shape: int) -> Make:
    return lambda draws, rows: {"x": draws.normal(size=(rows, *shape)).astype(np.float32)}


def texts(draws: np.random.Generator, rows: int) -> Arrays:
    """Rows of 1 to TOKENS tokens, all padded to TOKENS."""
    mask = (np.arange(TOKENS) < draws.integers(1, TOKENS + 1, (rows, 1))).astype(np.int64)
    return {"input_ids": draws.integers(1, WORDS, (rows, TOKENS)) * mask, "attention_mask": mask}


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Make]] = {
    "convolutions": (Convolutions, numbers(8, 12, 12)),
    "encoder": (Encoder, texts),
    "recurrent": (Recurrent, numbers(9, 6)),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Make]:
    """What an export knows of a network, and what makes its rows."""
    torch.manual_seed(0)
    kind, make = NETWORKS[request.param]
    draws = np.random.default_rng(0)
    example = make(draws, 3)
    free: Axes = {name: {1: "sequence"} for name in example if name != "x"}
    proto, _ = TorchModule(kind().eval()).graph(example, free)
    onnx.save(proto, tmp_path / "fp32.onnx")
    groups = SimpleNamespace(calibrate=write_batches([make(draws, 16) for _ in range(4)], tmp_path / "rows.npz"))
    definition = SimpleNamespace(serve=SimpleNamespace(provider="auto"), quantise=SimpleNamespace(exclude=()))
    state = SimpleNamespace(scratch=tmp_path, fp32=tmp_path / "fp32.onnx", groups=groups, definition=definition)
    return state, make


def run(session: ort.InferenceSession, rows: Arrays, places: Any) -> Array:
    some = {name: array[places] for name, array in rows.items()}
    if "attention_mask" in some:  # as a handler pads: to the longest row of the batch
        longest = int(some["attention_mask"].sum(axis=1).max())
        some = {name: array[:, :longest] for name, array in some.items()}
    outputs: Array = session.run(None, some)[0]
    return outputs


def shift_of(path: Path, rows: Arrays) -> float:
    """How far answers of rows move, in batches of several sizes whose rows are drawn with several seeds."""
    session = ort.InferenceSession(str(path), session_options(1), providers=["CPUExecutionProvider"])
    alone = np.concatenate([run(session, rows, [row]) for row in range(ROWS)])
    scale, shift = scale_of(alone), 0.0
    for seed, size in enumerate(SIZES * 2):
        order = np.random.default_rng(seed).permutation(ROWS)
        for start in range(0, ROWS, size):
            places = order[start : start + size]
            shift = max(shift, deviation(run(session, rows, places), alone[places], scale))
    return shift


def test_a_rows_answer_in_8_bits_is_the_same_alone_and_in_any_batch(network):
    state, make = network
    source, target = preprocess_graph(state), state.scratch / "int8.onnx"
    nodes, _ = quantisable(onnx.load(source), ())
    note = quantise_fitted(state, source, target, nodes, types_for(cpu_flags()))
    assert note.endswith("fitted by NNCF")
    assert measure_fusion(target).fault == ""
    rows = make(np.random.default_rng(1), ROWS)
    assert shift_of(target, rows) <= SAME
    MAKERS["int8-dynamic"](state, source, target)
    assert shift_of(target, rows) > 100 * SAME, "ranges that are taken from each batch are seen by this test"

"""Kinds of serialised models, told by their bytes."""

from __future__ import annotations

import io

import pytest
import torch

from onnxserve.migrate.weights import Weights, weights_kind


class Twice(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def saved(save, *arguments, **options) -> bytes:
    stream = io.BytesIO()
    save(*arguments, stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (lambda: saved(torch.save, Twice().state_dict()), Weights.state_dict),
        (
            lambda: saved(torch.save, Twice().state_dict(), _use_new_zipfile_serialization=False),
            Weights.state_dict,
        ),
        (
            lambda: saved(torch.export.save, torch.export.export(Twice(), (torch.ones(2),))),
            Weights.exported,
        ),
        (lambda: b"\x7fELF....", Weights.library),
        (lambda: b"nothing known", Weights.unknown),
        (lambda: b"", Weights.unknown),
    ],
)
def test_a_file_is_known_by_its_bytes(content, kind):
    assert weights_kind("model.pt", content()) is kind


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_and_onnx_are_known():
    script = torch.jit.script(Twice())
    assert weights_kind("model.pt", saved(lambda stream: torch.jit.save(script, stream))) is Weights.torchscript
    assert weights_kind("model.onnx", b"\x08\x07") is Weights.onnx

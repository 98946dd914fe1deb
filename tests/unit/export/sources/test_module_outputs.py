"""Whatever a torch module returns becomes tensors by name."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.module_outputs import named_tensors, to_arrays

A, B, C = (torch.full((2,), float(number)) for number in range(3))
Pair = namedtuple("Pair", ["left", "right"])  # noqa: PYI024 - as modules return it


@dataclass
class Plain:
    boxes: Any
    scores: Any = None


@dataclass
class ModelOutput(OrderedDict[str, Any]):
    """As in transformers: a dataclass that is an ordered mapping of the fields that aren't None."""

    logits: Any = None
    hidden_states: Any = None

    def __post_init__(self) -> None:
        self.update({name: value for name, value in vars(self).items() if value is not None})


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (A, ["output_0"]),
        ((A, B), ["output_0", "output_1"]),
        ([A, (B, C)], ["output_0", "output_1.0", "output_1.1"]),
        ({"logits": A, "extra": None, "states": (B, C)}, ["logits", "states.0", "states.1"]),
        (Pair(A, B), ["left", "right"]),
        (Plain(A), ["boxes"]),
        (ModelOutput(logits=A), ["logits"]),
        (ModelOutput(A, (B, C)), ["logits", "hidden_states.0", "hidden_states.1"]),
    ],
)
def test_tensors_are_named_by_their_keys_or_places(output, names):
    tensors = named_tensors(output)
    assert list(tensors) == names
    assert [int(tensor[0]) for tensor in tensors.values()] == list(range(len(names)))


def test_names_choose_and_order_the_outputs_and_others_may_be_anything():
    assert list(named_tensors({"loss": 3.0, "a": A, "b": B}, ["b", "a"])) == ["b", "a"]
    with pytest.raises(DefinitionError, match=r"gives no output \['c'\]") as caught:
        named_tensors({"a": A}, ["c"])
    assert "['a']" in caught.value.fix
    assert caught.value.where == "source_outputs"


@pytest.mark.parametrize(("output", "message"), [("text", "gives str as output_0"), ({}, "without a tensor")])
def test_what_is_no_tensor_is_refused_by_name(output, message):
    with pytest.raises(DefinitionError, match=message):
        named_tensors(output)


def test_half_floats_become_float32_and_whole_numbers_stay():
    arrays = to_arrays({"half": A.half(), "brain": B.bfloat16(), "whole": C.long()})
    assert [array.dtype.name for array in arrays.values()] == ["float32", "float32", "int64"]


def test_complex_numbers_are_refused_with_what_to_return():
    with pytest.raises(DefinitionError, match="the output waves is of complex numbers") as caught:
        named_tensors({"loss": A, "waves": torch.fft.rfft(A)})
    assert "torch.view_as_real" in caught.value.fix

"""What a torch module may return: one tensor, a tuple, a mapping such as transformers' ModelOutput, or these nested."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from onnxserve.errors import DefinitionError
from onnxserve_export.arrays import Array, Arrays

ALONE = "output_0"  # an output named like an operator makes an invalid graph


def named_tensors(output: Any, names: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """Return a module's tensors by name, the main one first; None stands for no output.

    A single tensor is `output_0`, those of a tuple `output_0`, `output_1`, ...; those of a mapping have its keys, and
    those inside them `<key>.<key or place>`. `names` choose and order; DefinitionError for a name or a type that isn't
    there.

    A list of one mapping, as torchvision's detectors give it for one picture, stands for the mapping.
    """
    if isinstance(output, list) and len(output) == 1 and isinstance(output[0], Mapping):
        [output] = output
    tensors = dict(_flatten(output, ""))
    if not tensors:
        what = f"the module gives {type(output).__name__} without a tensor"
        raise DefinitionError(what, fix="return a tensor, or a tuple or mapping of tensors")
    if missing := [name for name in names if name not in tensors]:
        raise DefinitionError(
            f"the module gives no output {missing}",
            where="source_outputs",
            fix=f"it gives {list(tensors)}: correct the names",
        )
    chosen = {name: tensors[name] for name in names or tensors}
    for name, tensor in chosen.items():
        if not isinstance(tensor, torch.Tensor):
            raise DefinitionError(
                f"the module gives {type(tensor).__name__} as {name}; a tensor is expected",
                fix="return tensors, or list the outputs to serve as `source_outputs` in model.toml",
            )
        if tensor.is_complex():
            what = f"the output {name} is of complex numbers, which no answer can hold"
            raise DefinitionError(what, fix="return torch.view_as_real(…) of it, or its .abs()")
    return chosen


def _flatten(output: Any, path: str) -> list[tuple[str, Any]]:
    """Return names and leaves; a leaf that isn't a tensor stays, since it may not be chosen."""
    if output is None:
        return []
    if isinstance(output, Mapping):
        entries = [(str(key), value) for key, value in output.items()]
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        entries = list(zip(output._fields, output, strict=True))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        entries = [(field.name, getattr(output, field.name)) for field in dataclasses.fields(output)]
    elif isinstance(output, tuple | list):
        word = "" if path else "output_"
        entries = [(f"{word}{place}", value) for place, value in enumerate(output)]
    else:
        return [(path or ALONE, output)]
    prefix = f"{path}." if path else ""
    return [leaf for key, value in entries for leaf in _flatten(value, prefix + key)]


def to_arrays(tensors: Mapping[str, torch.Tensor]) -> Arrays:
    """Return the tensors as arrays; half floats become float32."""
    return {name: _to_array(tensor) for name, tensor in tensors.items()}


def _to_array(tensor: torch.Tensor) -> Array:
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return np.asarray(tensor.detach().cpu().numpy())

"""A graph or a module of which only inputs are known: ready ONNX, an exported program, TorchScript, a function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from onnxserve_export.sources import InputSpec, SourceModel

from .graph_columns import are_columns, check_numbers, read_columns
from .outline import Outline, read_implied
from .row_trial import read_rows

TOKENS, TOKENIZER = "input_ids", "tokenizer.json"
PIXELS = 4  # axes of a batch of images; without one for the batch, as detectors of torchvision have them, 3


def read_graph(outline: Outline, source: SourceModel, folder: Path | None) -> None:
    """Read inputs; rows are tensors by name unless the user, or a tokenizer in `folder`, gives them a meaning."""
    names = [spec.name for spec in source.inputs]
    has_tokenizer = folder is not None and (folder / TOKENIZER).is_file()
    untyped = any(not spec.dtype for spec in source.inputs) and not outline.get("input.tensors")
    read_implied(outline)
    if TOKENS in names and has_tokenizer:
        outline.add("input.kind", "text", f"its input {TOKENS}, and the {TOKENIZER} beside it")
    elif TOKENS in names and untyped:  # all that texts need is asked for at once
        outline.add("input.kind", "text", f"its input {TOKENS}; --kind tensors takes numbers instead")
    elif are_columns(source.inputs):
        outline.add("input.kind", "table", "each input is one column, and some are texts")
    else:
        outline.add("input.kind", "tensors", "the inputs have no other meaning that the model states; --kind gives one")
    outline.add("output.task", "raw", "every output by name; --task gives them a meaning")
    match outline.get("input.kind"):
        case "tensors":
            read_tensors(outline, source.inputs, source.name)
        case "image":
            read_pixels(outline, source.inputs)
        case "table" if are_columns(source.inputs):
            read_columns(outline, source.inputs)
        case _:
            pass
    read_rows(outline, source)


def read_tensors(outline: Outline, inputs: Sequence[InputSpec], source: str) -> None:
    """Read names, types and sizes of the inputs; the limits of free axes, and all that is unknown, are asked for."""
    required = [spec for spec in inputs if spec.required]
    if not outline.get("input.tensors"):
        check_numbers(required)
    unknown = [spec.name for spec in required if spec.shape is None or not spec.dtype]
    if unknown or not required:
        takes = f"it takes {', '.join(spec.name for spec in inputs)}" if inputs else "it takes any by name"
        outline.ask("input.tensors", f"{source} states neither types nor sizes of inputs; {takes}")
    else:
        tensors = [
            {"name": spec.name, "dtype": spec.dtype, "shape": [*named_sizes(spec)]}
            for spec in required
            if spec.shape is not None
        ]
        outline.add("input.tensors", tensors, "the inputs, without the batch; a name stands for a free axis")
    for tensor in outline.get("input.tensors", []):
        for size in tensor["shape"]:
            if isinstance(size, str):
                outline.ask(f"input.limits.{size}", f"the largest size of the free axis {size!r} of {tensor['name']}")


def named_sizes(spec: InputSpec) -> list[int | str]:
    """Return an input's sizes without the batch; a free axis without a name gets one."""
    return [
        size if isinstance(size, int) else axis_name(size) or f"{axis_name(spec.name)}_{axis}"
        for axis, size in enumerate(spec.shape or ())
        if axis
    ]


def axis_name(text: str) -> str:
    """Return the name of an axis as a field of model.toml may have it; empty for an unknown one."""
    return re.sub(r"\W+", "_", text).strip("_")


def read_pixels(outline: Outline, inputs: Sequence[InputSpec]) -> None:
    """Read the size of images from an input (batch, channels, height, width), or ask for it where it is free."""
    shapes = [spec.shape for spec in inputs if spec.shape is not None]
    axes = next((shape[1:] for shape in shapes if len(shape) == PIXELS), ())
    if not axes:
        unbatched = next((shape for shape in shapes if len(shape) == PIXELS - 1), ())
        axes = ("channels", *unbatched[1:])
    for field, size in zip(("channels", "height", "width"), axes, strict=False):
        if isinstance(size, int):
            outline.add(f"input.{field}", size, "the input's shape")
    for field in ("height", "width"):
        outline.ask(f"input.{field}", "the image's size in pixels, which the graph leaves free")

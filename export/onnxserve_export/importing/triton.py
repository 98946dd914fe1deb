"""What the configuration of a Triton model says: inputs, outputs, labels and serving settings."""

from __future__ import annotations

from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import InputSpec
from onnxserve_export.sources.pbtxt import Message
from onnxserve_export.sources.triton_repository import CONFIG, TritonModel, first, plain_name, read_text
from onnxserve_handlers.signature import DATATYPES

from .graph import axis_name, read_pixels
from .outline import Outline

TEXTS = "TYPE_STRING"


def read_triton(outline: Outline, model: TritonModel) -> None:
    """Read inputs, labels and serving settings; what Triton leaves free is asked for."""
    config = model.config
    if describes_inputs(model):
        outline.add("input.kind", "tensors", f"{CONFIG}: Triton's rows are tensors")
        tensors = [_tensor(value, config) for value in messages(config, "input")]
        match outline.get("input.kind"):
            case "tensors":
                _read_tensors(outline, tensors)
            case "image":
                read_pixels(
                    outline, [InputSpec(tensor["name"], shape=("batch", *tensor["shape"])) for tensor in tensors]
                )
            case _:
                pass
    _read_outputs(outline, model)
    if batch := number(config, "max_batch_size"):
        outline.add("serve.batch_size", batch, f"{CONFIG}: max_batch_size")
    batching = next(iter(messages(config, "dynamic_batching")), {})
    if delay := number(batching, "max_queue_delay_microseconds"):
        outline.add("serve.max_batch_delay_ms", max(1, round(delay / 1000)), f"{CONFIG}: max_queue_delay_microseconds")
    workers = sum(number(group, "count") or 1 for group in messages(config, "instance_group"))
    if workers > 1:
        outline.add("serve.workers", workers, f"{CONFIG}: instance_group")


def describes_inputs(model: TritonModel) -> bool:
    """Return whether the configuration says what rows are; Triton completes one without inputs from an ONNX file.

    Such a file also says which texts are columns.
    """
    inputs = messages(model.config, "input")
    has_texts = any(first(value, "data_type") == TEXTS for value in inputs)
    return model.file.suffix != ".onnx" or (bool(inputs) and not has_texts)


def _read_tensors(outline: Outline, tensors: list[dict[str, Any]]) -> None:
    """Read the inputs as they are; the limits of free axes are asked for."""
    if tensors:
        outline.add("input.tensors", tensors, f"{CONFIG}: input; a name stands for a size of -1")
    for tensor in outline.get("input.tensors", []):
        for size in tensor["shape"]:
            if isinstance(size, str):
                why = f"the largest size of that axis of {tensor['name']}, -1 in {CONFIG}"
                outline.ask(f"input.limits.{size}", why)


def _read_outputs(outline: Outline, model: TritonModel) -> None:
    outputs, named = messages(model.config, "output"), model.file.suffix == ".onnx"
    if named:  # labels are of the main output, which is the first; TorchScript's have no names to order them by
        outputs = sorted(outputs, key=lambda value: first(value, "label_filename") is None)
        if outputs:
            outline.add("source_outputs", [str(first(value, "name")) for value in outputs], f"{CONFIG}: output")
    file = plain_name(str(first(outputs[0], "label_filename") or ""), "label_filename") if outputs else ""
    if file and (model.folder / file).is_file():
        lines = read_text(model.folder / file).splitlines()
        outline.add("output.labels", [line.strip() for line in lines if line.strip()], file)
    if outline.get("output.labels"):
        outline.add("output.task", "classification", "it has labels")
    else:
        outline.add("output.task", "raw", "every output by name, as Triton answers")


def _tensor(value: Message, config: Message) -> dict[str, Any]:
    """Return an input without the batch, which `dims` have only where `max_batch_size` is 0."""
    name, kind = str(first(value, "name")), str(first(value, "data_type")).removeprefix("TYPE_")
    if kind not in DATATYPES:
        raise DefinitionError(f"input {name} is {kind}, which isn't a tensor of numbers", where=CONFIG)
    dims = value.get("dims", [])
    if not all(type(size) is int for size in dims):
        raise DefinitionError(f"dims of input {name} are {dims}, whole numbers are expected", where=CONFIG)
    sizes = dims if number(config, "max_batch_size") else dims[1:]
    shape = [size if size > 0 else f"{axis_name(name)}_{axis}" for axis, size in enumerate(sizes, 1)]
    return {"name": name, "dtype": DATATYPES[kind], "shape": shape}


def number(message: Message, field: str) -> int:
    """Return a whole number, 0 where it isn't there; DefinitionError for another value."""
    value = first(message, field)
    if value is not None and type(value) is not int:
        raise DefinitionError(f"{field} is {value!r}, a whole number is expected", where=CONFIG)
    return value or 0


def messages(message: Message, field: str) -> list[Message]:
    """Return the messages of a field; DefinitionError for another value."""
    values = message.get(field, [])
    if not all(isinstance(value, dict) for value in values):
        raise DefinitionError(f"{field} is {values!r}, {{ … }} is expected", where=CONFIG)
    return values

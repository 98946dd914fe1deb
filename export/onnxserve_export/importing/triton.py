"""A model of a Triton repository whose backend needs no code: ONNX Runtime or TorchScript.

Layout and fields: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/
model_repository.html and model_configuration.html.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from onnxserve.errors import DefinitionError
from onnxserve_handlers.signature import DATATYPES

from .graph import axis_name
from .outline import Outline
from .pbtxt import Message, read_message

CONFIG = "config.pbtxt"
# Backends, also by the older field `platform`, and the files that they load.
FILES = {
    "onnxruntime": "model.onnx",
    "onnxruntime_onnx": "model.onnx",
    "pytorch": "model.pt",
    "pytorch_libtorch": "model.pt",
}


class TritonModel(NamedTuple):
    """One model of a repository: its configuration, and the file of its highest version."""

    config: Message
    folder: Path
    file: Path


def is_triton(path: Path) -> bool:
    """Return whether a folder is a model of a repository, or a repository."""
    return (path / CONFIG).is_file() or any(path.glob(f"*/{CONFIG}"))


def open_triton(path: Path) -> TritonModel:
    """Return a model of a repository; DefinitionError for several models, and for a backend that runs code."""
    models = [path] if (path / CONFIG).is_file() else sorted(config.parent for config in path.glob(f"*/{CONFIG}"))
    if len(models) != 1:
        names = ", ".join(model.name for model in models)
        raise DefinitionError(f"the repository has the models {names}", where=str(path), fix="name the folder of one")
    [folder] = models
    where = folder / CONFIG
    config = read_message(read_text(where), str(where))
    backend = str(first(config, "backend") or first(config, "platform") or "")
    if backend not in FILES:
        what = "an ensemble has no graph of its own" if "ensemble" in backend else f"backend {backend!r} isn't taken"
        fix = "import models of the backends onnxruntime and pytorch (TorchScript), one by one"
        raise DefinitionError(what, where=str(where), fix=fix)
    name = plain_name(str(first(config, "default_model_filename") or FILES[backend]), "default_model_filename")
    return TritonModel(config, folder, _version_file(folder, name))


def _version_file(folder: Path, name: str) -> Path:
    versions = sorted((int(entry.name), entry / name) for entry in folder.iterdir() if entry.name.isdecimal())
    existing = [path for _, path in versions if path.exists()]
    if not existing:
        raise DefinitionError(f"no version of it has {name}", where=str(folder), fix=f"put it into {folder.name}/1")
    return existing[-1]


def read_triton(outline: Outline, model: TritonModel) -> None:
    """Read inputs, labels and serving settings; what Triton leaves free is asked for."""
    config = model.config
    outline.add("input.kind", "tensors", f"{CONFIG}: Triton's rows are tensors")
    tensors = [_tensor(value, config) for value in messages(config, "input")]
    if tensors:
        outline.add("input.tensors", tensors, f"{CONFIG}: input; a name stands for a size of -1")
    for tensor in outline.get("input.tensors", []):
        for size in tensor["shape"]:
            if isinstance(size, str):
                why = f"the largest size of that axis of {tensor['name']}, -1 in {CONFIG}"
                outline.ask(f"input.limits.{size}", why)
    _read_outputs(outline, model)
    if batch := number(config, "max_batch_size"):
        outline.add("serve.batch_size", batch, f"{CONFIG}: max_batch_size")
    batching = next(iter(messages(config, "dynamic_batching")), {})
    if delay := number(batching, "max_queue_delay_microseconds"):
        outline.add("serve.max_batch_delay_ms", max(1, round(delay / 1000)), f"{CONFIG}: max_queue_delay_microseconds")
    workers = sum(number(group, "count") or 1 for group in messages(config, "instance_group"))
    if workers > 1:
        outline.add("serve.workers", workers, f"{CONFIG}: instance_group")


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


def first(message: Message, field: str) -> Any:
    """Return the first value of a field, None where it isn't there."""
    values = message.get(field)
    return values[0] if values else None


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


def plain_name(name: str, field: str) -> str:
    """Return the name of a file; DefinitionError for a path, which may lead out of the model's folder."""
    if "/" in name or "\\" in name or name == "..":
        raise DefinitionError(f"{field} is {name!r}, the name of a file is expected", where=CONFIG)
    return name


def read_text(path: Path) -> str:
    """Return the text of a file; DefinitionError if it isn't UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path.name} isn't UTF-8", where=str(path)) from error

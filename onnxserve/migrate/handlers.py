"""TorchServe's own handlers in the words of a definition: what a row is, and what its prediction is.

Source: TorchServe 0.12, `ts/torch_handler/image_classifier.py` and `base_handler.py`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.errors import ArchiveError

from .stock import StockArchive

NAMES = "index_to_name.json"
# What image_classifier does, torchvision's preprocessing for ImageNet: Resize(256), CenterCrop(224), Normalize.
SHORTER_SIDE, SIZE = 256, 224  # pixels
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PATTERN = 256  # levels of grey in the picture that stands for an example
FORMS = 'give one row as [0.5, 1.0], {"data": [0.5, 1.0]} or {"instances": [[0.5, 1.0]]}'
FIX = "name a file with one that clients send: --row FILE"


@dataclass(frozen=True)
class Kind:
    """The fields of `[input]` and `[output]` in `model.toml`, and the line of `golden.jsonl`."""

    input: Mapping[str, Any]
    output: Mapping[str, Any]
    golden: bytes


def image_kind(stock: StockArchive, row: Path | None) -> Kind:
    """Return an image classifier: ImageNet's preprocessing, softmax, and the labels of `index_to_name.json`."""
    content = row.read_bytes() if row else picture()
    fields = {
        "kind": "image",
        "height": SIZE,
        "width": SIZE,
        "resize": "crop",
        "shorter_side": SHORTER_SIDE,
        "pixel_max": 1,
        "mean": MEAN,
        "std": STD,
    }
    output = {"task": "classification", "activation": "softmax", "labels": labels(stock)}
    return Kind(fields, output, golden_line(base64.b64encode(content).decode()))


def tensor_kind(stock: StockArchive, row: Path | None) -> Kind:
    """Return a model of one tensor; its shape and type are those that `torch.as_tensor` gives the example row."""
    if row is None:
        raise ArchiveError("base_handler: a tensor's shape isn't in the archive; " + FIX, where=str(stock.path))
    try:
        value = msgspec.json.decode(row.read_bytes())
    except msgspec.DecodeError as error:
        raise ArchiveError(f"{row.name}: not JSON: {error}; {FORMS}", where=str(row)) from error
    value = unwrapped(value)
    if not is_rectangular(value):
        what = f"{row.name}: no rectangular lists of numbers, of which base_handler makes a tensor; {FORMS}"
        raise ArchiveError(what, where=str(row))
    shape, floating = shape_of(value), is_floating(value)
    tensor = {"name": "input", "dtype": "float32" if floating else "int64", "shape": shape}
    return Kind({"kind": "tensors", "tensors": [tensor]}, {"task": "raw"}, golden_line(value))


def labels(stock: StockArchive) -> list[str]:
    """Return the labels in the order of the model's outputs; ArchiveError without them, or with a gap among them.

    The file maps indices to names, or to a list whose last entry is the name; older ones have a list of names. A name
    that occurs twice, as some of ImageNet do, gets its index.
    """
    try:
        document = msgspec.json.decode(stock.members[NAMES], type=dict[str, Any])
        names = document.get("object_type_names")
        document = document if names is None else {str(index): name for index, name in enumerate(names)}
        by_index = {int(index): name[-1] if isinstance(name, list) else name for index, name in document.items()}
    except KeyError as error:
        raise ArchiveError(f"{NAMES} is missing, which names the labels", where=str(stock.path)) from error
    except (msgspec.DecodeError, ValueError, IndexError, TypeError) as error:
        raise ArchiveError(f"{NAMES}: {error}", where=str(stock.path)) from error
    if sorted(by_index) != list(range(len(by_index))) or not by_index:
        raise ArchiveError(f"{NAMES}: the indices must be 0 to {len(by_index) - 1}", where=str(stock.path))
    ordered = [str(by_index[index]) for index in range(len(by_index))]
    return [f"{name} ({index})" if ordered.count(name) > 1 else name for index, name in enumerate(ordered)]


def unwrapped(value: Any) -> Any:
    """Return the row of a request's body: the first of `instances`, and what stands behind `data` or `body`."""
    while isinstance(value, dict) and len(value) == 1:
        [(name, inner)] = value.items()
        if name == "instances" and isinstance(inner, list) and inner:
            value = inner[0]
        elif name in ("data", "body"):
            value = inner
        else:
            break
    return value


def is_rectangular(value: Any) -> bool:
    """Return whether a value is a number, or lists of such values of one shape."""
    if not isinstance(value, list):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return bool(value) and all(map(is_rectangular, value)) and len({tuple(shape_of(part)) for part in value}) == 1


def shape_of(value: Any) -> list[int]:
    """Return the shape of nested lists, by their first elements."""
    return [len(value), *shape_of(value[0])] if isinstance(value, list) and value else []


def is_floating(value: Any) -> bool:
    """Return whether nested lists have a number with a fraction, so that torch makes floats of them."""
    return any(map(is_floating, value)) if isinstance(value, list) else isinstance(value, float)


def golden_line(value: Any) -> bytes:
    """Return the line of `golden.jsonl` for one row without a label."""
    return msgspec.json.encode({"input": value}) + b"\n"


def picture() -> bytes:
    """Return a PNG with every level of grey, for a model of which no example is known."""
    from PIL import Image

    stream = io.BytesIO()
    Image.frombytes("L", (PATTERN, PATTERN), bytes(range(PATTERN)) * PATTERN).convert("RGB").save(stream, "PNG")
    return stream.getvalue()

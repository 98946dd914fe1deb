"""Graphs as files: one file each, or for large ones a second file with the weights, which the graph names.

Protobuf takes messages below 2 GiB. The name of the weights' file has their SHA-256, so that the graph's own digest
covers them, and so that variants with the same weights may share a folder.
Source: https://onnx.ai/onnx/repo-docs/ExternalData.html.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import onnx
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data

from onnxserve_handlers.trust.model import WEIGHTS

LIMIT = 2**31 - 2**24  # bytes of weights; the rest is for nodes and names
SMALL = 1024  # bytes of a tensor that stays in the graph, since shapes are inferred from such
ALIGNMENT = 4096  # bytes, so that weights can be mapped into memory


def weight_bytes(proto: onnx.ModelProto) -> int:
    """Return the bytes of the graph's weights."""
    return sum(len(tensor.raw_data) or tensor.ByteSize() for tensor in proto.graph.initializer)


def is_large(proto: onnx.ModelProto) -> bool:
    """Return whether the weights need a file of their own."""
    return weight_bytes(proto) >= LIMIT


def save_graph(proto: onnx.ModelProto, path: Path, limit: int | None = None) -> None:
    """Write a graph; from `limit` bytes of weights on, by default LIMIT, they get a file of their own beside it."""
    if weight_bytes(proto) >= (LIMIT if limit is None else limit):
        _move_weights(proto, path.parent)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def _move_weights(proto: onnx.ModelProto, folder: Path) -> None:
    hasher, places = hashlib.sha256(), []
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as stream:
        for tensor in proto.graph.initializer:
            content = tensor.raw_data or numpy_helper.to_array(tensor).tobytes()
            if len(content) < SMALL or tensor.data_type == onnx.TensorProto.STRING:
                continue
            gap = bytes(-stream.tell() % ALIGNMENT)
            stream.write(gap)
            places.append((tensor, stream.tell(), len(content)))
            stream.write(content)
            hasher.update(gap + content)
            tensor.raw_data = content
    name = f"{WEIGHTS}{hasher.hexdigest()}.data"
    Path(stream.name).replace(folder / name)
    (folder / name).chmod(0o644)
    for tensor, offset, length in places:
        set_external_data(tensor, name, offset, length)
        tensor.ClearField("raw_data")


def weight_files(path: Path) -> list[Path]:
    """Return the files of weights beside a graph."""
    proto = onnx.load(path, load_external_data=False)
    names = {
        entry.value
        for tensor in proto.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.with_name(name) for name in sorted(names)]


def graph_bytes(path: Path) -> int:
    """Return the bytes of a graph with its weights."""
    return sum(file.stat().st_size for file in (path, *weight_files(path)))

"""Triton's Python backend over the handler of the archive beside this file; its requests make one batch of ours.

https://github.com/triton-inference-server/python_backend. A request becomes one of the Open Inference Protocol with
binary tensors, which the handler answers; so errors are the handler's, each its own request's.
"""

from __future__ import annotations

import json
import struct
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

LENGTH = "Inference-Header-Content-Length"
NAMES = {"float32": "FP32", "float16": "FP16", "float64": "FP64", "int64": "INT64", "int32": "INT32", "int16": "INT16"}
NAMES |= {"int8": "INT8", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "bool": "BOOL"}


class TritonPythonModel:
    """The class that Triton's Python backend calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the archive and prove it by its golden rows; Triton doesn't serve a model that raises here."""
        folder = Path(__file__).parent / "archive"
        package = next(folder.glob("handlers_*")).name
        sys.path.insert(0, str(folder))
        self.offline = import_module(f"{package}.offline")
        self.handler = self.offline.make_handler(folder)
        config = json.loads(args["model_config"])
        settings = {name: value["string_value"] for name, value in config["parameters"].items()}
        instances = sum(group["count"] for group in config["instance_group"])  # they share the CPUs out
        context = self.offline.OfflineContext(folder, {"handler": settings, "maxWorkers": instances})
        if args["model_instance_kind"] == "GPU":
            context.system_properties["gpu_id"] = int(args["model_instance_device_id"])
        self.handler.initialize(context)
        self.folder = folder

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return one response for each request, in order."""
        context = self.offline.OfflineContext(self.folder)
        bodies = []
        for request in requests:
            head, tail = infer_request(request.inputs())
            context.headers.append({"Content-Type": "application/octet-stream", LENGTH: str(len(head))})
            bodies.append({"body": bytearray(head + tail)})
        answers = self.handler.handle(bodies, context)
        return [self._response(answer, context, at, requests[at]) for at, answer in enumerate(answers)]

    def _response(self, answer: bytes, context: Any, at: int, request: Any) -> Any:
        if context.statuses.get(at, (200, ""))[0] != 200:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(json.loads(answer)["error"]))
        length = int(context.response_headers[at][LENGTH])
        requested_names = set(request.requested_output_names())
        arrays = output_arrays(json.loads(answer[:length]), memoryview(answer)[length:])
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, array) for name, array in arrays.items() if name in requested_names]
        )


def infer_request(tensors: list[Any]) -> tuple[bytes, bytes]:
    """Return the V2 request's JSON and its binary part."""
    inputs, blobs = [], []
    for tensor in tensors:
        array = tensor.as_numpy()
        if array.dtype.kind in "OS":
            flat = [text if isinstance(text, bytes) else str(text).encode() for text in array.reshape(-1).tolist()]
            blob, kind, shape = b"".join(struct.pack("<I", len(text)) + text for text in flat), "BYTES", [len(flat)]
        else:
            blob, kind, shape = np.ascontiguousarray(array).tobytes(), NAMES[array.dtype.name], list(array.shape)
        blobs.append(blob)
        about = {"name": tensor.name(), "datatype": kind, "shape": shape}
        inputs.append({**about, "parameters": {"binary_data_size": len(blob)}})
    return json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode(), b"".join(blobs)


def output_arrays(head: dict[str, Any], tail: memoryview) -> dict[str, Any]:
    """Return the arrays by name; labels and scores have the shape (rows, 1)."""
    types = {name: kind for kind, name in NAMES.items()}
    arrays: dict[str, Any] = {}
    for output in head["outputs"]:
        size = output["parameters"]["binary_data_size"]
        part, tail = bytes(tail[:size]), tail[size:]
        if output["datatype"] == "BYTES":
            array = np.array(texts(part), dtype=np.object_)
        else:
            array = np.frombuffer(part, types[output["datatype"]])
        shape = output["shape"] if len(output["shape"]) > 1 else [*output["shape"], 1]
        arrays[output["name"]] = array.reshape(shape)
    return arrays


def texts(part: bytes) -> list[bytes]:
    """Return the elements of a BYTES tensor, each of which follows its length."""
    elements, at = [], 0
    while at < len(part):
        (size,) = struct.unpack_from("<I", part, at)
        elements.append(part[at + 4 : at + 4 + size])
        at += 4 + size
    return elements

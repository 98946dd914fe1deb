"""A gateway before real handlers that run in this process: every kind and task for a browser, without TorchServe."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

from onnxserve.gateway import Model, Roles
from onnxserve_handlers.handler import Handler

from .gateway import JSON, Client, client_of, config, gateway_of
from .inference import send
from .task_models import FLOAT, IMAGES, MODELS, SIZE, TaskModel, linear_graph, model_of, picture
from .upstream import Answer, Upstream, listening

VERSION = "1.0.0"
UNPROVEN = {"proof": "unproven", "unproven": "it was made by a test"}


def light_graph() -> onnx.ModelProto:
    """Return a graph of two logits that grow with a picture's light and with its darkness."""
    nodes: list[Any] = [
        ("ReduceMean", ["image"], ["level"], {"axes": [2, 3], "keepdims": 0}),
        ("MatMul", ["level", "weights"], ["logits"], {}),
    ]
    inputs, outputs = [("image", FLOAT, ["batch", 1, SIZE, SIZE])], [("logits", FLOAT, ["batch", 2])]
    return model_of(nodes, inputs, outputs, weights=np.array([[1, -1]], np.float32))


# Names that every object of JavaScript has, and every form.
INHERITED = ("append", "constructor", "__proto__", "toString")
# The models by name: that of their task, one whose rows are files and whose requests may have parameters, and one whose
# names are awkward.
SERVED = {
    **MODELS,
    "constructor": TaskModel(
        *("classification", "table", f"columns = {json.dumps(INHERITED)}"),
        f'labels = {json.dumps(INHERITED[:3])}\nactivation = "softmax"',
        lambda: linear_graph("features", np.eye(4, 3)),
        ([1, 0, 0, 0],),
    ),
    "pictures": TaskModel("classification", "image", IMAGES, 'labels = ["light", "dark"]', light_graph, (picture(),)),
}


@dataclass(frozen=True)
class ModelServer:
    """The gateway's client, and the handlers by the names of their models."""

    client: Client
    handlers: Mapping[str, Handler]
    upstream: Upstream

    @property
    def page(self) -> str:
        """The address of the console."""
        return f"{self.client.console}/console/"

    def predictions(self, model: str, *rows: Any, **parameters: Any) -> list[Any]:
        """Return what a model's handler answers to rows."""
        document = {"instances": rows, "parameters": parameters}
        [(status, _, body)] = send(self.handlers[model], (json.dumps(document).encode(), JSON))
        assert status == 200, body
        predictions: list[Any] = json.loads(body)["predictions"]
        return predictions


def describe(handler: Handler) -> dict[str, Any]:
    """Return the parts of a handler's description that need no archive."""
    schemas = {**handler.schemas(), "max_rows": handler.signature.input.max_rows}
    signature = json.loads(msgspec.json.encode(handler.signature))
    return {"signature": signature, "evidence": UNPROVEN, "openapi": schemas}


def management(descriptions: Mapping[str, Any], path: str) -> Answer:
    """Answer as TorchServe's management API does."""
    if path.startswith("/models?"):
        return 200, json.dumps({"models": [{"modelName": name} for name in descriptions]}).encode()
    name = path.partition("?")[0].split("/")[2]
    workers = [{"id": "9000", "status": "READY"}]
    state: dict[str, Any] = {"modelName": name, "modelVersion": VERSION, "minWorkers": 1, "workers": workers}
    if "customized" in path:
        state["customizedMetadata"] = descriptions[name]
    return 200, json.dumps([state]).encode()


@contextlib.contextmanager
def model_server(folder: Path, **tables: object) -> Iterator[ModelServer]:
    """Serve the small models until the block ends; `tables` are those of gateway.toml."""
    handlers = {name: model.handler(folder / name) for name, model in SERVED.items()}
    descriptions = {name: describe(handler) for name, handler in handlers.items()} | {"unknown": {"evidence": UNPROVEN}}
    upstream = Upstream()

    def answer(path: str, body: bytes) -> Answer:
        name = path.split("/")[2]
        if name == "unknown":
            return 200, b"got " + body
        [(status, _, content)] = send(handlers[name], (body, upstream.requests[-1].headers))
        return status, content

    upstream.answer = answer
    roles = Roles({name: Model({VERSION: "a" * 64}, VERSION) for name in descriptions})
    with pytest.MonkeyPatch.context() as patch, listening(upstream):
        patch.setattr("tests.helpers.upstream.answer_management", lambda _, path: management(descriptions, path))
        with client_of(gateway_of(config(**tables), folder, upstream.port), roles) as client:
            yield ModelServer(client, handlers, upstream)

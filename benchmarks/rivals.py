"""Who is measured, in the order of the tables: the default path first, then onnxserve's other ways, then rivals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import frameworks, subject, torchserve
from .prepare import Bench, bodies, v2_bodies
from .process import Running
from .triton import triton

LABEL = '"label"%s*:%s*"([^"]*)"'
V2_LABEL = '"data"%s*:%s*%["([^"]*)"'
V2_PATH = "/v2/models/bench/infer"


@dataclass(frozen=True)
class Server:
    """One server: `start(bench, port)` gives its processes, `path` is where to post, `pattern` finds the label.

    `environment` names its virtual environment, empty for this one. A server that `compiles` while it runs, as Java
    does, is warmed up for longer.
    """

    name: str
    title: str
    start: Callable[[Bench, int], Running]
    path: str = "/predict"
    pattern: str = LABEL
    bodies: Callable[[Bench], list[bytes]] = bodies
    environment: str = ""
    compiles: bool = False


def servers(model: str) -> list[Server]:
    """Every server for a model."""
    path = f"/predictions/{model}"
    return [
        Server("default", "onnxserve: default path", subject.default, path, compiles=True),
        Server("keys", "onnxserve: with keys", subject.with_keys, path, compiles=True),
        Server("cache", "onnxserve: cache hit", subject.cache_hit, path, compiles=True),
        Server("direct", "onnxserve: without gateway", subject.without_gateway, path, compiles=True),
        Server("mosec", "mosec", frameworks.mosec, environment="mosec"),
        Server("triton", "Triton, Python backend", triton, V2_PATH, V2_LABEL, v2_bodies, "triton"),
        Server("fastapi", "FastAPI, onnxruntime", frameworks.fastapi, environment="fastapi"),
        Server(
            "fastapi-full",
            "FastAPI, onnxruntime, with keys, limits, log, counters",
            frameworks.fastapi_full,
            environment="fastapi",
        ),
        Server("fastapi-torch", "FastAPI, eager torch", frameworks.fastapi_torch, environment="fastapi-torch"),
        Server("litserve", "LitServe", frameworks.litserve, environment="litserve"),
        Server("bentoml", "BentoML", frameworks.bentoml, environment="bentoml"),
        Server("ray", "Ray Serve", frameworks.ray, environment="ray"),
        Server("mlserver", "MLServer", frameworks.mlserver, V2_PATH, V2_LABEL, v2_bodies, "mlserver"),
        Server("torchserve-tuned", "TorchServe tuned, its own worker, ONNX", torchserve.tuned, path, compiles=True),
        Server("torchserve", "TorchServe out of the box, eager torch", torchserve.eager, path, compiles=True),
    ]


LIMITS = {
    "onnxruntime": "limit: onnxruntime in process, no server",
    "nginx": "limit: nginx, empty answer, no model",
}
TITLES = {server.name: server.title for server in servers("segment")} | LIMITS

"""The measured servers in table order: the default path, onnxserve's other configurations, then rivals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import frameworks, infinity, subject, torchserve
from .prepare import FP32, Bench, bodies, v2_bodies
from .process import Running
from .triton import triton

LABEL = '"label"%s*:%s*"([^"]*)"'
V2_LABEL = '"data"%s*:%s*%["([^"]*)"'
V2_PATH = "/v2/models/bench/infer"
UVICORN = "two uvicorn workers, a pydantic row, an async endpoint, rows alone"
BATCHES = "batches of up to 16 for `digits`, else rows alone"


@dataclass(frozen=True)
class Server:
    """A server: `start(bench, port)` starts it, `path` is its endpoint, `pattern` finds the label in a response.

    `setup` describes its configuration. `environment` names its virtual environment; empty means this one. A server
    that `compiles` at run time, like Java, gets a longer warm-up.
    """

    name: str
    title: str
    setup: str
    start: Callable[[Bench, int], Running]
    path: str = "/predict"
    pattern: str = LABEL
    bodies: Callable[[Bench], list[bytes]] = bodies
    environment: str = ""
    compiles: bool = False


def servers(model: str) -> list[Server]:
    """Return all servers for a model."""
    small = [] if model == "segment" else _with_their_graph()  # its archive's graph is the fp32 graph
    texts = _of_texts() if model == "sentiment" else []
    return [*_onnxserve(model), *_rivals(), *texts, *small, *_torchserve(model)]


def _onnxserve(model: str) -> list[Server]:
    path = f"/predictions/{model}"
    ways = [
        ("default", "default path", "`onnxserve serve`, the shipped configuration", subject.default),
        ("keys", "with keys", "every request must bring an API key", subject.with_keys),
        ("cache", "cache hit", "answers are kept, and the 256 rows come again and again", subject.cache_hit),
        ("direct", "without gateway", "`onnxserve serve --no-gateway`", subject.without_gateway),
    ]
    return [
        Server(name, f"onnxserve: {words}", setup, start, path, compiles=True) for name, words, setup, start in ways
    ]


def _rivals() -> list[Server]:
    full = "keys by digest, bounds on rows, limits by client, JSON log, counters and gzip as plain ASGI middleware"
    return [
        Server(
            "mosec",
            "mosec",
            "two workers of one stage, batches of 16 (`sentiment`: rows alone), the least wait of 1 ms, compact JSON",
            frameworks.mosec,
            environment="mosec",
        ),
        Server(
            "triton",
            "Triton, Python backend",
            "two instances, dynamic batches of up to 64, 1 and 16 rows, no delay, V2 as JSON over HTTP",
            triton,
            V2_PATH,
            V2_LABEL,
            v2_bodies,
            "triton",
        ),
        *_fastapi(),
        Server("fastapi-full", "FastAPI with keys, limits, log", full, frameworks.fastapi_full, environment="fastapi"),
        Server("litserve", "LitServe", f"two workers, {BATCHES}", frameworks.litserve, environment="litserve"),
        Server("bentoml", "BentoML", "two workers, rows alone", frameworks.bentoml, environment="bentoml"),
        Server("ray", "Ray Serve", f"two replicas, {BATCHES}", frameworks.ray, environment="ray"),
        Server(
            "mlserver",
            "MLServer",
            "two parallel workers, rows alone, V2 as JSON over HTTP",
            frameworks.mlserver,
            V2_PATH,
            V2_LABEL,
            v2_bodies,
            "mlserver",
        ),
    ]


def _fastapi() -> list[Server]:
    """Return FastAPI with the archive's graph in onnxruntime and in OpenVINO, and with torch."""
    ways = [
        ("fastapi", "onnxruntime", frameworks.fastapi("fastapi")),
        ("fastapi-openvino", "OpenVINO", frameworks.fastapi("fastapi-openvino", "openvino")),
        ("fastapi-torch", "torch", frameworks.fastapi("fastapi-torch", "torch")),
    ]
    return [Server(name, f"FastAPI, {words}", UVICORN, starter, environment=name) for name, words, starter in ways]


def _of_texts() -> list[Server]:
    """Return the server for texts alone with the archive's graph and with the fp32 graph."""
    setup = "one process, batches of up to 32 whose rows run alone, onnxruntime on all cores"
    ways = [
        ("infinity", "Infinity", setup, infinity.infinity),
        ("infinity-fp32", "Infinity, fp32 graph", "as Infinity", infinity.infinity_fp32),
    ]
    return [
        Server(name, title, words, starter, infinity.PATH, bodies=infinity.text_bodies, environment="infinity")
        for name, title, words, starter in ways
    ]


def _with_their_graph() -> list[Server]:
    """Return rivals with the fp32 graph, which their users would have, instead of the archive's."""
    openvino = frameworks.fastapi("fastapi-openvino", "openvino", FP32)
    return [
        Server("mosec-fp32", "mosec, fp32 graph", "as mosec", frameworks.mosec_fp32, environment="mosec"),
        Server(
            "fastapi-fp32",
            "FastAPI, onnxruntime, fp32 graph",
            UVICORN,
            frameworks.fastapi("fastapi", graph=FP32),
            environment="fastapi",
        ),
        Server(
            "fastapi-openvino-fp32",
            "FastAPI, OpenVINO, fp32 graph",
            UVICORN,
            openvino,
            environment="fastapi-openvino",
        ),
    ]


def _torchserve(model: str) -> list[Server]:
    path = f"/predictions/{model}"
    tuned = "the same archive and configuration without our worker and our plugin"
    eager = "its default configuration, a handler as its documentation writes them"
    return [
        Server("torchserve-tuned", "TorchServe tuned, its own worker", tuned, torchserve.tuned, path, compiles=True),
        Server("torchserve", "TorchServe out of the box, torch", eager, torchserve.eager, path, compiles=True),
    ]


LIMITS = {
    "onnxruntime": "limit: onnxruntime in process, no server",
    "nginx": "limit: nginx, empty answer, no model",
}
RIVALS = [server.name for server in (*_rivals(), *_of_texts(), *_with_their_graph(), *_torchserve("segment"))]
TITLES = {server.name: server.title for server in servers("sentiment")} | LIMITS

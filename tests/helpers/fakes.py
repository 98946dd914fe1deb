"""Fakes that tests share; a test in tests/contract compares each with the real object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, pre_tokenizers

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs import InputOptions
from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.runtime.session import CPU, Provider
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.classification import ClassificationOptions

POISON = 666.0


class FakeSession:
    """Replaces ONNX Runtime: logits are (0, first value of the row), and a poisoned row breaks its batch."""

    provider = Provider(CPU)
    threads = 1
    outputs = ("output_0",)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def warm(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Do nothing."""

    def placement(self) -> dict[str, int]:
        return {CPU: 1}

    def run(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        first = next(iter(arrays.values()))
        rows = first.reshape(len(first), -1).astype(np.float32)
        self.batches.append(len(rows))
        if (rows[:, 0] == POISON).any():
            raise RuntimeError("secret of another caller")
        return {"output_0": np.stack([np.zeros(len(rows)), rows[:, 0]], axis=1).astype(np.float32)}


def signature(options: InputOptions | None = None) -> Signature:
    """Return a signature with two labels and the given options of its rows."""
    labels = ClassificationOptions(labels=("no", "yes"))
    return Signature("demo", "1.0", "", "fp32", options or InputOptions(), labels, (), (), 4)


def word_tokenizer() -> Tokenizer:
    """Return a tokenizer of two words, with id 0 for padding and 1 for unknown words."""
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 2, "film": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def with_fake_session(handler: Handler, **limits: Any) -> Handler:
    """Prepare a handler of two labels without an archive."""
    handler.signature = signature(handler.input_options(**limits))
    handler.session = FakeSession()  # type: ignore[assignment]  # a fake
    return handler


def ask(handler: Handler, *requests: tuple[bytes, str]) -> list[tuple[int, dict[str, Any]]]:
    """Return status and response for (body, content type) pairs, all in one batch."""
    context = OfflineContext(Path())
    context.headers = [{"Content-Type": kind} for _, kind in requests]
    answers = handler.handle([{"body": bytearray(body)} for body, _ in requests], context)
    return [(context.statuses.get(i, (200, ""))[0], json.loads(answer)) for i, answer in enumerate(answers)]


def ask_json(handler: Handler, *documents: Any) -> list[tuple[int, dict[str, Any]]]:
    """Do the same as `ask` for JSON documents."""
    return ask(handler, *((json.dumps(document).encode(), "application/json") for document in documents))


class FakeTorchServe:
    """An httpx transport with the part of the management API that releases use."""

    def __init__(self, versions: list[str], *, unready: Iterable[str] = (), model: str = "demo") -> None:
        self.versions = versions
        self.default = versions[0]
        self.pending = 0
        self.unready = set(unready)
        self.model = model
        self.calls: list[str] = []
        self.workers: dict[str, int] = {}  # of versions that were scaled
        self.urls: dict[str, str] = {}  # of versions that were registered

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def _describe(self, version: str) -> dict[str, Any]:
        status, workers = "UNLOADED" if version in self.unready else "READY", self.workers.get(version, 1)
        return {
            "modelName": self.model,
            "modelVersion": version,
            "modelUrl": self.urls.get(version, f"{self.model}-{version}.mar"),
            "minWorkers": workers,
            "maxWorkers": workers,
            "batchSize": 4,
            "maxBatchDelay": 1,
            "workers": [{"id": f"900{number}", "status": status, "pid": 1} for number in range(workers)],
            "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": self.pending},
        }

    def _answer(self, request: httpx.Request) -> httpx.Response:  # noqa: PLR0911 - one a route
        method, path = request.method, request.url.path
        self.calls.append(f"{method} {path}")
        if method == "GET" and path == "/models":
            return httpx.Response(200, json={"models": [{"modelName": self.model, "modelUrl": "demo.mar"}]})
        if method == "GET" and path == f"/models/{self.model}/all":
            return httpx.Response(200, json=[self._describe(version) for version in self.versions])
        if method == "GET" and path == f"/models/{self.model}":
            return httpx.Response(200, json=[self._describe(self.default)])
        if method == "PUT" and path.endswith("/set-default"):
            self.default = path.split("/")[3]
            return httpx.Response(200, json={"status": "ok"})
        if method == "PUT":
            self.workers[path.split("/")[3]] = int(request.url.params["min_worker"])
            return httpx.Response(202, json={"status": "Processing worker updates..."})
        if method == "POST":
            url = request.url.params["url"]
            version = url.removesuffix(".registering.mar").removesuffix(".mar").rpartition("-")[2]
            if version in self.versions:
                kind = "ConflictStatusException"
                return httpx.Response(409, json={"code": 409, "type": kind, "message": "already registered"})
            self.versions.append(version)
            self.urls[version] = url
            return httpx.Response(202, json={"status": "loading"})
        if method == "DELETE":
            self.versions.remove(path.split("/")[3])
            self.urls.pop(path.split("/")[3], None)
            return httpx.Response(200, json={"status": "ok"})
        return httpx.Response(404, json={"code": 404, "type": "ModelNotFoundException", "message": "Model not found"})

"""Archives to prove on a GPU: those of the store that `GPU_STORE` names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnxserve.archive import read_proof, unpack
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.offline import OfflineContext, make_handler

STORE = Path(os.environ.get("GPU_STORE", "model_store"))
ARCHIVES = sorted(STORE.glob("*.mar"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs for each archive."""
    if "archive" in metafunc.fixturenames:
        metafunc.parametrize("archive", ARCHIVES, ids=lambda path: path.stem, scope="session")


@pytest.fixture(scope="session")
def folder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked."""
    target = tmp_path_factory.mktemp(archive.stem)
    unpack(archive, target)
    return target


@pytest.fixture(scope="session")
def inputs(folder: Path) -> list[Any]:
    """Instances that the archive was proven with."""
    return [row.input for row in read_proof(folder)]


def load(folder: Path, provider: str = "cuda", gpu_id: int = 0, **gpu: Any) -> Handler:
    """A handler on a GPU, its golden rows reproduced; settings are `handler.gpu`'s."""
    handler = make_handler(folder)
    context = OfflineContext(folder, {"handler": {"provider": provider, "gpu": gpu, "deduplicate": False}})
    context.system_properties["gpu_id"] = gpu_id
    handler.initialize(context)
    return handler


def bodies(inputs: list[Any]) -> list[dict[str, Any]]:
    """A request for each instance, as a worker gets them."""
    return [{"body": bytearray(msgspec.json.encode({"instances": [value]}))} for value in inputs]

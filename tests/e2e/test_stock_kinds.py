"""Every input kind and every task on TorchServe's own worker: the worked handlers' archives, unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.archive import unpack
from onnxserve.archive.offline import answers
from tests.helpers.task_models import MODELS
from tests.helpers.torchserve import Running, running, stock_config
from tests.helpers.worked import worked_store


@pytest.fixture(scope="module")
def store(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worked_store(pytestconfig, tmp_path_factory.mktemp("worked"))


@pytest.fixture(scope="module")
def stock_server(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stock")
    with running(folder, sorted(store.glob("*.mar")), stock_config(folder / "config")) as server:
        yield server


@pytest.mark.parametrize("task", MODELS)
def test_the_stock_worker_gives_the_archives_own_answers(stock_server, store, task, tmp_path):
    model = MODELS[task]
    bodies = [
        json.dumps({"instances": model.rows}).encode(),
        json.dumps(model.rows[0]).encode(),
        b'{"instances": [null]}',
    ]
    unpack(store / f"{task}-1.0.0.mar", tmp_path / "open")
    expected = [(answer["status"], answer["body"]) for answer in answers(tmp_path / "open", bodies)]
    assert [status for status, _ in expected] == [200, 200, 422], expected
    responses = [stock_server.post(task, body) for body in bodies]
    assert [(answer.status_code, answer.json()) for answer in responses] == expected

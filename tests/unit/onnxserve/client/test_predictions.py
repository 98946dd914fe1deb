"""Every task's predictions have a type of the client's, by what the tasks' own handlers answer."""

from __future__ import annotations

import pytest

from onnxserve.client.client import Client
from onnxserve.client.predictions import (
    Classification,
    Detection,
    Embedding,
    Multilabel,
    Raw,
    Regression,
    Rerank,
    Segmentation,
    Tokens,
    read_prediction,
)
from onnxserve_handlers.registry import TASKS
from tests.helpers.handler_transport import HandlerTransport
from tests.helpers.task_models import MODELS

TYPES = {
    "classification": Classification,
    "multilabel": Multilabel,
    "regression": Regression,
    "detection": Detection,
    "segmentation": Segmentation,
    "tokens": Tokens,
    "embedding": Embedding,
    "rerank": Rerank,
    "raw": Raw,
}


def test_every_task_has_a_type():
    assert set(TYPES) == set(TASKS)


@pytest.mark.parametrize("task", TYPES)
def test_a_handlers_predictions_become_its_tasks_type(task, tmp_path):
    model = MODELS[task]
    server = HandlerTransport(model.handler(tmp_path / "model"))
    client = Client("http://server", transport=server.transport())
    own, named = client.predict(task, model.rows), client.model(task, TYPES[task]).predict(model.rows)
    assert [type(prediction) for prediction in own] == [TYPES[task]] * len(model.rows)
    assert own == named


@pytest.mark.parametrize("document", [{"label": "x"}, {"score": "high"}, {"score": 1, "why": "x"}, [1], 3, None])
def test_another_handlers_predictions_stay_as_they_are(document):
    assert read_prediction(document) == document

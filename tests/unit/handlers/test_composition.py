"""Handlers of users' own, as they are written now and as they were for earlier versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxserve_handlers import composition
from onnxserve_handlers.composition import FORMER, FormerTask, bases, former_class
from onnxserve_handlers.features.handler import JoinedTable
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs import InputHooks
from onnxserve_handlers.inputs.table import TableInput
from onnxserve_handlers.inputs.text import TextInput
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import KINDS, TASKS, input_kind, task
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.tasks.classification import Classification
from onnxserve_handlers.tasks.regression import Regression, RegressionOptions
from tests.helpers.fakes import ask_json, with_fake_session
from tests.helpers.kinds import table_signature


def serving(*classes: type) -> Any:
    handler = with_fake_session(type("Service", classes, {})(), columns=("a", "b"))
    handler.prepare()
    return handler


def predictions(handler: Any, *rows: Any) -> Any:
    [(status, answer)] = ask_json(handler, {"instances": [*rows]})
    assert status == 200, answer
    return answer["predictions"]


def test_a_kind_and_a_task_make_the_service():
    assert bases("text", "classification") == (TextInput, Classification, Handler)
    assert bases("table", "regression", features=True) == (JoinedTable, Regression, Handler)


@pytest.mark.parametrize("task_name", TASKS)
def test_a_task_has_no_name_of_its_own_that_a_kind_or_the_batch_loop_has_too(task_name):
    """A service is all three in one class, so one's helper would take the other's place."""
    own = {name for cls in task(task_name).__mro__ if cls not in TaskHooks.__mro__ for name in vars(cls)}
    own -= {*dir(TaskHooks)}
    assert own & {*dir(Handler)} == set()
    for kind in KINDS:
        assert own & ({*dir(input_kind(kind))} - {*dir(InputHooks)}) == set(), kind


def test_the_kind_and_the_task_complete_a_handler_that_lacks_them():
    class Own(Handler):
        def check(self, instance: Any, where: str) -> Any:
            return [float(value) for value in instance.split()]

        def tensors(self, rows: Any) -> Any:
            return {"features": np.array(rows, np.float32)}

    assert bases("", "classification", Own) == (Own, Classification)
    assert predictions(serving(*bases("", "classification", Own)), "3 4")[0]["label"] == "yes"
    assert bases("table", "classification", Handler) == (Handler, TableInput, Classification)


def test_a_complete_handler_is_left_as_it_is():
    class Own(TableInput, Classification, Handler):
        def predictions(self, outputs: Any, rows: Any) -> list[Any]:
            return [{**row, "rows": len(rows)} for row in super().predictions(outputs, rows)]

    assert bases("table", "classification", Own) == (Own,)
    assert predictions(serving(Own), [3, 4])[0]["rows"] == 1


@pytest.mark.parametrize("name", FORMER)
def test_classes_of_earlier_versions_are_found_by_their_names(name):
    former = getattr(composition, name)
    assert former is former_class(name)
    assert issubclass(former, Handler)
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        former_class("Other")


def shouting(base: type) -> type:
    class Shouting(base):  # type: ignore[misc]
        def predictions(self, outputs):
            assert isinstance(outputs, np.ndarray)
            return [{**row, "label": row["label"].upper()} for row in super().predictions(outputs)]

    return Shouting


def test_predictions_of_an_earlier_handler_get_the_first_output():
    handler = serving(*bases("table", "classification", shouting(former_class("TabularClassifier"))))
    assert predictions(handler, [3, 4], [0, -1])[0]["label"] == "YES"


def test_and_so_do_those_of_its_subclass_and_of_a_bare_handler():
    class Louder(shouting(former_class("TabularClassifier"))):  # type: ignore[misc]
        def predictions(self, outputs):
            return [{**row, "label": row["label"] + "!"} for row in super().predictions(outputs)]

    assert predictions(serving(*bases("table", "classification", Louder)), [3, 4])[0]["label"] == "YES!"
    bare = bases("table", "classification", shouting(Handler))
    assert bare[1:] == (TableInput, FormerTask)
    assert predictions(serving(*bare), [3, 4])[0]["label"] == "YES"


def test_an_earlier_handler_without_labels_gives_values():
    handler = serving(former_class("TabularClassifier"))
    handler.signature = table_signature("a", "b", output=RegressionOptions())
    assert predictions(handler, [3, 4]) == [{"values": [0.0, 3.0]}]
    assert "values" in handler.prediction_schema()["properties"]


def test_an_earlier_handler_answers_golden_rows_by_its_task():
    handler = serving(former_class("TabularClassifier"))
    outputs = Outputs(logits=np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert handler.right(outputs, ["no", "no"], None, {}).tolist() == [True, False]

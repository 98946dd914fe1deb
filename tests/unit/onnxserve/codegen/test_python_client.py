"""The client of a model in Python: what it declares, and what it makes of a real handler's answers."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from onnxserve import Client, RowError
from onnxserve.codegen import ModelContract, python_client
from onnxserve.codegen.contract import prediction_alone
from onnxserve_handlers.handler import Handler
from tests.helpers.handler_transport import HandlerTransport, client_of
from tests.helpers.inference import table_handler
from tests.helpers.task_models import MODELS

NUMBER = {"type": "number"}
ANY = {"type": "object", "additionalProperties": NUMBER}


def contract_of(handler: Handler) -> ModelContract:
    schemas = handler.schemas()
    signature = handler.signature
    prediction = prediction_alone(schemas["prediction"])
    return ModelContract(signature.model, schemas["row"], prediction, signature.input.max_rows, schemas["parameters"])


def contract(row: Any, prediction: Any = ANY) -> ModelContract:
    return ModelContract("my-model", row, prediction, 64)


def fields(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


@pytest.fixture
def load(monkeypatch) -> Any:
    """A function that makes a module of a source."""

    def loaded(source: str) -> Any:
        module = ModuleType("written_client")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(source, "written_client.py", "exec"), module.__dict__)  # noqa: S102 - what we wrote
        return module

    return loaded


@pytest.mark.parametrize("task", MODELS)
def test_every_tasks_predictions_become_what_is_declared(task, tmp_path, load):
    model = MODELS[task]
    handler = model.handler(tmp_path / "model")
    module = load(python_client(contract_of(handler)))
    client = client_of(HandlerTransport(handler))
    predictions = client.model(task, module.Prediction).predict(model.rows)
    assert [type(prediction) for prediction in predictions] == [module.Prediction] * len(model.rows)


def test_rows_and_predictions_have_the_models_names_and_types(load):
    server = HandlerTransport(table_handler())
    module = load(python_client(contract_of(server.handler)))
    client = module.DemoClient(Client("http://server", transport=server.transport()))
    assert client.predict([module.Row(a=1, b=0), module.Row(a=-1, b=0)]) == [
        module.Prediction(label="yes", score=0.731059),
        module.Prediction(label="no", score=0.731059),
    ]
    assert client.predict_row(module.Row(a=2, b=0)).label == "yes"
    answers = list(client.stream(module.Row(a="red" if number == 9 else 1, b=0) for number in range(10)))
    assert isinstance(answers[9], RowError)
    assert server.sizes()[:2] == [2, 1]
    assert max(server.sizes()) == 6  # the model's own largest request
    assert set(module.Label.__args__) == {"no", "yes"}


def test_names_that_python_has_taken_or_refuses_get_others(load):
    names = ("hue-mean", "hue_mean", "class", "1st", "float", "as_row", "Literal", "ä", '"quoted"')
    module = load(python_client(contract(fields(*names, **dict.fromkeys(names, NUMBER)))))
    row = module.Row(**{name: number for number, name in enumerate(module.Row.__annotations__)})
    assert row.as_row() == {name: number for number, name in enumerate(names)}


def test_a_row_may_have_several_forms_and_fields_that_are_left_out(load):
    named = fields("age", "basket", age=NUMBER, basket=NUMBER)
    keyed = fields("id", "basket", age=NUMBER, basket=NUMBER, id={"oneOf": [{"type": "integer"}, {"type": "string"}]})
    by_order = {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}
    module = load(python_client(contract({"oneOf": [by_order, named, keyed]})))
    assert module.Row(age=1, basket=2).as_row() == {"age": 1, "basket": 2}
    assert module.IdRow(id="a", basket=2).as_row() == {"id": "a", "basket": 2}
    assert module.IdRow.__annotations__ == {"age": "float | None", "basket": "float", "id": "int | str"}


def test_types_are_as_narrow_as_the_schema(load):
    prediction = fields(
        "box",
        box={"type": "array", "items": NUMBER, "minItems": 4, "maxItems": 4},
        many={"type": "array", "items": NUMBER, "minItems": 90, "maxItems": 90},
        pair={"type": "array", "prefixItems": [NUMBER, {"type": "string"}]},
        kind={"type": "string", "enum": ["b", "a"]},
        kinds={"type": "object", "properties": {"b": NUMBER, "a": NUMBER}},
        odd={"type": "object", "properties": {"x-y": NUMBER, "z": {"type": "string"}}},
        file={"type": "string", "contentEncoding": "base64"},
        either={"type": ["integer", "null"]},
        anything={},
    )
    module = load(python_client(contract(fields("text", text={"type": "string"}), prediction)))
    assert module.Prediction.__annotations__ == {
        "box": "tuple[float, float, float, float]",
        "many": "list[float] | None",
        "pair": "tuple[float, str] | None",
        "kind": "Kind | None",
        "kinds": "dict[Kind, float] | None",
        "odd": "dict[str, Any] | None",
        "file": "bytes | None",
        "either": "int | None",
        "anything": "Any | None",
    }


def test_parameters_go_with_every_request_under_the_models_names(load):
    server = HandlerTransport(table_handler())
    source = python_client(contract_of(server.handler))
    module = load(source)
    assert module.Parameters.__optional_keys__ == {"top_k"}
    client = module.DemoClient(Client("http://server", transport=server.transport()), parameters={"top_k": 2})
    assert [*client.predict_row(module.Row(a=1, b=0)).scores] == ["yes", "no"]
    assert [[*answer.scores] for answer in client.stream([module.Row(a=-1, b=0)])] == [["no", "yes"]]


def test_parameters_of_any_name_and_type_are_declared(load):
    choice = {"enum": ["fast", "exact"]}
    odd: dict[str, dict[str, Any]] = {
        "top-k": {"type": "integer"},
        "class": choice,
        "Parameters": {"type": ["number", "null"]},
    }
    module = load(python_client(ModelContract("demo", {}, {}, 6, odd)))
    types = {name: kind.__forward_arg__ for name, kind in module.Parameters.__annotations__.items()}
    assert types == {"top-k": "int", "class": "Class", "Parameters": "float | None"}
    assert module.Class.__args__ == ("fast", "exact")
    assert load(python_client(ModelContract("demo", {}, {}, 6))).Parameters.__annotations__ == {}


def test_a_model_without_schemas_takes_and_gives_any_json(load):
    server = HandlerTransport(table_handler())
    module = load(python_client(ModelContract("demo", {}, {}, 6)))
    client = module.DemoClient(Client("http://server", transport=server.transport()))
    assert client.predict([[1, 0]]) == [{"label": "yes", "score": 0.731059}]

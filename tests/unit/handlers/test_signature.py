"""The description of a model's rows and predictions: JSON schemas for OpenAPI, tensors for V2's metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.image import ImageOptions
from onnxserve_handlers.inputs.table_cells import cell_schema
from onnxserve_handlers.inputs.table_columns import Column
from onnxserve_handlers.inputs.text import TextOptions
from onnxserve_handlers.protocols.v2_grpc import metadata_message
from onnxserve_handlers.protocols.v2_http import model_metadata
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.signature import Features, InputOptions, Signature, Tensor
from tests.helpers.kinds import (
    ImageClassifier,
    JoinedClassifier,
    TableClassifier,
    TextClassifier,
    table_signature,
)
from tests.helpers.messages import kind

TABLE = table_signature("a", "b")


def opened(handler: Handler, signature: Signature) -> Handler:
    handler.signature = signature
    handler.prepare()
    return handler


def test_a_table_row_is_a_list_in_column_order_or_an_object_by_name():
    lists, named = opened(TableClassifier(), TABLE).row_schema()["oneOf"]
    assert (lists["items"], lists["minItems"], lists["maxItems"]) == (cell_schema(Column("a")), 2, 2)
    assert (named["required"], set(named["properties"]), named["additionalProperties"]) == (
        ["a", "b"],
        {"a", "b"},
        False,
    )


def test_a_row_may_bring_the_keys_of_a_feature_store_instead_of_what_it_knows():
    joined = replace(TABLE, features=Features(entities=("customer",), columns=("b",)))
    _, named, keyed = opened(JoinedClassifier(), joined).row_schema()["oneOf"]
    assert "customer" not in named["properties"]
    assert (keyed["required"], set(keyed["properties"])) == (["a", "customer"], {"a", "b", "customer"})


@pytest.mark.parametrize(
    ("handler", "options", "field"),
    [
        (TextClassifier, TextOptions(), "text"),
        (ImageClassifier, ImageOptions(height=2, width=2), "image"),
        (Handler, InputOptions(), None),
    ],
)
def test_a_row_of_another_kind_is_an_object_of_its_field_and_of_a_users_own_anything(handler, options, field):
    hooks = handler()
    hooks.signature = replace(TABLE, input=options)
    schema = hooks.row_schema()
    assert (schema.get("required"), schema.get("type")) == (([field], "object") if field else (None, None))


def test_a_prediction_is_a_label_of_the_models_or_its_values():
    labelled, error = opened(TableClassifier(), TABLE).schemas()["prediction"]["anyOf"]
    plain = task_alone("regression", TABLE).prediction_schema()
    assert (labelled["properties"]["label"]["enum"], set(error["properties"])) == (["no", "yes"], {"error"})
    assert set(plain["properties"]) == {"values"}


def test_a_users_handler_may_say_itself_what_its_rows_are():
    class Own(Handler):
        def schemas(self) -> dict[str, Any]:
            return super().schemas() | {"row": {"type": "integer"}}

    schemas = opened(Own(), TABLE).schemas()
    assert (schemas["row"], len(schemas["prediction"]["anyOf"])) == ({"type": "integer"}, 2)


@pytest.mark.parametrize(
    ("dtype", "datatype"), [("float32", "FP32"), ("bool", "BOOL"), ("object", "BYTES"), ("bfloat16", "bfloat16")]
)
def test_tensors_have_the_protocols_names_of_types_and_free_axes_no_size(dtype, datatype):
    tensors = (Tensor("x", dtype, ("batch", 3, "sequence")),)
    described = model_metadata(replace(TABLE, inputs=tensors))
    assert described == {
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": datatype, "shape": [-1, 3, -1]}],
        "outputs": [],
    }


def test_metadata_of_calls_is_that_of_http():
    inputs = (Tensor("x", "float32", ("batch", 300)), Tensor("y", "int64", ()))
    described = model_metadata(replace(TABLE, inputs=inputs, outputs=(Tensor("z", "bool", (1, 2, 3)),)))
    message = kind("ModelMetadataResponse").FromString(metadata_message(described))
    assert message.platform == described["platform"]
    for name in ("inputs", "outputs"):
        tensors = [
            {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
            for tensor in getattr(message, name)
        ]
        assert tensors == described[name]

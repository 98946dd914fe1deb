"""Tables of several types that a feature store completes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.errors import InvalidRow
from onnxserve_handlers.features.client import Key, Values
from onnxserve_handlers.inputs.table_columns import Column
from onnxserve_handlers.signature import Features
from tests.helpers.kinds import JoinedClassifier, table_signature

COLUMNS = (
    Column("plan", type="category", categories=("basic", "pro"), unknown=-1),
    Column("age", nullable=True),
    Column("trial", type="boolean"),
)


class Store:
    """A store that knows one entity."""

    def __init__(self, **values: Any) -> None:
        self.values = Values(values)

    def look_up(self, keys: Iterable[Key]) -> dict[Key, Values | None]:
        return dict.fromkeys(keys, self.values)


def joined(store: Store, **fields: Any) -> JoinedClassifier:
    handler = JoinedClassifier()
    spec = Features(service="s", entities=("id",), columns=("plan", "age"), **fields)
    handler.signature = table_signature(*COLUMNS, labels=("a",), features=spec)  # type: ignore[arg-type]
    handler.prepare()
    handler.store = store  # type: ignore[assignment]
    return handler


def test_texts_of_the_store_become_categories_and_null_is_null_where_a_column_takes_it():
    handler = joined(Store(plan="pro", age=None))
    [row] = handler.check_all([{"id": 1, "trial": True}], [0])
    np.testing.assert_array_equal(handler.tensors([row])["features"], np.array([[1, np.nan, 1]], np.float32))
    assert not handler.columnar()


def test_a_default_of_the_columns_type_takes_the_place_of_what_the_store_lacks():
    handler = joined(Store(plan=None, age=None), missing="default", defaults={"plan": "basic", "age": 40.0})
    assert handler.check({"id": 1, "trial": False}, "row") == [0, 40, 0]


def test_a_feature_that_is_missing_is_refused_where_null_is_not_accepted():
    with pytest.raises(InvalidRow, match=r"nothing is known of \['plan'\]"):
        joined(Store(plan=None, age=1)).check({"id": 1, "trial": False}, "row")


def test_the_schema_has_the_types_of_the_columns_beside_the_keys():
    by_key = joined(Store()).row_schema()["oneOf"][-1]
    assert by_key["required"] == ["trial", "id"]
    assert by_key["properties"]["trial"] == {"type": "boolean"}

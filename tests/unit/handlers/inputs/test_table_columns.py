"""Columns of other types than numbers: what each accepts, what the graph gets, and what drift compares."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto

from onnxserve_handlers.errors import InvalidRow
from onnxserve_handlers.inputs.table import TableInput, TableOptions
from onnxserve_handlers.inputs.table_columns import Column
from onnxserve_handlers.runtime.session import CPU, Provider, Session
from onnxserve_handlers.signature import OutputOptions, Signature
from tests.helpers.task_models import model_of

SHOP: list[str | dict[str, Any]] = [
    "amount",
    {"name": "seats", "type": "integer", "minimum": 1, "maximum": 9},
    {"name": "trial", "type": "boolean"},
    {"name": "plan", "type": "category", "categories": ["basic", "pro"], "unknown": -1},
    {"name": "age", "nullable": True},
    {"name": "income", "nullable": True, "fill": 7.5},
    {"name": "joined", "type": "date", "since": "2024-01-01"},
]
ROW = [1.5, 3, True, "pro", None, None, "2024-01-03T12:00:00Z"]


def options(columns: list[Any], **fields: Any) -> TableOptions:
    return msgspec.convert({"columns": columns, **fields}, TableOptions)


def table(columns: list[Any], **fields: Any) -> TableInput:
    kind = TableInput()
    kind.signature = Signature("m", "1", "", "", options(columns, **fields), OutputOptions(), (), (), 8)
    kind.prepare()
    return kind


def test_each_type_becomes_the_graphs_number():
    shop = table(SHOP)
    row = shop.check(ROW, "instances[0]")
    other = shop.check([*ROW[:3], "gold", 40, 1, "2024-01-01"], "instances[1]")
    features = shop.tensors([row, other])["features"]
    assert features.dtype == np.float32
    np.testing.assert_array_equal(
        features, np.array([[1.5, 3, 1, 1, np.nan, 7.5, 2.5], [1.5, 3, 1, -1, 40, 1, 0]], np.float32)
    )


def test_a_row_by_name_is_the_same_row():
    shop = table(SHOP)
    named = dict(zip(shop.columns, ROW, strict=True))
    np.testing.assert_array_equal(shop.check(named, "row"), shop.check(ROW, "row"))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("amount", None, "expected a number, got null"),
        ("amount", "1", "expected a number, got a string"),
        ("amount", 1e39, "not finite in float32"),
        ("seats", 1.5, "expected a whole number, got a fraction"),
        ("seats", 10, "at least 1 and at most 9"),
        ("seats", True, "expected a whole number"),
        ("trial", 1, "expected true or false"),
        ("plan", 1, "expected a string"),
        ("age", "x", "expected a number"),
        ("joined", "yesterday", "a date in ISO 8601"),
        ("joined", 5, "expected a date"),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_columns_name(name, value, reason):
    shop = table(SHOP)
    row = {**dict(zip(shop.columns, ROW, strict=True)), name: value}
    with pytest.raises(InvalidRow, match=reason) as refused:
        shop.check(row, "instances[0]")
    assert refused.value.where == f"instances[0].{name}"


def test_an_unknown_category_is_refused_becomes_nan_or_a_code():
    plan = {"name": "plan", "type": "category", "categories": ["basic", "pro"]}
    with pytest.raises(InvalidRow, match="unknown to the model") as refused:
        table([plan]).check(["gold"], "row")
    assert refused.value.fix == "send one of basic, pro"
    for rule, expected in (("nan", np.nan), (-1, -1), (2, 2)):
        kind = table([{**plan, "unknown": rule}])
        np.testing.assert_array_equal(kind.tensors([kind.check(["gold"], "row")])["features"], [[expected]])


def test_one_tensor_a_column_has_the_columns_own_type():
    kind = table(
        [
            "amount",
            {"name": "seats", "type": "integer", "dtype": "int32"},
            {"name": "trial", "type": "boolean"},
            {"name": "town", "type": "text", "nullable": True, "fill": "nowhere"},
        ],
        tensors="columns",
    )
    tensors = kind.tensors([kind.check([1, 2, True, "Bern"], "row"), kind.check([3, 4, False, None], "row")])
    assert {name: (array.dtype.kind, array.dtype.itemsize) for name, array in tensors.items() if name != "town"} == {
        "amount": ("f", 4),
        "seats": ("i", 4),
        "trial": ("b", 1),
    }
    assert tensors["town"].tolist() == [["Bern"], ["nowhere"]]
    assert {array.shape for array in tensors.values()} == {(2, 1)}


def test_one_long_text_takes_no_memory_in_other_rows():
    columns = table([{"name": "town", "type": "text"}], tensors="columns")
    rows = [columns.check([text], "row") for text in ("B" * 100_000, *["Bern"] * 999)]
    towns = columns.tensors(rows)["town"]
    assert towns.nbytes <= 8 * len(rows)
    assert (towns[0, 0], towns[-1, 0]) == ("B" * 100_000, "Bern")


def test_texts_keep_all_their_characters_on_the_way_to_the_graph():
    columns = table([{"name": "town", "type": "text"}], tensors="columns")
    node: Any = ("Identity", ["town"], ["same"], {})
    echo = model_of([node], [("town", TensorProto.STRING, ["batch", 1])], [("same", TensorProto.STRING, ["batch", 1])])
    session = Session(echo.SerializeToString(), Provider(CPU), 1)
    texts = ["Bern", "Gen\u00e8ve", "a\0b", "zero at the end\0", "\U0001f3d4"]
    given = session.run(columns.tensors([columns.check([text], "row") for text in texts]))["same"]
    assert given.ravel().tolist() == texts


@pytest.mark.parametrize(
    ("columns", "fields", "message"),
    [
        ([{"name": "plan", "type": "category"}], {}, "column 'plan': a category needs `categories`"),
        ([{"name": "a", "categories": ["x"]}], {}, "column 'a': only categories have `categories`"),
        ([{"name": "a", "minimum": 2, "maximum": 1}], {}, "column 'a': minimum is above maximum"),
        ([{"name": "a", "fill": 1}], {}, "column 'a': `fill` needs nullable = true"),
        ([{"name": "a", "type": "boolean", "nullable": True, "fill": "x"}], {}, "column 'a': fill: expected true"),
        ([{"name": "a", "type": "date", "since": "then"}], {}, "column 'a': since: "),
        ([{"name": "a", "type": "text"}], {}, "column 'a': a column of texts needs a tensor of its own"),
        ([{"name": "a", "dtype": "float64"}], {}, "column 'a': dtype = 'float64' needs a tensor of its own"),
        ([{"name": "a", "type": "integer", "nullable": True}], {"tensors": "columns"}, "column 'a': int64 has no NaN"),
        ([{"name": "a", "dtype": "string"}], {"tensors": "columns"}, "column 'a': only texts have tensors"),
        ([{"name": "a", "dtype": "int64"}], {"tensors": "columns"}, 'int64 can\'t hold: set type = "integer"'),
        (["a", "a"], {}, "two columns are called 'a'"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused_by_name(columns, fields, message):
    with pytest.raises(msgspec.ValidationError) as refused:
        options(columns, **fields)
    assert message in str(refused.value)


def test_a_column_of_numbers_stays_a_name_in_the_signature():
    assert msgspec.to_builtins(options(["x", {"name": "y", "nullable": True}]))["columns"] == (
        "x",
        {"name": "y", "nullable": True},
    )
    assert options(["x"]).typed_columns == (Column("x"),)


def test_integers_beyond_what_the_tensor_holds_exactly_are_refused():
    seats = [{"name": "id", "type": "integer"}]
    with pytest.raises(InvalidRow, match="which the graph holds exactly"):
        table(seats).check([2**24 + 1], "row")
    wide = table(seats, dtype="float64")
    assert wide.tensors([wide.check([2**53], "row")])["features"].tolist() == [[2.0**53]]


def test_numbers_in_float64_keep_all_their_digits():
    kind = table(["x"], dtype="float64")
    features = kind.tensors([kind.check([0.1], "row")])["features"]
    assert (features.dtype.name, features.tolist()) == ("float64", [[0.1]])
    assert kind.check([1e39], "row") == [1e39]


def test_null_is_nan_for_rows_in_columns_too_and_only_where_it_is_accepted():
    kind = table(["x", {"name": "y", "nullable": True}])
    assert kind.columnar()
    assert kind.decoder is None
    tensors, valid = kind.check_columns({"x": np.array([1.0, np.nan, 2]), "y": np.array([np.nan, 1, np.inf])})
    assert valid.tolist() == [True, False, False]
    np.testing.assert_array_equal(tensors["features"][0], kind.tensors([kind.check([1, None], "row")])["features"][0])


def test_drift_gets_categories_by_place_and_which_values_are_null():
    shop = table(SHOP)
    rows = [shop.check(ROW, "row"), shop.check([*ROW[:3], "gold", 40, 1, "2024-01-01"], "row")]
    measures = shop.measures(rows)
    assert measures["plan"].tolist() == [1, 2]  # an unknown category has a bin of its own
    np.testing.assert_array_equal(measures["age"], [np.nan, 40])
    assert (measures["age.missing"].tolist(), measures["income.missing"].tolist()) == ([1, 0], [1, 0])
    edges = options(SHOP).measure_edges
    assert (edges["plan"], edges["trial"], edges["age.missing"]) == ((0.5, 1.5), (0.5,), (0.5,))
    assert "amount" not in edges


def test_random_rows_are_within_the_signature():
    shop, draws = table(SHOP), np.random.default_rng(0)
    for _ in range(200):
        shop.check(json.loads(json.dumps(shop.sample(draws))), "sample")


@pytest.mark.parametrize(("unknown", "plans"), [("refuse", {0, 1}), ("nan", {0, 1, 2}), (-1, {0, 1, 2})])
def test_random_rows_have_another_category_where_it_is_accepted(unknown, plans):
    column = {"name": "plan", "type": "category", "categories": ["basic", "pro"], "unknown": unknown}
    shop, draws = table([column]), np.random.default_rng(0)
    assert {int(cell) for _ in range(200) for cell in shop.check(shop.sample(draws), "sample")} == plans


def test_the_schema_names_types_limits_and_categories():
    by_order, by_name = table(SHOP).row_schema()["oneOf"]
    assert len(by_order["prefixItems"]) == by_order["minItems"] == len(SHOP)
    fields = by_name["properties"]
    assert fields["seats"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert fields["plan"] == {"type": "string"}  # any other text has a code
    assert fields["age"]["anyOf"][1] == {"type": "null"}
    assert fields["joined"] == {"type": "string", "format": "date"}
    assert table(["x", "y"]).row_schema()["oneOf"][0]["items"]["type"] == "number"


def test_a_text_becomes_lower_case_as_python_makes_it_and_drift_sees_it_as_it_was():
    review = table([{"name": "review", "type": "text", "lower": True}], tensors="columns")
    rows = [review.check([text], "row") for text in ("GUT", "İs", "ΟΔΟΣ")]
    assert review.tensors(rows)["review"].ravel().tolist() == ["gut", "i\u0307s", "\u03bf\u03b4\u03bf\u03c2"]
    assert rows[0] == ["GUT"]
    with pytest.raises(msgspec.ValidationError, match="only texts have `lower`"):
        options([{"name": "amount", "lower": True}])


def test_a_category_that_is_a_number_is_known_in_every_spelling_that_clients_and_files_have():
    known = {"type": "category", "unknown": "nan", "categories": ["10", "20", "25.5"]}
    shop = table([{"name": "seats", **known}, {"name": "member", "type": "category", "categories": ["0", "1"]}])
    spellings = [("10", "0"), (10, False), (10.0, "False"), ("10.0", "false"), (25.5, True), ("25.50", "True"), (11, 1)]
    codes = shop.tensors([shop.check([*row], "row") for row in spellings])["features"]
    np.testing.assert_array_equal(codes[:, 0], [0, 0, 0, 0, 2, 2, np.nan])
    np.testing.assert_array_equal(codes[:, 1], [0, 0, 0, 0, 1, 1, 1])
    with pytest.raises(InvalidRow, match="unknown to the model"):
        shop.check(["10", "2"], "row")
    schema = shop.row_schema()["oneOf"][0]["prefixItems"][1]
    assert schema == {"anyOf": [{"type": "string", "enum": ["0", "1"]}, {"enum": [0, 1]}]}


def test_a_category_of_texts_is_no_number_even_where_it_looks_like_one():
    versions = table([{"name": "version", "type": "category", "categories": ["1.0", "1"], "unknown": -1}])
    assert versions.check(["1.0"], "row") != versions.check(["1"], "row")
    for value in (1, 1.0, True):
        with pytest.raises(InvalidRow, match="expected a string"):
            versions.check([value], "row")

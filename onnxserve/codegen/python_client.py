"""A typed client in Python."""

from __future__ import annotations

from typing import Any

from .contract import ModelContract, Schema
from .python_types import Choice, PythonTypes, is_name
from .schema_types import camel_case
from .source_template import render

ROW, PREDICTION, PARAMETERS, ANY_OBJECT = "Row", "Prediction", "Parameters", "dict[str, Any]"


def python_client(contract: ModelContract) -> str:
    """Return the source of a module with types of rows, predictions and parameters, and two clients of the model.

    mypy's strict mode accepts it. A model whose rows have no schema takes any JSON.
    """
    client = f"{camel_case(contract.name)}Client"
    types = PythonTypes([client, f"Async{client}", PARAMETERS])
    rows = declare_rows(types, contract.row)
    prediction = declare_prediction(types, contract.prediction)
    parameters = {name: types.of(schema, camel_case(name)) for name, schema in contract.parameters.items()}
    return render(
        "client.py.jinja",
        model=contract.name,
        max_rows=contract.max_rows,
        client=client,
        rows=" | ".join(rows) or "Any",
        as_row=".as_row()" if rows else "",
        prediction=prediction,
        parameters=parameters,
        choices=[known for known in types.declarations if isinstance(known, Choice)],
        records=[known for known in types.declarations if not isinstance(known, Choice)],
    )


def declare_rows(types: PythonTypes, schema: Schema) -> list[str]:
    """Declare a dataclass for each form of a row that is an object, and return their names."""
    alternatives = schema.get("anyOf") or schema.get("oneOf") or [schema]
    objects = [entry for entry in alternatives if entry.get("properties")]
    names, known = list[str](), set[str]()
    for entry in objects:
        new = [key for key in entry["properties"] if key not in known]
        name = f"{camel_case(new[0])}{ROW}" if names and new else ROW
        known |= set(entry["properties"])
        names.append(types.declare(entry["properties"], frozenset(entry.get("required", ())), name, is_row=True))
    return names


def declare_prediction(types: PythonTypes, schema: dict[str, Any]) -> str:
    """Declare the dataclass of a prediction and return its name; a dict where its fields can't be named."""
    properties = schema.get("properties", {})
    if not properties or not all(map(is_name, properties)):
        return ANY_OBJECT
    return types.declare(properties, frozenset(schema.get("required", ())), PREDICTION)

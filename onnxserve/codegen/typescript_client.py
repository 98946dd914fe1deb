"""A typed client in TypeScript, without dependencies: for browsers, and for Node from 18 on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from .contract import ModelContract
from .schema_types import Schema, SchemaTypes, camel_case
from .source_template import render


class TypeScriptTypes(SchemaTypes):
    """Types that need no declarations, since TypeScript's are structural."""

    unknown = "unknown"
    simple = MappingProxyType(
        {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
    )

    def literal(self, values: Sequence[Any], name: str) -> str:  # noqa: ARG002 - nothing is declared
        """Return a union of the values."""
        return " | ".join(map(quote, values))

    def file(self, schema: Schema) -> str:  # noqa: ARG002 - of any type
        """Return the type of a file in base64, which the module's `base64` makes."""
        return "string"

    def places(self, types: Sequence[str]) -> str:
        """Return a tuple."""
        return f"[{', '.join(types)}]"

    def list_of(self, element: str) -> str:
        """Return an array."""
        return f"Array<{element}>"

    def mapping(self, names: Sequence[str] | None, values: str) -> str:
        """Return an object whose values have one type."""
        return f"{{ [name: string]: {values} }}" if names is None else f"Record<{self.literal(names, '')}, {values}>"

    def record(self, properties: Mapping[str, Schema], required: frozenset[str], name: str) -> str:  # noqa: ARG002 - nothing is declared
        """Return an object with these fields."""
        fields = [
            f"{quote(key)}{'' if key in required else '?'}: {self.of(schema, key)}"
            for key, schema in properties.items()
        ]
        return f"{{ {'; '.join(fields)} }}"


def quote(value: Any) -> str:
    """Return a value as a literal of TypeScript, which JSON's are."""
    return msgspec.json.encode(value).decode()


def typescript_client(contract: ModelContract) -> str:
    """Return the source of a module with types of rows and predictions and a client; tsc's strict mode accepts it."""
    types = TypeScriptTypes()
    parameters = [f"{quote(key)}?: {types.of(schema, key)}" for key, schema in contract.parameters.items()]
    return render(
        "client.ts.jinja",
        model=contract.name,
        max_rows=contract.max_rows,
        client=f"{camel_case(contract.name)}Client",
        row=types.of(contract.row, "Row"),
        prediction=types.of(contract.prediction, "Prediction"),
        parameters=f"{{ {'; '.join(parameters)} }}" if parameters else "Record<string, never>",
    )

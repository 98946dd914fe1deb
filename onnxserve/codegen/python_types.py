"""Types of Python for JSON schemas: dataclasses for objects, Literal for a choice of values."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .schema_types import Schema, SchemaTypes, camel_case

# Names that types are written with; a field of such a name would hide them within its class.
BUILTINS = frozenset({"bool", "bytes", "dict", "float", "int", "list", "str", "tuple"})
NAMES = frozenset(
    {
        *("Any", "AsyncClient", "AsyncGenerator", "AsyncIterable", "AsyncModelClient", "Client", "Generator"),
        *("Iterable", "Literal", "ModelClient", "RowError", "Sequence", "TypedDict"),
    }
)


@dataclass(frozen=True)
class Field:
    """A field of a dataclass: its name in Python and in JSON, its type, and whether it must be there."""

    name: str
    key: str
    type: str
    required: bool


@dataclass(frozen=True)
class Record:
    """A dataclass; `is_row` for one that is sent as a row."""

    name: str
    fields: tuple[Field, ...]
    is_row: bool = False


@dataclass(frozen=True)
class Choice:
    """An alias of values that a field may have."""

    name: str
    values: tuple[Any, ...]


class PythonTypes(SchemaTypes):
    """Collects the declarations that types need, each before its first use."""

    unknown = "Any"
    simple = MappingProxyType({"string": "str", "number": "float", "integer": "int", "boolean": "bool", "null": "None"})

    def __init__(self, reserved: Sequence[str] = ()) -> None:
        self.declarations: list[Record | Choice] = []
        self._names = {*NAMES, *reserved}

    def literal(self, values: Sequence[Any], name: str) -> str:
        """Return the alias of a Literal; all choices of the same values share one."""
        if not all(isinstance(value, str | int | bool) or value is None for value in values):
            return self.unknown
        for known in self.declarations:
            if isinstance(known, Choice) and known.values == tuple(values):
                return known.name
        self.declarations.append(Choice(self.new_name(name), tuple(values)))
        return self.declarations[-1].name

    def file(self, schema: Schema) -> str:  # noqa: ARG002 - of any type
        """Return the type of a file: the client sends bytes as base64."""
        return "bytes"

    def places(self, types: Sequence[str]) -> str:
        """Return a tuple."""
        return f"tuple[{', '.join(types)}]"

    def list_of(self, element: str) -> str:
        """Return a list."""
        return f"list[{element}]"

    def mapping(self, names: Sequence[str] | None, values: str) -> str:
        """Return a dict; names may be any, since a choice of many would say no more."""
        return f"dict[{'str' if names is None else self.literal(names, 'Name')}, {values}]"

    def record(self, properties: Mapping[str, Schema], required: frozenset[str], name: str) -> str:
        """Return a dataclass, or a dict where names differ from model to model, such as labels."""
        schemas = list(properties.values())
        if len(schemas) > 1 and all(schema == schemas[0] for schema in schemas):
            return self.mapping(list(properties), self.of(schemas[0], name))
        if not all(is_name(key) for key in properties):
            return "dict[str, Any]"
        return self.declare(properties, required, name)

    def declare(
        self, properties: Mapping[str, Schema], required: frozenset[str], name: str, *, is_row: bool = False
    ) -> str:
        """Declare a dataclass with a field for each property, and return its name."""
        own = self.new_name(name)
        self._names |= set(properties)  # an alias of a field's own name would be hidden within the class
        taken, fields = {"as_row", *BUILTINS, *NAMES}, list[Field]()
        for key, schema in properties.items():
            attribute = field_name(key, taken)
            taken.add(attribute)
            written = self.of(schema, camel_case(key))
            optional = "" if key in required or written.endswith("None") else " | None"
            fields.append(Field(attribute, key, written + optional, key in required))
        self.declarations.append(Record(own, tuple(fields), is_row))
        return own

    def new_name(self, name: str) -> str:
        """Return a name that nothing else has."""
        base, number = camel_case(name), 2
        unique = base
        while unique in self._names:
            unique, number = f"{base}{number}", number + 1
        self._names.add(unique)
        return unique


def is_name(key: str) -> bool:
    """Return whether a key can be a field's name as it is."""
    return key.isidentifier() and key == field_name(key, {*BUILTINS, *NAMES}) and not key.startswith("_")


def field_name(key: str, taken: set[str]) -> str:
    """Return a name for a field: `hue_mean` for `hue-mean`, and another one where it is taken."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_") or "field"
    name = f"x{words}" if words[0].isdigit() else words
    while keyword.iskeyword(name) or name in taken:
        name += "_"
    return name

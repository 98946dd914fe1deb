"""Entries of records: msgspec structs and dataclasses whose fields have a docstring line, with the unit in brackets."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.definition.toml_literal import literal

from .entry import Entry, split_unit

INSPECT = msgspec.inspect
NAMES: dict[type, str] = {
    INSPECT.BoolType: "boolean",
    INSPECT.IntType: "integer",
    INSPECT.FloatType: "number",
    INSPECT.StrType: "text",
    INSPECT.AnyType: "any value",
}


def meanings(record: type) -> dict[str, str]:
    """Return the docstring line below each field of a record, by the field's name."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - a record is a class
    texts = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            texts[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore[attr-defined]
    return texts


def entries(record: type, table: str = "", skip: frozenset[str] = frozenset()) -> Iterator[Entry]:
    """Yield one entry for each field; records inside it are tables of their own, after its fields."""
    texts, inner = meanings(record), list[tuple[type, str]]()
    for field in INSPECT.type_info(record).fields:  # type: ignore[attr-defined]
        if field.name in skip:
            continue
        path = f"{table}.{field.name}".lstrip(".")
        nested = _record(field.type)
        if nested is not None:
            many = isinstance(field.type, INSPECT.VarTupleType)
            inner.append((nested, f"[{path}]" if many else path))
            if not (many and isinstance(field.type.item_type, INSPECT.UnionType)):
                continue  # its own table says everything
        meaning, unit = split_unit(texts.get(field.name, ""))
        yield Entry(table, field.name, type_name(field.type), unit, default_of(field), meaning)
    for nested, path in inner:
        yield from entries(nested, path)


def _record(kind: Any) -> type | None:
    """Return the record that a field holds, alone or in a list; None for any other field."""
    if isinstance(kind, INSPECT.UnionType):
        records = [record for record in map(_record, kind.types) if record is not None]
        return records[0] if records else None
    if isinstance(kind, INSPECT.VarTupleType):
        return _record(kind.item_type)
    return kind.cls if isinstance(kind, INSPECT.StructType | INSPECT.DataclassType) else None


def type_name(kind: Any) -> str:  # noqa: PLR0911 - one for each kind
    """Return a type in words, with its bounds."""
    if isinstance(kind, INSPECT.LiteralType):
        return "one of " + ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, INSPECT.UnionType):
        return " or ".join(type_name(each) for each in kind.types if not isinstance(each, INSPECT.NoneType))
    if isinstance(kind, INSPECT.VarTupleType):
        return f"list of {type_name(kind.item_type)}"
    if isinstance(kind, INSPECT.TupleType):
        return " and ".join(type_name(each) for each in kind.item_types)
    if isinstance(kind, INSPECT.DictType):
        return f"table of {type_name(kind.value_type)}"
    if isinstance(kind, INSPECT.StructType):
        return "table"
    if isinstance(kind, INSPECT.CustomType):
        return "path" if issubclass(kind.cls, Path) else str(kind.cls.__name__)
    bounds = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "multiple_of": "a multiple of"}
    limits = [f"{word} {value:g}" for name, word in bounds.items() if (value := getattr(kind, name, None)) is not None]
    return ", ".join([NAMES[type(kind)], *limits])


def default_of(field: Any) -> str:
    """Return a default as TOML writes it; `required` and `none` in words."""
    if field.required:
        return "required"
    value = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    return in_code(value)


def in_code(value: object) -> str:
    """Return a value as TOML writes it, in code marks; `none` for no value."""
    if value is None or dataclasses.is_dataclass(value):
        return "none"
    return f"`{literal(str(value) if isinstance(value, Path) else value)}`"

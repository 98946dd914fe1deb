"""Entries of `model.toml`: the definition's fields, and those that each input kind and each task add."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from onnxserve.definition import Definition
from onnxserve_handlers.registry import KINDS, TASKS, input_kind, task

from .entry import Entry
from .fields import entries

CHOICES: dict[str, tuple[str, dict[str, type[msgspec.Struct]]]] = {
    "input": ("kind", {name: input_kind(name).input_options for name in KINDS}),
    "output": ("task", {name: task(name).output_options for name in TASKS}),
}


def definition_entries() -> Iterator[Entry]:
    """Yield the entries table by table; those of a kind or a task follow the fields that all have."""
    fields = entries(Definition, skip=frozenset({"folder"}))
    for table, group in groupby(fields, key=lambda entry: entry.where):
        yield from group
        field, records = CHOICES.get(table, ("", {}))
        for name, record in records.items():
            inherited = frozenset(record.__struct_fields__) - record.__annotations__.keys()
            for entry in entries(record, table, skip=inherited):
                yield entry._replace(where=f'{table}, {field} = "{name}"') if entry.where == table else entry

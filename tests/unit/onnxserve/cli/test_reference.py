"""The configuration reference has every field, option and variable, and is what its generator makes."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import msgspec
import pytest

from onnxserve.batch import JobRequest, Machine, Remote, Shape
from onnxserve.cli.app import app
from onnxserve.cli.reference.fields import meanings
from onnxserve.cli.reference.options import commands
from onnxserve.cli.reference.page import all_entries, page
from onnxserve.client.retry import Retry
from onnxserve.client.settings import Settings as ClientSettings
from onnxserve.definition import Definition
from onnxserve.gateway import GatewayConfig
from onnxserve.torchserve import Settings
from onnxserve_handlers.inputs.table_columns import Column
from onnxserve_handlers.inputs.tensors import TensorOptions
from onnxserve_handlers.registry import KINDS, TASKS, input_kind, task
from tests import ROOT

PAGE = ROOT / "docs" / "reference" / "configuration.md"
ENTRIES = all_entries()
EVERY = [entry for section in ENTRIES.values() for entry in section]
CODE = [
    path
    for folder in ("onnxserve", "handlers", "export", "torchserve")
    for suffix in ("*.py", "*.java")
    for path in (ROOT / folder).rglob(suffix)
]
# The options of `onnxserve batch` that fill the records of a job; a field without one isn't a person's to set.
OPTIONS: dict[Any, dict[str, str | None]] = {
    JobRequest: {
        "archive": "ARCHIVE",
        "inputs": "INPUTS",
        "kind": "--format",
        "columns": "--map",
        "shape": "--partition-by",
        "remote": "--endpoint",
    },
    Shape: {"partition": "--partition-by"},
    Remote: {"url": "--endpoint", "tries": None},
    Machine: {},
}


# Records inside a kind's own.
INNER = {"[input.tensors]": TensorOptions, "[input.columns]": Column}
OF_KINDS = {(table, name) for table, record in INNER.items() for name in record.__struct_fields__}


def paths(record: Any, table: str = "") -> set[tuple[str, str]]:
    """Table and name of each field of a record and of those inside it, found by walking its defaults and types."""
    fields = set()
    for field in msgspec.structs.fields(record):
        inner = [
            kind for kind in (field.type, *getattr(field.type, "__args__", ())) if hasattr(kind, "__struct_fields__")
        ]
        path = f"{table}.{field.name}".lstrip(".")
        if inner:
            fields |= paths(inner[0], f"[{path}]" if "tuple" in str(field.type) else path)
        else:
            fields.add((table, field.name))
    return fields


def test_the_committed_page_is_what_the_generator_makes():
    assert PAGE.read_text(encoding="utf-8") == page(PAGE.read_text(encoding="utf-8")), "run: make reference"


@pytest.mark.parametrize(("section", "record"), [("gateway.toml", GatewayConfig), ("model.toml", Definition)])
def test_every_field_of_a_toml_file_has_an_entry(section, record):
    entries = {(entry.where, entry.name) for entry in ENTRIES[section] if ", " not in entry.where} - OF_KINDS
    assert entries == paths(record) - {("", "folder")}
    assert len(entries) > 40


@pytest.mark.parametrize(
    ("choice", "records"),
    [
        ('input, kind = "{}"', {name: input_kind(name).input_options for name in KINDS}),
        ('output, task = "{}"', {name: task(name).output_options for name in TASKS}),
    ],
)
def test_every_field_of_a_kind_and_of_a_task_has_an_entry(choice, records):
    for name, record in records.items():
        table = choice.format(name)
        shared = {entry.name for entry in ENTRIES["model.toml"] if entry.where == table.partition(",")[0]}
        own = {(entry.where, entry.name) for entry in ENTRIES["model.toml"] if table in entry.where}
        assert own >= {(table, name) for name in record.__struct_fields__ if name not in shared | {"tensors"}}, table
        assert (table, table.split()[1]) in own


def test_every_setting_of_a_server_has_an_entry_with_its_variable():
    entries = {entry.name: entry.variable for entry in ENTRIES["Settings of a server"]}
    assert entries == {field.name: f"ONNXSERVE_{field.name.upper()}" for field in dataclasses.fields(Settings)}


def test_every_setting_of_a_client_has_an_entry():
    entries = {(entry.where, entry.name) for entry in ENTRIES["Clients in Python"]}
    records = {"Client": ClientSettings, "Retry": Retry}
    assert entries == {(name, field.name) for name, record in records.items() for field in dataclasses.fields(record)}


@pytest.mark.parametrize("record", OPTIONS, ids=lambda record: record.__name__)
def test_every_field_of_a_batch_job_has_an_option(record):
    flags = {flag for entry in ENTRIES["onnxserve batch"] for flag in entry.name.split(", ")}
    named = OPTIONS[record]
    options = {named.get(name, f"--{name.replace('_', '-')}") for name in record.__struct_fields__}
    assert options - {None} <= flags


def test_every_variable_that_the_code_names_has_an_entry():
    text = "\n".join(path.read_text(encoding="utf-8") for path in CODE)
    named = set(re.findall(r"\b(?:ONNXSERVE|TS)_[A-Z][A-Z_]*[A-Z]\b", text))
    assert len(named) > 15
    assert named <= {entry.name for entry in EVERY} | {entry.variable for entry in EVERY}


def test_every_entry_says_what_it_means():
    for entry in EVERY:
        assert re.fullmatch(r"[A-Z`'].*\.", entry.meaning), entry
        assert len(entry.meaning.split()) >= 3, entry
        assert entry.type, entry


def test_a_quantity_has_a_unit():
    suffixes = ("_ms", "_s", "_bytes", "_mib", "_kib", "_mb", "_percent", "seconds", "megabytes", "hours", "days")
    fields = [entry for section in ("gateway.toml", "model.toml", "Clients in Python") for entry in ENTRIES[section]]
    quantities = [entry for entry in fields if entry.name.endswith(suffixes)]
    assert len(quantities) > 15
    assert [entry for entry in quantities if not entry.unit] == []


def test_the_meaning_of_a_field_is_the_line_below_it():
    assert meanings(GatewayConfig)["default"].startswith("The version of each model")
    assert ("serve",) in dict(commands(app))

"""The user's answers as fields of the definition."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

from onnxserve.errors import DefinitionError

from .options import ImportOptions
from .outline import Fact

FIELD = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
LIMITS = "input.limits"
TENSOR = re.compile(r"(?P<name>[^=\s]+)=(?P<dtype>\w+)\[(?P<sizes>[^\]]*)\]")


def read_answers(options: ImportOptions) -> Mapping[str, Fact]:
    """Return the fields that the options set, by dotted path; DefinitionError for one that can't be read."""
    return dict(_answers(options))


def _answers(options: ImportOptions) -> Iterator[tuple[str, Fact]]:
    option_names = {"input.kind": "kind", "output.task": "task", "rows.location": "rows", "version": "version"}
    for field, option in option_names.items():
        if value := getattr(options, option):
            yield field, Fact(value, f"--{option}")
    for field, option in {"output.labels": "labels", "input.columns": "columns"}.items():
        if text := getattr(options, option):
            yield field, Fact(names_of(text), f"--{option}")
    if options.tensors:
        yield "input.tensors", Fact([tensor_of(text) for text in options.tensors], "--tensor")
    for text in options.fields:
        field, mark, value = text.partition("=")
        if not mark or not FIELD.fullmatch(field.strip()):
            raise DefinitionError(f"--set {text}: no field of model.toml", fix="write it as --set input.max_tokens=256")
        for name, part in fields_of(field.strip(), value_of(value.strip())):
            yield name, Fact(part, "--set")


def fields_of(field: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value sets by dotted path: a section has its own fields, and rows named alone are their place.

    Each field then has one path, so that a section is never written twice.
    """
    if field == "rows" and isinstance(value, str):
        value = {"location": value}
    if "." in field or not isinstance(value, dict):
        yield field, value
        return
    for name, part in value.items():
        yield f"{field}.{name}", part


def dotted_fields(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a definition's sections by dotted path, and the limit of each free axis by its own."""
    for section, value in fields.items():
        for field, part in fields_of(section, value):
            if field == LIMITS and isinstance(part, Mapping):
                yield from ((f"{LIMITS}.{axis}", limit) for axis, limit in part.items())
            else:
                yield field, part


def names_of(text: str) -> list[str]:
    """Return names with commas between them, or the lines of a file; DefinitionError for a file that isn't UTF-8."""
    names = text.split(",")
    if is_file(text):
        try:
            names = Path(text).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DefinitionError(
                "the file isn't UTF-8", where=text, fix="write it as UTF-8, a name on each line"
            ) from error
    return [name.strip() for name in names if name.strip()]


def is_file(text: str) -> bool:
    """Return whether a text is the path of a file; many names in one are too long for a path."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def value_of(text: str) -> Any:
    """Parse a value as TOML; anything else is a text, and so is a date, which no field takes."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if isinstance(value, date | time) else value


def tensor_of(text: str) -> dict[str, Any]:
    """Read `NAME=DTYPE[SIZES]`; a size is a number, or the name of a free axis. DefinitionError for anything else."""
    match = TENSOR.fullmatch(text)
    if not match:
        raise DefinitionError(f"--tensor {text}: no tensor", fix="write NAME=DTYPE[SIZES], as frames=float32[time,80]")
    sizes = [size.strip() for size in match["sizes"].split(",") if size.strip()]
    shape = [int(size) if size.isdigit() else size for size in sizes]
    return {"name": match["name"], "dtype": match["dtype"], "shape": shape}

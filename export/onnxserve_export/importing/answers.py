"""The user's answers as fields of the definition."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.faults import FaultList

from .options import ImportOptions
from .outline import Fact, check_choices

FIELD = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
JSON = ".json"
FILE = re.compile(r"[^,]*\.(txt|csv|names|json)", re.IGNORECASE)  # in place of names with commas between them
LIMITS = "input.limits"
TENSOR = re.compile(r"(?P<name>[^=\s]+)=(?P<dtype>\w+)\[(?P<sizes>[^\]]*)\]")


def read_answers(options: ImportOptions, faults: FaultList) -> Mapping[str, Fact]:
    """Return the fields that the options set, by dotted path; each option that can't be read is added to `faults`."""
    answers = dict(_answers(options, faults))
    check_choices(answers, faults)
    return answers


def _answers(options: ImportOptions, faults: FaultList) -> Iterator[tuple[str, Fact]]:
    option_names = {"input.kind": "kind", "output.task": "task", "rows.location": "rows", "version": "version"}
    for field, option in option_names.items():
        if value := getattr(options, option):
            yield field, Fact(value, f"--{option}")
    for field, option in {"output.labels": "labels", "input.columns": "columns"}.items():
        if names := faults.attempt(partial(names_of, getattr(options, option), f"--{option}")):
            yield field, Fact(names, f"--{option}")
    if options.tensors:
        tensors = [faults.attempt(partial(tensor_of, text)) for text in options.tensors]
        yield "input.tensors", Fact([tensor for tensor in tensors if tensor], "--tensor")
    for text in options.fields:
        for name, part in faults.attempt(partial(field_of, text)) or ():
            yield name, Fact(part, "--set")


def field_of(text: str) -> list[tuple[str, Any]]:
    """Return what `FIELD=VALUE` sets by dotted path; DefinitionError for anything else."""
    field, mark, value = text.partition("=")
    if not mark or not FIELD.fullmatch(field.strip()):
        raise DefinitionError(f"--set {text}: no field of model.toml", fix="write it as --set input.max_tokens=256")
    return list(fields_of(field.strip(), value_of(value.strip())))


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


def names_of(text: str, option: str) -> list[str]:
    """Return names with commas between them, or the lines of a file.

    DefinitionError for a file that isn't there, isn't UTF-8, or is JSON; a lone name with a file's suffix is a file's.
    """
    names = text.split(",")
    if FILE.fullmatch(text) and (text.lower().endswith(JSON) or not is_file(text)):
        raise DefinitionError(
            f"{option}: {'names are not read from JSON' if is_file(text) else f'there is no file {text}'}",
            where=str(Path(text).absolute()),
            fix="give the path of a text file with a name on each line, or the names with commas between them",
        )
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

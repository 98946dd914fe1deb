"""The pages: their heads are written by hand, everything below the mark is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from onnxserve.cli.app import app
from onnxserve.gateway import GatewayConfig

from .client import client_entries
from .definition import definition_entries
from .entry import Entry
from .fields import entries
from .hooks import tables
from .options import commands, options
from .settings import former_variables, setting_entries
from .variables import VARIABLES

MARK = "<!-- Everything below is generated: make reference -->"
FIELDS = ("field", "type", "unit", "default", "meaning")
SETTINGS = ("setting", "type", "default", "environment variable", "option", "meaning")
OPTIONS = ("option", "type", "default", "meaning")
HOOKS = ("hook", "meaning")
CLIENT = ("record", "setting", "type", "unit", "default", "meaning")
VARIABLE_FIELDS = ("variable", "read by", "type", "unit", "default", "meaning")


def page(text: str, name: str = "configuration.md") -> str:
    """Return the page of this name with its generated part made anew; ValueError for a page without the mark."""
    head, mark, _ = text.partition(MARK)
    if not mark:
        raise ValueError(f"the page has no line {MARK}")
    return "\n".join([head + MARK, *PAGES[name]()]) + "\n"


def all_entries() -> dict[str, list[Entry]]:
    """Return the entries by the heading of their section."""
    functions = dict(commands(app))
    return {
        "gateway.toml": list(entries(GatewayConfig)),
        "model.toml": list(definition_entries()),
        "Settings of a server": list(setting_entries()),
        "onnxserve serve": list(options(functions["serve",], "onnxserve serve")),
        "onnxserve batch": list(options(functions["batch",], "onnxserve batch")),
        "Clients in Python": list(client_entries()),
        "Environment variables": [*VARIABLES, *former_variables()],
    }


def _sections() -> Iterator[str]:
    """Yield the lines of each section."""
    for heading, rows in all_entries().items():
        yield f"\n## {heading}\n"
        if heading.endswith(".toml"):
            yield from _tables(rows)
        elif heading.startswith("onnxserve"):
            yield from _table(OPTIONS, map(_option, rows))
        elif heading.startswith("Settings"):
            yield from _table(SETTINGS, map(_setting_cells, rows))
        elif heading.startswith("Clients"):
            yield from _table(CLIENT, ((_code(row.where), _code(row.name), *row[2:6]) for row in rows))
        else:
            yield from _table(VARIABLE_FIELDS, ((_code(row.name), row.where, *row[2:6]) for row in rows))


def _tables(entries_: list[Entry]) -> Iterator[str]:
    """Yield the lines of one table of the page for each table of a TOML file."""
    for number, table in enumerate(dict.fromkeys(entry.where for entry in entries_)):
        if table:
            name, _, choice = table.partition(", ")
            yield f"{chr(10) if number else ''}### `[{name}]`{f', `{choice}`' if choice else ''}\n"
        rows = [entry for entry in entries_ if entry.where == table]
        yield from _table(FIELDS, ((_code(row.name), *row[2:6]) for row in rows))


def _option(row: Entry) -> tuple[str, ...]:
    computed = "default:" in row.meaning.lower()
    return _code(row.name), row.type, "see meaning" if computed else row.default, row.meaning


def _setting_cells(row: Entry) -> tuple[str, ...]:
    return _code(row.name), row.type, row.default, _code(row.variable), _code(row.where), row.meaning


def _code(text: str) -> str:
    return ", ".join(f"`{part}`" for part in text.split(", ")) if text else ""


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"


def _hook_sections() -> Iterator[str]:
    """Yield the lines of each section of hooks."""
    for heading, rows in tables():
        yield f"\n## {heading}\n"
        yield from _table(HOOKS, rows)


PAGES: dict[str, Callable[[], Iterator[str]]] = {"configuration.md": _sections, "handlers.md": _hook_sections}

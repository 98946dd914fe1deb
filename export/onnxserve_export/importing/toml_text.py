"""`model.toml` of an outline: each value with a comment that says where it was read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .outline import Outline

BARE = re.compile(r"[A-Za-z0-9_-]+")
WIDTH = 120  # of a line
# Fields that come before the others of their section, in this order.
FIRST = ("name", "version", "source", "source_outputs", "rows", "kind", "task")


def toml_text(outline: Outline, artefact: str) -> str:
    """Return the file's text; `artefact` is what was imported, as the user named it."""
    lines = [
        f"# Made of {_comment(artefact)} by `onnxserve import`. A comment says where a value was read;",
        "# docs/reference/configuration.md explains every field.",
        *_fields(outline, ""),
    ]
    if not outline.get("rows"):
        lines += ['# rows = "rows.jsonl"  # examples to prove it with; without them the archive is unproven']
    for name in outline.sections():
        lines += ["", f"[{name}]", *_fields(outline, name)]
    return "\n".join(lines) + "\n"


def _fields(outline: Outline, section: str) -> Iterator[str]:
    facts = dict(outline.section(section))
    for name in sorted(facts, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        fact = facts[name]
        key = ".".join(map(_key, name.split(".")))
        line, comment = f"{key} = {literal(fact.value)}", _comment(fact.origin)
        if not comment:
            yield line
        elif "\n" not in line and len(line) + len(comment) + 4 <= WIDTH:
            yield f"{line}  # {comment}"
        else:
            yield f"# {comment}"
            yield line


def _comment(text: str) -> str:
    """Return a text as a comment may hold it: on one line, without control characters."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


def literal(value: Any) -> str:
    """Return a value as TOML writes it; a list that is too long for a line has an element on each."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)} = {literal(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        items = [literal(item) for item in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) <= WIDTH - 20 else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    return repr(value)


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

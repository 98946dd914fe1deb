"""`model.toml` of an outline: each value with a comment that says where it was read."""

from __future__ import annotations

from collections.abc import Iterator

from onnxserve.definition.toml_literal import key, literal

from .outline import Outline

WIDTH = 120  # of a line
# Fields that come before the others of their section, in this order.
FIRST = ("name", "version", "source", "source_outputs", "kind", "task", "location")


def toml_text(outline: Outline, artefact: str) -> str:
    """Return the file's text; `artefact` is what was imported, as the user named it."""
    lines = [
        f"# Made of {_comment(artefact)} by `onnxserve import`. A comment says where a value was read;",
        "# docs/reference/configuration.md explains every field.",
        *_fields(outline, ""),
    ]
    if not outline.get("rows.location"):
        lines += ['# rows = "rows.jsonl"  # examples to prove it with; without them the archive is unproven']
    for name in outline.sections():
        lines += ["", f"[{name}]", *_fields(outline, name)]
    return "\n".join(lines) + "\n"


def _fields(outline: Outline, section: str) -> Iterator[str]:
    facts = dict(outline.section(section))
    for name in sorted(facts, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        fact = facts[name]
        dotted = ".".join(map(key, name.split(".")))
        line, comment = f"{dotted} = {literal(fact.value)}", _comment(fact.origin)
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

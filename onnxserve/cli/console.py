"""Where commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer
from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]


def show(document: object, human: Callable[[], None], *, as_json: bool) -> None:
    """Print for a person, or as one JSON document."""
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    else:
        human()


def show_lines(document: object, *lines: str, as_json: bool) -> None:
    """Print lines for a person, or one JSON document."""
    show(document, lambda: out.print("\n".join(lines), markup=False), as_json=as_json)

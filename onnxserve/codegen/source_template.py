"""Templates of source code."""

from __future__ import annotations

from pathlib import Path

import jinja2
import msgspec

TEMPLATES = Path(__file__).with_name("templates")


def render(name: str, **variables: object) -> str:
    """Return a template's text with these variables."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["repr"] = repr
    environment.filters["json"] = lambda value: msgspec.json.encode(value).decode()
    return environment.get_template(name).render(**variables)

"""HTML for notebooks, from templates that escape every value; it needs neither a script nor another file."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: object) -> str:
    """Return the HTML of a template of this package."""
    return _templates().get_template(f"{template}.html.jinja").render(values)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # few programs show anything

    loader = PackageLoader("onnxserve.api")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

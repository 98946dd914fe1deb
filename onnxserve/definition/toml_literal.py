"""Values and keys as TOML writes them, for definitions that onnxserve makes: https://toml.io/en/v1.0.0."""

from __future__ import annotations

import json
import re
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")
WIDTH = 100  # characters of a list; a longer one has an element on each line


def literal(value: Any) -> str:
    """Return a boolean, number, text, list or mapping as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        pairs = ", ".join(f"{key(name)} = {literal(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        items = [literal(item) for item in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) <= WIDTH else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    return repr(value)


def key(name: str) -> str:
    """Return a key, in quotes where TOML needs them."""
    return name if BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    # JSON's escapes are TOML's too, but TOML takes no surrogates, and DEL only as an escape.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

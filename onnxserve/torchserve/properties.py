"""Java properties as TorchServe has them: `key=value` lines and `#` comments.

Source of the escapes: https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/Properties.html.
"""

from __future__ import annotations

import re
from pathlib import Path

from onnxserve.errors import ServerError

ASCII_END = 128
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}
ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
LETTERS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}  # any other character stands for itself


def parse_properties(text: str) -> dict[str, str]:
    """Return keys and values in order; a later line replaces an earlier one."""
    pairs = (line.split("=", 1) for line in map(str.strip, text.split("\n")) if "=" in line and line[0] != "#")
    return {key.strip(): _unescaped(value.strip()) for key, value in pairs}


def read_properties(path: Path) -> dict[str, str]:
    """Read and parse a file; ServerError when it can't be read."""
    try:
        return parse_properties(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ServerError(f"can't read the configuration: {error.strerror}", where=str(path)) from error


def render_properties(properties: dict[str, str]) -> str:
    """Return a file's text as Java reads it, in Latin-1 with escapes for other characters, such as a folder's."""
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(text: str) -> str:
    plain = "".join(ESCAPES.get(character, character) for character in text)
    if plain.startswith(" "):
        plain = f"\\{plain}"  # Java drops spaces before a value
    units = memoryview(plain.encode("utf-16-le", "surrogatepass")).cast("H")  # of the machine's order, as all of ours
    return "".join(chr(unit) if unit < ASCII_END else f"\\u{unit:04x}" for unit in units)


def _unescaped(text: str) -> str:
    plain = ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else LETTERS.get(match[2], match[2]), text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # pairs become one character

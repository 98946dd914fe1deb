"""Java properties as TorchServe's start script reads them: `key=value` lines and `#` comments."""

from __future__ import annotations

from pathlib import Path

from onnxserve.errors import ServerError

ASCII_END = 128


def parse_properties(text: str) -> dict[str, str]:
    """Return keys and values in order; a later line replaces an earlier one."""
    pairs = (line.split("=", 1) for line in map(str.strip, text.splitlines()) if "=" in line and line[0] != "#")
    return {key.strip(): value.strip() for key, value in pairs}


def read_properties(path: Path) -> dict[str, str]:
    """Read and parse a file; ServerError when it can't be read."""
    try:
        return parse_properties(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ServerError(f"can't read the configuration: {error.strerror}", where=str(path)) from error


def render_properties(properties: dict[str, str]) -> str:
    """Return a file's text as Java reads it, in Latin-1 with escapes for other characters, such as a folder's.

    Source: https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/Properties.html.
    """
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(text: str) -> str:
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")  # of the machine's order, as all of ours
    return "".join(chr(unit) if unit < ASCII_END else f"\\u{unit:04x}" for unit in units)

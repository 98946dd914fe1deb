"""How much each node loses in 8 bits, measured one at a time from fp32, and kept beside the definition.

Leaving one out of a fully quantised graph would show nothing where several nodes are fatal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from .records import Sensitivity

FILE = "sensitivity.json"


def read(path: Path) -> Sensitivity | None:
    """Return what was measured before, None if nothing usable is there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sensitivity)
    except (OSError, msgspec.DecodeError):
        return None


def write(path: Path, sensitivity: Sensitivity) -> None:
    """Replace the file in one step, so that an interrupted export leaves a whole one."""
    partial = path.with_suffix(".part")
    rounded = {name: float(f"{value:.4g}") for name, value in sensitivity.damage.items()}
    document = msgspec.json.encode({"graph": sensitivity.graph, "damage": rounded})
    partial.write_bytes(msgspec.json.format(document, indent=2) + b"\n")
    partial.replace(path)


def explore(
    path: Path,
    graph: str,
    nodes: list[str],
    measure: Callable[[str], float],
    minutes: float,
    progress: Callable[[str, int, int], None],
) -> Sensitivity:
    """Measure the nodes that aren't known yet until `minutes` have passed, and write the file after each."""
    before = read(path)
    known = {name: value for name, value in (before.damage if before else {}).items() if name in nodes}
    if before and before.graph != graph and len(known) < len(nodes):
        before, known = None, {}  # half a ranking of other weights isn't finished with these
    sensitivity = Sensitivity(before.graph if before else graph, known)
    deadline = time.monotonic() + 60 * minutes
    for name in nodes:
        if name in sensitivity.damage:
            continue
        if time.monotonic() > deadline:
            break
        progress("search", len(sensitivity.damage), len(nodes))
        sensitivity.damage[name] = measure(name)
        write(path, sensitivity)
    return sensitivity

"""What is wrong with the rows of a file, each by its line and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnxserve.batch.chunk import Chunk
from onnxserve.errors import DefinitionError

SHOWN = 5
MOST_COLUMNS = 20  # of which a fault is shown


class RowFault(Exception):
    """A value that can't be taken, and the column at fault; empty for a whole row."""

    def __init__(self, reason: str, column: str) -> None:
        super().__init__(reason)
        self.reason, self.column = reason, column


def unreadable(faults: Sequence[tuple[int, RowFault]], chunk: Chunk, fix_of: Callable[[str], str]) -> DefinitionError:
    """Return the error for faults by their places in a chunk: the first of each column is shown, then more of them.

    `fix_of` says how the values of a column are mended.
    """
    ordered = sorted(faults, key=lambda fault: fault[0])
    first = dict[str, tuple[int, RowFault]]()
    for place, fault in ordered:
        first.setdefault(fault.column, (place, fault))
    firsts = [*first.values()][:MOST_COLUMNS]
    others = [fault for fault in ordered if fault not in firsts][: max(0, SHOWN - len(firsts))]
    lines = [
        f"{chunk.position(place)}{f', column {fault.column}' if fault.column else ''}: {fault.reason}"
        for place, fault in sorted([*firsts, *others], key=lambda fault: fault[0])
    ]
    if len(faults) > len(lines):
        lines.append(f"{len({place for place, _ in faults})} of these {chunk.size} rows can't be read")
    fixes = dict.fromkeys(map(fix_of, first))
    return DefinitionError("rows can't be read", where="\n         ".join(lines), fix="; ".join(filter(None, fixes)))

"""Several bad rows of one request, said at once, so that the caller needs one round to mend them."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import InvalidRow, RequestError

SHOWN = 10


def combined(faults: Sequence[RequestError]) -> RequestError | None:
    """One error for all faults of a request, None for none."""
    if len(faults) < 2:
        return faults[0] if faults else None
    shown = "; ".join(f"{fault.where}: {fault.reason}" for fault in faults[:SHOWN])
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return InvalidRow(shown + more, where=faults[0].where, fix=faults[0].fix)

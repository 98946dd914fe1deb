"""Several bad rows of one request, said at once, so that the caller needs one round to mend them."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import InvalidRow, RequestError

SHOWN = 10


def combined(faults: Sequence[RequestError]) -> RequestError | None:
    """One error for all faults of a request, of their kind where they have one; None for none."""
    if len(faults) < 2:
        return faults[0] if faults else None
    shown = "; ".join(f"{fault.where}: {fault.reason}" for fault in faults[:SHOWN])
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    kinds = {type(fault) for fault in faults}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRow
    error = kind.__new__(kind)  # the constructors of some kinds take no reason
    RequestError.__init__(error, shown + more, where=faults[0].where, fix=faults[0].fix)
    return error

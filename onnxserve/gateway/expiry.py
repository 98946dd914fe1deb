"""When a key ends, as people write it."""

from __future__ import annotations

import datetime as dt
import re

from onnxserve.errors import EdgeError

PERIOD = re.compile(r"([0-9]{1,6})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FIX = "write 30m, 12h, 90d, 8w, a date such as 2027-01-31 (its beginning, UTC), or a time such as 2027-01-31T12:00:00Z"


def now() -> dt.datetime:
    """The time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def moment(text: str, begin: dt.datetime) -> dt.datetime:
    """A period from `begin` on, a date, or a time; EdgeError for anything else, and for what is over."""
    try:
        ends = begin + period(text) if PERIOD.fullmatch(text) else dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise EdgeError(f"{text!r} is no time", where="--expires", fix=FIX) from error
    ends = (ends if ends.tzinfo else ends.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)
    if ends <= begin:
        raise EdgeError(f"{text!r} is over already", where="--expires", fix=FIX)
    return ends


def period(text: str) -> dt.timedelta:
    """`12h`; EdgeError for anything else."""
    found = PERIOD.fullmatch(text)
    if found is None:
        raise EdgeError(f"{text!r} is no period", fix="write 30m, 12h, 90d or 8w")
    return dt.timedelta(**{UNITS[found[2]]: int(found[1])})

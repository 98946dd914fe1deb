"""When a key ends, as people write it."""

from __future__ import annotations

import datetime as dt
import re

from onnxserve.errors import EdgeError

PERIOD = re.compile(r"([0-9]{1,6})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FIX = "write 30m, 12h, 90d, 8w, a date such as 2027-01-31 (its beginning, UTC), or a time such as 2027-01-31T12:00:00Z"


LATEST = dt.datetime.max.replace(microsecond=0, tzinfo=dt.UTC)


def now() -> dt.datetime:
    """The time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def moment(text: str, begin: dt.datetime) -> dt.datetime:
    """A period from `begin` on, a date, or a time; EdgeError for anything else, and for what is over."""
    try:
        ends = begin + period(text) if PERIOD.fullmatch(text) else in_utc(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise EdgeError(f"{text!r} is no time", where="--expires", fix=FIX) from error
    if ends <= begin:
        raise EdgeError(f"{text!r} is over already", where="--expires", fix=FIX)
    return ends


def in_utc(time: dt.datetime) -> dt.datetime:
    """A time to the second, UTC if it names no zone; OverflowError outside of the calendar."""
    return (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)


def later(begin: dt.datetime, length: dt.timedelta) -> dt.datetime:
    """`length` after `begin`, at most the calendar's last second."""
    return begin + min(length, LATEST - begin)


def period(text: str) -> dt.timedelta:
    """`12h`; EdgeError for anything else."""
    found = PERIOD.fullmatch(text)
    if found is None:
        raise EdgeError(f"{text!r} is no period", fix="write 30m, 12h, 90d or 8w")
    return dt.timedelta(**{UNITS[found[2]]: int(found[1])})

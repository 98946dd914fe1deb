"""Requests of each client today, which nginx keeps in a file of its own over a restart."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

BUDGETS = "budgets.json"


class Budget(msgspec.Struct, frozen=True):
    """How often a client has asked on a day, and when that is forgotten, in milliseconds since 1970.

    The form of njs: https://github.com/nginx/njs/blob/master/nginx/ngx_js_shared_dict.c.
    """

    value: float
    expire: float = 0


def drop_damaged(path: Path) -> None:
    """Remove a file that nginx can't read, as after a loss of power, and so would not start; clients get a new day."""
    with contextlib.suppress(FileNotFoundError):
        try:
            msgspec.json.decode(path.read_bytes(), type=dict[str, Budget])
        except (OSError, msgspec.DecodeError):
            path.unlink()

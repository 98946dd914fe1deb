"""Downloads in tests: what a location brings once the pin is written that the first try names."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.locations.fetch import Access, NotPinned, fetch
from onnxserve.locations.location import Location, parse_location


def pin_of(url: str, access: Access) -> Location:
    """Return the pinned location that the refusal of an unpinned one proposes."""
    with pytest.raises(NotPinned) as refusal:
        fetch(Location(url), Path(), access)
    return parse_location(refusal.value.pinned)


def fetch_pinned(url: str, access: Access) -> Path:
    """Return what a location brings, from the cache alone once the pin is known."""
    return fetch(pin_of(url, access), Path(), access._replace(offline=True))

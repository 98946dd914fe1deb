"""Numbers as a report shows them: shares, times and sizes with their units, and no zero with a sign."""

from __future__ import annotations

NARROW = "\u00a0"  # between a number and its unit, which stay on one line
THOUSAND = 999.5  # from here on three digits would be written as a power
EQUAL = 1.05  # ratios nearer to 1 are the same to two digits


def points(share: float) -> str:
    """Return a share as percentage points with two decimals, such as `0.92`."""
    return f"{100 * share:z.2f}"


def percent(share: float) -> str:
    """Return a share with its unit, such as `2.15 %`."""
    return f"{points(share)}{NARROW}%"


def duration(milliseconds: float) -> str:
    """Return a time with three digits, in µs, ms or s."""
    for factor, unit in ((1000.0, "µs"), (1.0, "ms")):
        if milliseconds * factor < THOUSAND:
            return f"{milliseconds * factor:.3g}{NARROW}{unit}"
    return f"{milliseconds / 1000:.3g}{NARROW}s"


def size(megabytes: float) -> str:
    """Return a size with three digits, in kB, MB or GB."""
    for factor, unit in ((1000.0, "kB"), (1.0, "MB")):
        if megabytes * factor < THOUSAND:
            return f"{megabytes * factor:.3g}{NARROW}{unit}"
    return f"{megabytes / 1000:.3g}{NARROW}GB"


def small(value: float) -> str:
    """Return a number that is nearly zero with two digits and its power, `0` for zero."""
    return f"{value:.1e}" if value else "0"


def times(ratio: float) -> str:
    """Return how a speed compares with another, such as `6.2 times as fast as`."""
    if ratio >= EQUAL:
        return f"{ratio:.1f} times as fast as"
    return "as fast as" if ratio > 1 / EQUAL else f"{1 / ratio:.1f} times as slow as"

"""Whether the online store says what the offline store says: the same features for training and for serving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pyarrow as pa

from onnxserve.errors import FeatureError

from .join import Join, join
from .repo import Repo

PRESENT = "PRESENT"
SHOWN = 10


@dataclass(frozen=True)
class Difference:
    """One feature of one entity that the two stores tell differently; None is unknown."""

    entity: tuple[Any, ...]
    column: str
    online: float | None
    offline: float | None


@dataclass(frozen=True)
class Skew:
    """All that were compared, and those that differ."""

    entities: int
    compared: int
    differences: tuple[Difference, ...]


def skew(
    repo: Repo,
    url: str,
    what: Join,
    keys: Sequence[tuple[Any, ...]],
    now: datetime | None = None,
    tolerance: float = 1e-6,
) -> Skew:
    """Compare both stores as of `now` for these keys; `tolerance` is relative, for float32 on one side."""
    if not keys:
        raise FeatureError("no entity to compare", fix="name a file with their keys")
    rows = {name: [key[at] for key in keys] for at, name in enumerate(what.entities)}
    times = pa.array([now or datetime.now(UTC)] * len(keys), pa.timestamp("us", "UTC"))
    offline = join(repo, what, pa.table({**rows, what.timestamp: times}))
    online = online_values(url, what, rows)
    found = [
        Difference(key, name, online[name][at], offline[name][at].as_py())
        for at, key in enumerate(keys)
        for name in what.columns
        if not same(online[name][at], offline[name][at].as_py(), tolerance)
    ]
    return Skew(len(keys), len(keys) * len(what.columns), tuple(found))


def online_values(url: str, what: Join, rows: dict[str, list[Any]]) -> dict[str, list[float | None]]:
    """As a handler sees them."""
    body = {"feature_service": what.service, "entities": rows}
    try:
        answer = httpx.post(f"{url}/get-online-features", json=body, timeout=60, trust_env=False)
        answer.raise_for_status()
        document = answer.json()
        columns = dict(zip(document["metadata"]["feature_names"], document["results"], strict=True))
        return {
            name: [
                value if status == PRESENT else None
                for value, status in zip(columns[name]["values"], columns[name]["statuses"], strict=True)
            ]
            for name in what.columns
        }
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise FeatureError(f"the feature server doesn't answer as it should: {error}", where=url) from error


def same(one: float | None, other: float | None, tolerance: float) -> bool:
    """Both unknown, or close."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)

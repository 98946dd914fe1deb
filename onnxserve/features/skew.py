"""Skew between the online and the offline store: training and serving must get the same features."""

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
    """One feature of one entity that differs between the stores; None for an unknown value."""

    entity: tuple[Any, ...]
    column: str
    online: float | None
    offline: float | None


@dataclass(frozen=True)
class Skew:
    """How many entities and values were compared, and the differences."""

    entities: int
    compared: int
    differences: tuple[Difference, ...]


def skew(
    repo: Repo,
    url: str,
    query: Join,
    keys: Sequence[tuple[Any, ...]],
    now: datetime | None = None,
    tolerance: float = 1e-6,
) -> Skew:
    """Compare both stores as of `now` for these keys; `tolerance` is relative, since one store may have float32.

    FeatureError without keys, or when a store doesn't answer.
    """
    if not keys:
        raise FeatureError("there is no entity to compare", fix="name a file with entity keys")
    rows = {name: [key[at] for key in keys] for at, name in enumerate(query.entities)}
    times = pa.array([now or datetime.now(UTC)] * len(keys), pa.timestamp("us", "UTC"))
    offline = join(repo, query, pa.table({**rows, query.timestamp: times}))
    online = online_values(url, query, rows)
    differences = [
        Difference(key, name, online[name][at], offline[name][at].as_py())
        for at, key in enumerate(keys)
        for name in query.columns
        if not is_close(online[name][at], offline[name][at].as_py(), tolerance)
    ]
    return Skew(len(keys), len(keys) * len(query.columns), tuple(differences))


def online_values(url: str, query: Join, rows: dict[str, list[Any]]) -> dict[str, list[float | None]]:
    """Read values from the feature server, as a handler does, by column; FeatureError if its answer is unusable."""
    body = {"feature_service": query.service, "entities": rows}
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
            for name in query.columns
        }
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise FeatureError(f"the feature server gave an unusable answer: {error}", where=url) from error


def is_close(online: Any, offline: Any, tolerance: float) -> bool:
    """Return whether both values are unknown, or equal; numbers within the tolerance."""
    if not all(isinstance(value, int | float) for value in (online, offline)):
        return bool(online == offline)
    return math.isclose(online, offline, rel_tol=tolerance, abs_tol=tolerance)

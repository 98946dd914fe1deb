"""How full each model's versions are, by Envoy's own counters."""

from __future__ import annotations

from dataclasses import dataclass

from .admin import Admin
from .envoy import names
from .envoy.bootstrap import ADMIN
from .labels import Labels
from .render import Edge

FIELDS = ("upstream_rq_active", "upstream_rq_pending_overflow")


@dataclass(frozen=True)
class Pressure:
    """Of the fullest version: requests under way as a share of what is allowed; refusals so far of all versions."""

    share: float
    refused: int


def pressures(edge: Edge, labels: Labels) -> dict[str, Pressure]:
    """By model; EdgeError when Envoy doesn't answer."""
    text = Admin(edge.run / ADMIN).get(f"/stats?filter=^cluster[.].*[.]({'|'.join(FIELDS)})$")
    counts = dict(line.rsplit(": ", 1) for line in text.splitlines() if ": " in line)
    found = {}
    for name, model in labels.models.items():
        stems = [f"cluster.{names.counted(names.pool(name, version))}" for version in model.versions]
        active, refused = ([int(counts.get(f"{stem}.{field}", 0)) for stem in stems] for field in FIELDS)
        found[name] = Pressure(max(active, default=0) / edge.intent.limits.concurrency, sum(refused))
    return found

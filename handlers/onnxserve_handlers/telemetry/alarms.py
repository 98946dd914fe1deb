"""Drift as Prometheus sees it: distances and p-values of the last window, and how many raised an alarm."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..signature import Signature
from .drift import FALSE_ALARM, PROFILE, Changes, Drift, Profile, window
from .metrics import NAMES, VARIABLE


class Alarms:
    """The gauges and counters of one version."""

    def __init__(self, client: Any, mine: tuple[str, str]) -> None:
        self._client, self._mine = client, mine
        names = (*NAMES, "measure", "stat")
        self._distance = self._made("Gauge", "drift", "Distance of the last window.", names, "livemax")
        self._lowest = self._one("Gauge", "drift_p_value", "Of the last window, all measures.", "livemin")
        self._windows = self._one("Counter", "drift_windows", "Windows judged.")
        self._alarms = self._one("Counter", "drift_alarms", "Windows that raised an alarm.")
        self._mean = self._one("Gauge", "score_mean", "Of the scores since they last changed.", "livemostrecent")
        self._changes = self._one("Counter", "score_changes", "Changes of the scores (ADWIN).")

    def _made(self, kind: str, name: str, what: str, names: tuple[str, ...], mode: str = "") -> Any:
        more = {"multiprocess_mode": mode} if mode else {}
        return getattr(self._client, kind)(f"onnxserve_{name}", what, names, registry=None, **more)

    def _one(self, kind: str, name: str, what: str, mode: str = "") -> Any:
        return self._made(kind, name, what, NAMES, mode).labels(*self._mine)

    def told(self, measure: str, stats: Mapping[str, float]) -> None:
        """A window's distances of one measure."""
        for stat, value in stats.items():
            self._distance.labels(*self._mine, measure, stat).set(value)

    def judged(self, p: float) -> None:
        """A window's p-value."""
        self._lowest.set(p)
        self._windows.inc()
        if p < FALSE_ALARM:
            self._alarms.inc()

    def scores(self, mean: float, changes: int) -> None:
        """Mean of the scores' window, and how often they changed."""
        self._mean.set(mean)
        self._changes.inc(changes)


def drift(folder: Path, signature: Signature) -> Drift | None:
    """Where histograms are asked for, and the archive has a profile."""
    path = folder / PROFILE
    if not os.environ.get(VARIABLE) or not path.is_file():
        return None
    try:
        import prometheus_client
    except ModuleNotFoundError:
        return None
    alarms = Alarms(prometheus_client, (signature.model, signature.version))
    profile, found = msgspec.json.decode(path.read_bytes(), type=Profile), window()
    changes = Changes(found, alarms.scores) if found and signature.labels else None
    return Drift(profile, alarms.told, alarms.judged, changes=changes)

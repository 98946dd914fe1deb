"""Evidently's report of two tables: https://docs.evidentlyai.com/metrics/customize_data_drift.

A job of its own, by hand or by cron: it takes some seconds and some 300 MB. Only PSI, Jensen-Shannon and
Kolmogorov-Smirnov: all of Evidently's methods together take gigabytes.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxserve.monitoring.drift import Tables

os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently reports its own use otherwise
with warnings.catch_warnings():  # it looks for things where numpy used to have them
    warnings.simplefilter("ignore")
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

LARGE_PSI = 0.2
CHANCE = 0.001  # of the whole report
LABEL = "label"


@dataclass(frozen=True)
class Drifted:
    """One measure: PSI, Jensen-Shannon distance, and the p-value of Kolmogorov and Smirnov, None for labels."""

    measure: str
    psi: float
    js: float
    ks_p: float | None
    drifts: bool


def report(given: Tables, output: Path) -> list[Drifted]:
    """Write the page; every measure, the farthest first."""
    names = list(given.proven.columns)
    numbers = [name for name in names if name != LABEL]
    about = DataDefinition(numerical_columns=numbers, categorical_columns=[name for name in names if name == LABEL])
    wanted: list[Any] = [
        ValueDrift(column=name, method=method, threshold=threshold)
        for name in names
        for method, threshold in methods(name, len(names)).items()
    ]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        made = Report(wanted).run(Dataset.from_pandas(given.live, about), Dataset.from_pandas(given.proven, about))
        made.save_html(str(output))
    return sorted(drifted(made.dict()["metrics"]), key=lambda one: -one.psi)


def methods(name: str, columns: int) -> dict[str, float]:
    """Evidently's names of the methods for a column, with the thresholds that its page marks."""
    found = {"psi": LARGE_PSI, "jensenshannon": LARGE_PSI}
    return found if name == LABEL else found | {"ks": CHANCE / columns}


def drifted(metrics: list[dict[str, Any]]) -> list[Drifted]:
    """The report's figures by measure."""
    found: dict[str, dict[str, float]] = {}
    for one in metrics:
        found.setdefault(one["config"]["column"], {})[one["config"]["method"]] = float(one["value"])
    return [
        Drifted(name, stats["psi"], stats["jensenshannon"], stats.get("ks"), stats["psi"] >= LARGE_PSI)
        for name, stats in found.items()
    ]

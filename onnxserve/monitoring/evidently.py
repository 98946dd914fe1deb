"""Evidently's drift report of two tables: https://docs.evidentlyai.com/metrics/customize_data_drift.

Run it as a separate job, by hand or by cron: it takes some seconds and 300 MB. It uses only PSI, Jensen-Shannon and
Kolmogorov-Smirnov, since all of Evidently's methods together take gigabytes.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxserve.monitoring.drift import Tables

os.environ.setdefault("DO_NOT_TRACK", "1")  # else Evidently reports its use
with warnings.catch_warnings():  # it uses deprecated names of numpy
    warnings.simplefilter("ignore")
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

LARGE_PSI = 0.2
CHANCE = 0.001  # of a false alarm in the whole report
LABEL = "label"


@dataclass(frozen=True)
class MeasureDrift:
    """The drift of one measure: PSI, Jensen-Shannon distance, and the p-value of the Kolmogorov-Smirnov test.

    A measure of labels has no p-value.
    """

    measure: str
    psi: float
    js: float
    ks_p: float | None
    drifts: bool


def report(tables: Tables, output: Path) -> list[MeasureDrift]:
    """Write the HTML report; return the drift of every measure, the largest PSI first."""
    names = list(tables.proven.columns)
    numbers = [name for name in names if name != LABEL]
    about = DataDefinition(numerical_columns=numbers, categorical_columns=[name for name in names if name == LABEL])
    metrics: list[Any] = [
        ValueDrift(column=name, method=method, threshold=threshold)
        for name in names
        for method, threshold in methods(name, len(names)).items()
    ]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = Report(metrics).run(Dataset.from_pandas(tables.live, about), Dataset.from_pandas(tables.proven, about))
        result.save_html(str(output))
    return sorted(read_drift(result.dict()["metrics"]), key=lambda measure: -measure.psi)


def methods(name: str, columns: int) -> dict[str, float]:
    """Return Evidently's methods for a column, with the thresholds that the report marks."""
    thresholds = {"psi": LARGE_PSI, "jensenshannon": LARGE_PSI}
    return thresholds if name == LABEL else thresholds | {"ks": CHANCE / columns}


def read_drift(metrics: list[dict[str, Any]]) -> list[MeasureDrift]:
    """Return the report's figures by measure."""
    figures: dict[str, dict[str, float]] = {}
    for metric in metrics:
        config = metric["config"]
        figures.setdefault(config["column"], {})[config["method"]] = float(metric["value"])
    return [
        MeasureDrift(name, stats["psi"], stats["jensenshannon"], stats.get("ks"), stats["psi"] >= LARGE_PSI)
        for name, stats in figures.items()
    ]

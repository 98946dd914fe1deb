"""`context.metrics` by the rules of TorchServe's `ts/metrics/metric_cache_yaml_impl.py`.

Values are added up and printed once a second, not one by one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .lines import print_line
from .pending import COUNTER, GAUGE, Key, Pending

PERIOD_S = 1.0
MODEL_DIMENSIONS = ("ModelName", "Level")
UNITS = {
    "ms": "Milliseconds",
    "s": "Seconds",
    "percent": "Percent",
    "count": "Count",
    "MB": "Megabytes",
    "GB": "Gigabytes",
    "kB": "Kilobytes",
    "B": "Bytes",
    "": "unit",
}
log = logging.getLogger(__name__)


class MetricRefused(ValueError):
    """The metric isn't declared, or it can't take the value."""


class Metric:
    """One declared metric."""

    def __init__(self, pending: Pending, name: str, unit: str, dimensions: Sequence[str], kind: str) -> None:
        self._pending = pending
        self.metric_name = name
        self.unit = UNITS.get(unit, unit)
        self.dimension_names = list(dimensions)
        self.metric_type = kind

    def add_or_update(self, value: float, dimension_values: Sequence[Any] = (), request_id: str = "") -> None:  # noqa: ARG002 - sums belong to no request
        """Add one value; a wrong value is logged, since a metric must not fail a request."""
        if len(dimension_values) != len(self.dimension_names):
            log.error("metric %s has dimensions %s, got %s", self.metric_name, self.dimension_names, dimension_values)
        elif self.metric_type == COUNTER and value < 0:
            log.error("counter %s can't take %s", self.metric_name, value)
        else:
            self._pending.add(self.key(dimension_values), value)

    def key(self, dimension_values: Sequence[Any]) -> Key:
        """Return the key under which values of these dimensions are added up."""
        pairs = zip(self.dimension_names, dimension_values, strict=True)
        dimensions = ",".join(f"{name}:{value}" for name, value in pairs)
        return self.metric_name, self.unit, dimensions, self.metric_type


class Metrics:
    """All metrics of one worker. `dimensions` are objects with `name` and `value`, as in `ts.metrics.dimension`."""

    def __init__(self, config: str | None = None) -> None:
        self._config = config
        self.model_name = ""
        self.request_ids: dict[int, str] | None = None
        self.cache: dict[str, dict[str, Metric]] = {}
        self._pending = Pending()

    def set_request_ids(self, request_ids: dict[int, str]) -> None:
        """Remember the requests of the current batch."""
        self.request_ids = request_ids

    def declare(self) -> None:
        """Declare the `model_metrics` of the file that the frontend named."""
        if not self._config:
            return
        import yaml

        declared = yaml.safe_load(Path(self._config).read_text(encoding="utf-8")).get("model_metrics") or {}
        for kind, metrics in declared.items():
            for metric in metrics:
                self.add_metric_to_cache(metric["name"], metric["unit"], metric["dimensions"], kind)

    def add_metric_to_cache(
        self, metric_name: str, unit: str, dimension_names: Sequence[str] = (), metric_type: Any = COUNTER
    ) -> Metric:
        """Declare a metric."""
        kind = kind_of(metric_type)
        metric = Metric(self._pending, metric_name, unit, dimension_names or (), kind)
        self.cache.setdefault(kind, {})[metric_name] = metric
        return metric

    def get_metric(self, metric_name: str, metric_type: Any = COUNTER) -> Metric:
        """Return a declared metric; raises MetricRefused for another one."""
        try:
            return self.cache[kind_of(metric_type)][metric_name]
        except KeyError as error:
            raise MetricRefused(f"no {kind_of(metric_type)} {metric_name!r} is declared") from error

    def add_metric(
        self,
        name: str,
        value: float,
        unit: str,
        idx: Any = None,
        dimensions: Sequence[Any] = (),
        metric_type: Any = COUNTER,
    ) -> None:
        """Any metric."""
        self._add(name, value, unit, idx, dimensions, metric_type)

    def add_counter(self, name: str, value: float, idx: Any = None, dimensions: Sequence[Any] = ()) -> None:
        """Add to a counter."""
        self._add(name, value, "count", idx, dimensions, COUNTER)

    def add_time(
        self,
        name: str,
        value: float,
        idx: Any = None,
        unit: str = "ms",
        dimensions: Sequence[Any] = (),
        metric_type: Any = GAUGE,
    ) -> None:
        """Set a time in `ms` or `s`."""
        self._add(name, value, _check_unit(unit, ("ms", "s")), idx, dimensions, metric_type)

    def add_size(
        self,
        name: str,
        value: float,
        idx: Any = None,
        unit: str = "MB",
        dimensions: Sequence[Any] = (),
        metric_type: Any = GAUGE,
    ) -> None:
        """Set a size in `MB`, `kB`, `GB` or `B`."""
        self._add(name, value, _check_unit(unit, ("MB", "kB", "GB", "B")), idx, dimensions, metric_type)

    def add_percent(
        self, name: str, value: float, idx: Any = None, dimensions: Sequence[Any] = (), metric_type: Any = GAUGE
    ) -> None:
        """Set a share in percent."""
        self._add(name, value, "percent", idx, dimensions, metric_type)

    def add_error(self, name: str, value: float, dimensions: Sequence[Any] = ()) -> None:
        """Count errors."""
        self._add(name, value, "", None, dimensions, COUNTER, level="Error")

    def _add(
        self, name: str, value: float, unit: str, _: Any, dimensions: Sequence[Any], kind: Any, level: str = "Model"
    ) -> None:
        pairs = {dimension.name: dimension.value for dimension in dimensions}
        if level == "Model":
            pairs.setdefault("ModelName", self.model_name)
        pairs.setdefault("Level", level)
        declared = self.cache.get(kind_of(kind), {}).get(name)
        metric = declared or self.add_metric_to_cache(name, unit, list(pairs), kind)
        metric.add_or_update(value, list(pairs.values()))

    def gauge(self, name: str, unit: str) -> Callable[[float], None]:
        """Return a function that sets one gauge of the model without the look-ups of `add_metric`."""
        declared = self.cache.get(GAUGE, {}).get(name)
        metric = declared or self.add_metric_to_cache(name, unit, MODEL_DIMENSIONS, GAUGE)
        values = {"ModelName": self.model_name, "Level": "Model"}
        key = metric.key([values.get(dimension, "") for dimension in metric.dimension_names])
        return partial(self._pending.add, key)

    def print_pending(self) -> None:
        """Print the values that came since the last time."""
        if lines := self._pending.lines():
            print_line("\n".join(lines))

    def print_every_second(self) -> None:
        """Print from a thread of its own, so that an idle worker's last values appear too."""

        def run() -> None:
            while True:
                time.sleep(PERIOD_S)
                self.print_pending()

        threading.Thread(target=run, name="metrics", daemon=True).start()


def kind_of(metric_type: Any) -> str:
    """Return COUNTER, GAUGE or HISTOGRAM for a text or a member of `ts.metrics.metric_type_enum.MetricTypes`."""
    return str(getattr(metric_type, "name", metric_type)).upper()


def _check_unit(unit: str, allowed: tuple[str, ...]) -> str:
    if unit not in allowed:
        raise MetricRefused(f"unit {unit!r} isn't one of {', '.join(allowed)}")
    return unit

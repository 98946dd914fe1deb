"""Simulated customers, seeded: a table of months for the feature store, and the requests of a model's clients."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20260301
CUSTOMERS, MONTHS, ASKED = 1500, 9, 6000
START = datetime(2026, 3, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
TABLE = Path(__file__).parent / "store" / "data" / "customers.parquet"


def months() -> pa.Table:
    """One row a customer and month, known from the month's first day on."""
    draws = np.random.default_rng(SEED)
    shape = (CUSTOMERS, MONTHS)
    mood = np.cumsum(draws.normal(0, 0.6, shape), axis=1) + draws.normal(0, 1, (CUSTOMERS, 1))
    columns = {
        "tenure": draws.integers(1, 60, (CUSTOMERS, 1)) + np.arange(MONTHS),
        "balance": np.round(np.exp(draws.normal(4, 1, shape) + 0.3 * mood), 2),
        "purchases": draws.poisson(np.exp(1 + 0.5 * np.clip(mood, -3, 2))),
        "idle_days": np.round(30 / (1 + np.exp(mood)) + draws.exponential(2, shape), 1),
        "tickets": draws.poisson(np.exp(-0.5 - 0.4 * np.clip(mood, -3, 2))),
    }
    times = [START + MONTH * month for _ in range(CUSTOMERS) for month in range(MONTHS)]
    return pa.table(
        {
            "customer_id": np.repeat(np.arange(CUSTOMERS), MONTHS),
            "event_timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            **{name: pa.array(values.ravel().astype(np.float64)) for name, values in columns.items()},
        }
    )


def write_table(path: Path = TABLE) -> Path:
    """The table where Feast looks for it; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(months(), partial)
    partial.replace(path)
    return path


def customer_rows() -> tuple[pa.Table, list[str]]:
    """Requests between the second month and the last, with the basket at that moment, and who left afterwards.

    Who leaves follows from the month before the moment: a join that looked ahead would learn from the future.
    """
    draws = np.random.default_rng(SEED + 1)
    table = months()
    who = draws.integers(0, CUSTOMERS, ASKED)
    days = draws.uniform(30, 30 * MONTHS - 1, ASKED)
    known = who * MONTHS + (days // 30).astype(int)
    basket = np.round(np.exp(draws.normal(3, 0.8, ASKED)), 2)
    of = {name: table[name].to_numpy()[known] for name in table.column_names if name != "event_timestamp"}
    risk = (
        0.12 * of["idle_days"]
        + 0.5 * of["tickets"]
        - 0.25 * of["purchases"]
        - 0.02 * of["tenure"]
        - 0.3 * np.log(basket)
    )
    left = risk + 0.7 + draws.logistic(0, 0.35, ASKED) > 0
    times = [START + timedelta(days=float(day)) for day in days]
    rows = pa.table(
        {
            "customer_id": who,
            "event_timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            "basket": basket,
        }
    )
    return rows, ["leaves" if leaves else "stays" for leaves in left]


if __name__ == "__main__":
    write_table()

"""Customers of a shop, and LightGBM's trees that were fitted to them: categories, booleans, dates, missing values."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from .import_command import FP32, Words

PLANS = ["basic", "pro", "team", "trial"]
COLUMNS = (
    '[{ name = "amount", nullable = true }, '
    f'{{ name = "plan", type = "category", categories = {json.dumps(PLANS)}, unknown = "nan", nullable = true }}, '
    '{ name = "member", type = "boolean" }, { name = "joined", type = "date", since = "2020-01-01" }]'
)
Rows = list[dict[str, Any]]


def customers(count: int, seed: int, plans: list[str] = PLANS) -> Rows:
    """Return rows as clients send them."""
    draws = np.random.default_rng(seed)
    days = np.datetime64("2020-01-01") + draws.integers(0, 1500, count)
    return [
        {
            "amount": None if draws.random() < 0.2 else round(float(draws.gamma(2, 50)), 2),
            "plan": None if draws.random() < 0.1 else str(draws.choice(plans)),
            "member": bool(draws.integers(2)),
            "joined": str(day),
        }
        for day in days
    ]


def encoded(rows: Rows) -> npt.NDArray[np.float64]:
    """Return what the model was fitted to, written out: NaN for null, places of categories, days."""
    return np.array(
        [
            [
                np.nan if row["amount"] is None else row["amount"],
                PLANS.index(row["plan"]) if row["plan"] in PLANS else np.nan,
                row["member"],
                (date.fromisoformat(row["joined"]) - date(2020, 1, 1)).days,
            ]
            for row in rows
        ],
        np.float64,
    )


def is_good(rows: Rows) -> npt.NDArray[np.int64]:
    """Return the classes that the trees learn."""
    table = np.nan_to_num(encoded(rows), nan=-1)
    return ((table[:, 0] > 60) ^ (np.isin(table[:, 1], [1, 3])) ^ (table[:, 2] > 0)).astype(int)


@cache
def trees() -> Any:
    """Return LightGBM's model."""
    import lightgbm

    rows = customers(1500, 0)
    data = lightgbm.Dataset(encoded(rows), is_good(rows), categorical_feature=[1])
    options = {"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 15}
    return lightgbm.train(options, data, num_boost_round=30)


def command(folder: Path) -> Words:
    """Write the model's file, and rows with their labels."""
    trees().save_model(folder / "trees.txt")
    rows = customers(400, 1)
    labels = np.where(trees().predict(encoded(rows)) > 0.5, "good", "bad").tolist()
    table = [{**row, "label": label} for row, label in zip(rows, labels, strict=True)]
    pq.write_table(pa.Table.from_pylist(table), folder / "rows.parquet")
    words = ("--labels", "bad,good", "--rows", "rows.parquet", "--set", f"input.columns={COLUMNS}")
    return ("import", "trees.txt", "credit", *words, *FP32)

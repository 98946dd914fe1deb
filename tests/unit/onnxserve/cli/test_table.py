"""Tables fit 80 columns with the longest names that occur, and break none of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from onnxserve.archive import Summary
from onnxserve.archive.explanation import variant_rows
from onnxserve.cli import doctor, features, keys, monitor
from onnxserve.cli.archive import explain
from onnxserve.cli.release import status
from onnxserve.cli.table import Number, print_table, table_lines
from onnxserve.cli.tune import capacity, resources
from onnxserve.doctor import Finding
from onnxserve.gateway.keys import Key
from onnxserve.monitoring.accuracy import Accuracy
from onnxserve.release import VersionStatus

MODEL, VERSION = "customer-support-ticket-triage", "10.20.30"  # 30 characters
FILE = f"{MODEL}-{VERSION}.mar"
NOW = dt.datetime(2030, 12, 31, 23, 59, tzinfo=dt.UTC)
EVIDENCE = {
    "summary": {"variant": "int8-percentile"},
    "variants": [
        {
            "variant": "int8-percentile",
            "paired": {"accuracy": 0.9876, "bound": 0.0123, "flips": 0.0123},
            "megabytes": 1234.5,
            "refusal": "",
            "moves": True,
        }
    ],
    "refused": {"int8-dynamic": f"its answers move by 0.12 of their spread, 0.001 is allowed, on rows of {MODEL}"},
}
TABLES: dict[str, tuple[Any, list[Any]]] = {
    "release status": (
        status.STATUS,
        [
            status.status_row(
                VersionStatus(MODEL, VERSION, "canary 12.5 %, shadow 100 %", True, False, 128, 10_000, 10_000, FILE)
            )
        ],
    ),
    "release history": (
        status.HISTORY,
        [("2030-12-31T23:59:59+00:00", "operator", "promote", VERSION, f"stable 1.0.0 -> {VERSION}\nfallback none")],
    ),
    "keys list": (
        keys.HEADINGS,
        keys.key_rows({"0" * 64: Key(MODEL, (MODEL,), 1000.0, 100_000, 2, 5, "urgent", NOW, NOW)}, {"0" * 64: NOW}),
    ),
    "doctor": (
        ("", "check", "result"),
        [doctor.finding_row(Finding("model store", f"{MODEL} {VERSION}, " * 5, f"onnxserve archive verify {FILE}"))],
    ),
    "monitor accuracy": (
        monitor.ACCURACY,
        [monitor.accuracy_row(Accuracy(MODEL, VERSION, 1_000_000, 900_000, 0.9, 0.8, 0.95, 0))],
    ),
    "monitor drift": (
        monitor.DRIFT,
        [
            monitor.drift_row(
                cast("Any", SimpleNamespace(measure=MODEL, psi=12.345, js=0.123, ks_p=1.2e-30, drifts=True))
            )
        ],
    ),
    "features check": (features.DIFFERENCES, [((MODEL,), MODEL, 123456.789, 123456.788)]),
    "archive explain": (
        explain.HEADINGS,
        variant_rows(Summary(path=Path(FILE), name=MODEL, version=VERSION, sha256="0", evidence=EVIDENCE), {}),
    ),
    "tune capacity": (capacity.HEADINGS, [(MODEL, VERSION, 128, 128, 1024, "1234.5", "100%", "100,000")]),
    "tune resources": (resources.HEADINGS, [(MODEL, VERSION, 128, "untuned", 100_000)]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_80_columns_and_breaks_no_word(name):
    headings, rows = TABLES[name]
    lines = table_lines(headings, rows, resources.WIDTH if name == "tune resources" else 80)
    assert max(len(line) for line in lines) <= 80
    printed = " ".join(lines).replace(":", " ").split()
    for cell in (str(cell) for row in [headings, *rows] for cell in row):
        assert set(cell.replace(":", " ").split()) <= set(printed)


def test_numbers_stand_to_the_right_and_names_to_the_left():
    lines = table_lines(("model", Number("workers")), [("a", 2), ("segment", 10)], 80)
    assert lines == ["model    workers", "a              2", "segment       10"]


def test_text_wraps_between_words_while_names_fit():
    lines = table_lines(("name", "reason"), [("segment", "one two three\nfour")], 16)
    assert lines == ["name     reason", "segment  one two", "         three", "         four"]


def test_a_row_that_is_too_wide_becomes_a_block():
    lines = table_lines(("name", Number("count")), [("a-long-name", 1), ("b", 2)], 14)
    assert lines == ["name:  a-long-name", "count: 1", "", "name:  b", "count: 2"]


def test_without_rows_the_headings_remain():
    assert table_lines(("name", Number("count")), [], 80) == ["name  count"]


def test_a_pipe_gets_a_line_a_row_in_plain_text(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(("name", "reason"), [("[bold]segment[/bold]", "word " * 50)])
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert "[bold]segment[/bold]  word word" in out
    assert "\x1b" not in out

"""How many values of a CSV file one core reads in a second, bad rows set aside: `python -m benchmarks.csv_reading`."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from onnxserve.batch.part import Part, Selection, Source
from onnxserve.batch.readers import cut, read
from onnxserve.batch.sources import find_sources

ROUNDS = 5
ROWS = 200_000
WIDTHS = (2, 18)
BAD = 1000  # every so many rows one has a number that isn't one


def write(path: Path, columns: int, *, bad: bool) -> None:
    """Write rows of `columns` numbers, as Python prints them, behind an id."""
    values = np.random.default_rng(5).normal(0, 100, (ROWS, columns)).round(4)
    with path.open("w", encoding="utf-8") as stream:
        stream.write(",".join(["id", *(f"c{number}" for number in range(columns))]) + "\n")
        for number, row in enumerate(values.tolist()):
            fields = [f"r{number}", *map(str, row)]
            if bad and number % BAD == 0:
                fields[1] = "oops"
            stream.write(",".join(fields) + "\n")


def seconds(source: Source, selection: Selection) -> tuple[float, int]:
    """Read the file once; return the processor time in seconds and the number of refused rows."""
    start, refused = time.process_time(), 0
    for number, piece in enumerate(cut(source, selection, 1_000_000)):
        part = Part(number, source.url, source.kind, piece.first, piece.rows, piece.start, piece.stop, piece.line)
        refused += sum(len(chunk.faults) for chunk in read(part, selection))
    return time.process_time() - start, refused


def main() -> None:
    """Measure and print."""
    for columns in WIDTHS:
        for bad in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "rows.csv"
                write(path, columns, bad=bad)
                [source] = find_sources([str(path)]).files
                names = {f"c{number}": f"c{number}" for number in range(columns)}
                runs = [seconds(source, Selection(names, numbers=True, keep=("id",))) for _ in range(ROUNDS)]
            took = statistics.median(run[0] for run in runs)
            values = f"{ROWS * columns / took / 1e6:.2f} million values/s"
            print(f"{columns} columns, {runs[0][1]} bad rows: {values}, {ROWS / took:,.0f} rows/s")


if __name__ == "__main__":
    main()

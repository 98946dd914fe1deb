"""The steps of an export, in order. `python -m export models/<name>`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from onnxserve.errors import OnnxserveError

from . import (
    certify,
    choose,
    fetch,
    lint,
    load,
    measure,
    package,
    profile,
    prove,
    quantise,
    reference,
    report,
    rows,
    search,
    stage,
    trace,
    verify,
)
from .export import export_model

STEPS = (
    fetch.STEP,
    rows.STEP,
    load.STEP,
    stage.STEP,
    reference.STEP,
    trace.STEP,
    lint.STEP,
    verify.STEP,
    quantise.STEP,
    search.STEP,
    measure.STEP,
    choose.STEP,
    certify.STEP,
    profile.STEP,
    package.STEP,
    prove.STEP,
    report.STEP,
)


def main() -> int:
    """Export each folder on the command line; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="models/NAME")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    arguments = parser.parse_args()
    try:
        for folder in arguments.folders:
            export_model(folder, arguments.store, STEPS, print)
    except OnnxserveError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m onnxserve_export models/<name>`: an export without the command line interface of onnxserve."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from onnxserve.errors import OnnxserveError

from .export import export_model
from .options import ExportOptions
from .steps import STEPS


def main() -> int:
    """Export each folder on the command line; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="python -m onnxserve_export", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="models/NAME")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--draft", action="store_true", help="make the fp32 graph alone, as quickly as possible")
    parser.add_argument("--unproven", action="store_true", help="make an archive even if too few rows prove it")
    parser.add_argument("--replace", action="store_true", help="let other content replace a version that exists")
    parser.add_argument("--trust", action="store_true", help="read pickles, which run whatever code they name")
    arguments = parser.parse_args()
    options = ExportOptions(arguments.unproven, arguments.draft, arguments.replace, trust=arguments.trust)
    try:
        for folder in arguments.folders:
            export_model(folder, arguments.store, STEPS, print, options=options)
    except OnnxserveError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

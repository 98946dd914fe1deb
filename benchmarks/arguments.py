"""The command line that the benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import ROOT

MODELS = ["segment", "sentiment", "digits"]


def make_parser(module: str, purpose: str, page: str) -> argparse.ArgumentParser:
    """Return the parser of `python -m benchmarks.MODULE`, which writes the page docs/results/PAGE."""
    name = f"python -m benchmarks.{module}".removesuffix(".__main__")
    parser = argparse.ArgumentParser(prog=name, description=purpose)
    path = ROOT / "docs" / "results" / page
    parser.add_argument(
        "--page",
        type=Path,
        default=path,
        metavar="FILE",
        help=f"write the results to this page (default: docs/results/{page})",
    )
    return parser


def names(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_models(parser: argparse.ArgumentParser, models: list[str] = MODELS) -> None:
    """Add `--models`, whose value is a list of names."""
    shown = ",".join(models)
    parser.add_argument(
        "--models", type=names, default=models, metavar="NAMES", help=f"measure these models, of {shown} (default: all)"
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add `--store`, the folder of the archives."""
    shown = "read the archives in this folder (default: model_store)"
    parser.add_argument("--store", type=Path, default=ROOT / "model_store", metavar="FOLDER", help=shown)

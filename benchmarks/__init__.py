"""Compare onnxserve with other servers in one run on one machine."""

from pathlib import Path

ROOT = Path(__file__).parents[1]

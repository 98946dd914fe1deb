"""Request bodies from the golden rows in the repository."""

from __future__ import annotations

import json
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1] / "models"


def bodies(model: str) -> list[bytes]:
    """Return one model's request bodies, one row each."""
    lines = (MODELS / model / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.dumps({"instances": [json.loads(line)["input"]]}).encode() for line in lines]

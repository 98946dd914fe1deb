"""What each script was given, and what it found wrong.

`python SCRIPT HOST:PORT GOLDEN.json SERVICE.pb`: GOLDEN has `segment`, rows of 18 numbers, and `sentiment`, texts, each
with the label that must come; SERVICE has the messages that the edge reads, a FileDescriptorSet.
"""

import json
import sys
from pathlib import Path
from typing import Any

address, golden = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
service = Path(sys.argv[3]).read_bytes()
wrong: list[str] = []


def expect(what: str, holds: bool) -> None:
    """Remember a case that doesn't."""
    if not holds:
        wrong.append(what)


def labels(answer: Any) -> list[str]:
    """As text, whether they came as JSON or as bytes."""
    return [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("label").tolist()]

"""What each script was given, and what it found wrong.

`python SCRIPT HOST:PORT GOLDEN.json SERVICE.pb`: GOLDEN has `segment`, rows of 18 numbers, and `sentiment`, texts, each
with the label that must come; SERVICE has the messages of a call, a FileDescriptorSet.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tritonclient.utils import InferenceServerException

address, golden = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
service = Path(sys.argv[3]).read_bytes()
wrong: list[str] = []


def expect(what: str, holds: bool) -> None:
    """Remember a case that doesn't."""
    if not holds:
        wrong.append(what)


def labels(answer: Any) -> list[str]:
    """As text, whether they came as JSON or as bytes."""
    return [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label").tolist()]


def status_of(call: Callable[[], object]) -> str:
    """The status that a call of Triton's client is refused with; of none, that it was answered."""
    try:
        call()
    except InferenceServerException as error:
        return str(error.status())
    return "answered"

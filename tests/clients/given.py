"""What each script was given, and what it found wrong.

`python SCRIPT HOST:PORT GOLDEN.json …`: GOLDEN has rows by model as `inputs`, each with the label that must come in
`labels`: of `segment` 18 numbers, of `sentiment` texts.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tritonclient.utils import InferenceServerException

address, golden = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
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

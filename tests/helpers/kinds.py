"""Classifiers of each input kind, composed as `service.py` of an archive composes them."""

from __future__ import annotations

from typing import Any

from onnxserve_handlers.features.handler import JoinedTable
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.image import ImageInput
from onnxserve_handlers.inputs.table import TableInput, TableOptions
from onnxserve_handlers.inputs.text import TextInput
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.classification import Classification, ClassificationOptions

LABELS = ClassificationOptions(labels=("no", "yes"))


class TextClassifier(TextInput, Classification, Handler):
    """Texts to labels."""


class ImageClassifier(ImageInput, Classification, Handler):
    """Images to labels."""


class TableClassifier(TableInput, Classification, Handler):
    """Tables to labels."""


class JoinedClassifier(JoinedTable, Classification, Handler):
    """Tables that a feature store completes to labels."""


def table_signature(*columns: str, labels: tuple[str, ...] = ("no", "yes"), **changes: Any) -> Signature:
    """Return the signature of a table's classifier."""
    rows, output = TableOptions(columns=columns), ClassificationOptions(labels=labels)
    known = {"model": "demo", "version": "1.0", "handler": "", "variant": "fp32", "inputs": (), "outputs": ()}
    return Signature(**{**known, "input": rows, "output": output, "max_batch": 8, **changes})

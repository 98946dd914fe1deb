"""Triton's Python backend: one run of the graph for all requests of a dynamic batch.

https://github.com/triton-inference-server/python_backend
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from task import TASK, Task

NAME = {"segment": "features", "sentiment": "text", "digits": "image"}[TASK]


class TritonPythonModel:
    """Takes a tensor of rows; returns label and score."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002 - Triton's
        """Load the model."""
        self.task = Task()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return a response for each request, in order."""
        tensors = [pb_utils.get_input_tensor_by_name(request, NAME).as_numpy() for request in requests]
        predictions = self.task.predict([{NAME: value(row)} for tensor in tensors for row in tensor])
        responses, start = [], 0
        for tensor in tensors:
            rows = predictions[start : start + len(tensor)]
            start += len(tensor)
            labels = np.array([[row["label"]] for row in rows], dtype=np.object_)
            scores = np.array([[row["score"]] for row in rows], dtype=np.float32)
            outputs = [pb_utils.Tensor("label", labels), pb_utils.Tensor("score", scores)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses


def value(row: Any) -> Any:
    """Return a table row unchanged, or the text inside its element."""
    return row if TASK == "segment" else row[0].decode()

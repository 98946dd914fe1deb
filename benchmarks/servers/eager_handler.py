"""A TorchServe handler in the style of its documentation: eager torch, a dictionary per row."""

from __future__ import annotations

import json
import os
from typing import Any


class EagerHandler:
    """Runs a batch's rows through the torch module."""

    def initialize(self, context: Any) -> None:
        """Load the module from this file's folder."""
        os.environ["BENCH_FOLDER"] = context.system_properties["model_dir"]
        os.environ["BENCH_BACKEND"] = "torch"
        os.environ["BENCH_TASK"] = context.model_name
        from task import Task

        self.task = Task()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - TorchServe's
        """Return an answer per row."""
        documents = [item.get("body") or item.get("data") for item in data]
        return self.task.predict(
            [document if isinstance(document, dict) else json.loads(document) for document in documents]
        )

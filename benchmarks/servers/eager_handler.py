"""A TorchServe handler as its documentation writes them: eager torch, one dictionary a row."""

from __future__ import annotations

import json
import os
from typing import Any


class EagerHandler:
    """Rows of a batch through the torch module."""

    def initialize(self, context: Any) -> None:
        """Load the module beside this file."""
        os.environ["BENCH_FOLDER"] = context.system_properties["model_dir"]
        os.environ["BENCH_BACKEND"] = "torch"
        os.environ["BENCH_TASK"] = context.model_name
        from task import Task

        self.task = Task()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - TorchServe's
        """One answer a row."""
        documents = [item.get("body") or item.get("data") for item in data]
        return self.task.predict(
            [document if isinstance(document, dict) else json.loads(document) for document in documents]
        )

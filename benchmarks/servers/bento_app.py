"""BentoML: a service with two workers; batching is on where it pays."""

from __future__ import annotations

from typing import Any

import bentoml
from task import TASK, Task


@bentoml.service(workers=2, traffic={"timeout": 60})
class Bench:
    """Answers one row per request."""

    def __init__(self) -> None:
        self.task = Task()

    if TASK == "segment":

        @bentoml.api
        def predict(self, features: list[float]) -> dict[str, Any]:
            """Classify a table row."""
            return self.task.predict([{"features": features}])[0]

    elif TASK == "sentiment":

        @bentoml.api
        def predict(self, text: str) -> dict[str, Any]:
            """Classify a text."""
            return self.task.predict([{"text": text}])[0]

    else:

        @bentoml.api
        def predict(self, image: str) -> dict[str, Any]:
            """Classify a base64 image."""
            return self.task.predict([{"image": image}])[0]
